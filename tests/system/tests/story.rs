//! The main story in small: publish, update, install, read, upgrade, roll back, remove, export.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::inventory;
use plyos_test_system::programs::{run, wait_for};
use plyos_test_system::proxy::Carried;
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{self, Tree, noise, prose};
use plyos_test_system::world::World;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

fn names(rows: &Value) -> BTreeSet<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

/// Bytes of body that a command moved, as the network saw it.
fn moved(carried: &[Carried]) -> u64 {
    carried.iter().map(|carried| carried.bytes).sum()
}

fn library(version: u64) -> Tree {
    Tree::new()
        .file("usr/lib/libtool.so.1", noise(version, 150_000))
        .link("usr/lib/libtool.so", "libtool.so.1")
        .file("usr/share/doc/libtool/changes", prose(version, 50))
}

fn tool(version: u64) -> Tree {
    Tree::new()
        .file("usr/bin/tool", noise(100 + version, 90_000))
        .mode("usr/bin/tool", 0o755)
        .hard_link("usr/bin/tool-again", "usr/bin/tool")
        .file("etc/pkg/defaults/tool.conf", "colour = yes\n")
}

/// Many small pages and some large pictures; of version 2 one page is different.
fn site(version: u64) -> Tree {
    let mut tree = Tree::new().file("index.html", format!("<h1>Version {version}</h1>\n"));
    for number in 0..200 {
        tree = tree.file(&format!("pages/{number:03}.html"), prose(number, 40));
    }
    for number in 0..6 {
        tree = tree.file(&format!("pictures/{number}.bin"), noise(200 + number, 400_000));
    }
    tree
}

#[test]
fn the_main_story() {
    let World { target, proxy, publisher, registry } = World::empty();
    let push = |tree: &Tree, layer: &Layer| publisher.push(&registry, tree.path(), layer);
    let url = format!("http://{}/catalog/main", proxy.address());
    let model = Tree::new().file("weights.bin", noise(300, 700_000)).file("config.json", "{\"size\":1}\n");
    let depends =
        |layer: Layer| layer.with("--depends", "libtool").with("--summary", "A tool that does things");

    // Publish.
    let (base, site1, site2) = (trees::base(), site(1), site(2));
    let first = [
        push(&base, &Layer::new("base", "plain", "1")),
        push(&library(1), &Layer::package("libtool", "1.0-1")),
        push(&tool(1), &depends(Layer::package("tool", "1.0-1"))),
        push(&model, &Layer::new("model", "mini", "1").with("--arch", "any")),
        push(&site1, &Layer::new("site", "docs", "1").with("--arch", "any")),
    ];
    assert!(first.iter().all(|pushed| pushed.text("layer").starts_with("blake3:")));
    let published = publisher.publish(&first.iter().collect::<Vec<_>>());
    assert_eq!(published["targets"].as_array().unwrap().len(), 5);

    // First contact: by the root's file; a second time it changes nothing.
    let root = publisher.root_file();
    target.trust(&url, root.to_str().unwrap());
    assert_eq!(target.json(&["repo", "add", &url, "--root", root.to_str().unwrap()])["known"], true);
    assert_eq!(names(&target.json(&["repo", "list"])), BTreeSet::from(["main"]));
    let updated = target.json(&["update"]);
    assert_eq!((&updated[0]["offers"], &updated[0]["changed"]), (&5.into(), &true.into()));
    assert_eq!(target.json(&["update"])[0]["changed"], false);

    // Look around.
    let found = target.json(&["search", "DOES THINGS"]);
    assert_eq!(found[0]["descriptor"]["name"], "tool");
    assert_eq!(target.json(&["search", ""]).as_array().unwrap().len(), 5);
    let info = target.json(&["info", "tool"]);
    assert_eq!((&info["descriptor"]["depends"][0], &info["installed"]), (&"libtool".into(), &Value::Null));
    assert!(target.pkg(&["info", "tool"]).ok().text().contains("needs         libtool"));

    // Install; the dependency comes along, and what was moved is what the network saw.
    proxy.take_carried();
    let installed = target.json(&["install", "plain", "tool", "mini", "site/docs"]);
    assert_eq!(names(&installed["layers"]), BTreeSet::from(["docs", "libtool", "mini", "plain", "tool"]));
    assert_eq!(installed["downloaded_bytes"], moved(&proxy.take_carried()));
    let blobs: u64 = first.iter().map(|pushed| pushed.blob_len()).sum();
    assert_eq!((&installed["full_bytes"], &installed["generation"]), (&blobs.into(), &1.into()));
    let list = target.json(&["list"]);
    let asked =
        |name: &str| &list.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()["asked"];
    assert_eq!((asked("tool"), asked("libtool")), (&true.into(), &false.into()));

    // Read.
    assert_eq!(target.cat("/models/mini/weights.bin"), noise(300, 700_000));
    assert_eq!(target.cat("/www/docs/index.html"), b"<h1>Version 1</h1>\n");
    assert_eq!(target.cat("/usr/bin/tool-again"), noise(101, 90_000));
    assert_eq!(target.cat("/usr/lib/libtool.so"), noise(1, 150_000));
    assert_eq!(target.cat("/bin/sh"), b"#!/bin/true\n");
    let ls = target.json(&["ls", "/usr/bin"]);
    assert_eq!(names(&ls), BTreeSet::from(["sh", "tool", "tool-again"]));
    let row = ls.as_array().unwrap().iter().find(|row| row["name"] == "tool").unwrap();
    assert_eq!(
        (&row["mode"], &row["size"], &row["layer"]),
        (&"0755".into(), &90_000.into(), &"package/tool".into())
    );
    assert!(target.pkg(&["ls", "-l", "/usr/lib"]).ok().text().contains("libtool.so -> libtool.so.1"));
    let files = target.json(&["files", "tool"]);
    assert_eq!(files.as_array().unwrap().len(), 3);
    assert!(files.as_array().unwrap().contains(&"/usr/bin/tool-again".into()));
    let which = target.json(&["which", "/www/docs/pages/007.html"]);
    assert_eq!(
        (&which["kind"], &which["name"], &which["version"]),
        (&"site".into(), &"docs".into(), &"1".into())
    );

    // What is there needs nothing; not even the network.
    proxy.take_carried();
    let again = target.json(&["install", "tool"]);
    assert_eq!((&again["generation"], &again["downloaded_bytes"]), (&1.into(), &0.into()));
    assert!(target.pkg(&["install", "tool"]).ok().text().contains("Nothing to do"));
    assert!(target.pkg(&["upgrade"]).ok().text().contains("Nothing to do"));
    assert_eq!(moved(&proxy.take_carried()), 0);

    // Second versions: of the library everything is new, of the site one page.
    let second = [
        push(&library(2), &Layer::package("libtool", "1.0-2")),
        push(&site2, &Layer::new("site", "docs", "2").with("--arch", "any")),
    ];
    publisher.publish(&second.iter().collect::<Vec<_>>());
    target.pkg(&["update"]).ok();
    proxy.take_carried();
    let upgraded = target.json(&["upgrade", "docs"]);
    let (downloaded, full) =
        (upgraded["downloaded_bytes"].as_u64().unwrap(), upgraded["full_bytes"].as_u64().unwrap());
    assert_eq!(full, second[1].blob_len());
    assert!(downloaded * 20 < full, "one small page moved {downloaded} of {full} bytes");
    assert_eq!(downloaded, moved(&proxy.take_carried()));
    assert_eq!(target.cat("/www/docs/index.html"), b"<h1>Version 2</h1>\n");
    let text = target.pkg(&["upgrade", "--yes"]).ok().text();
    assert!(text.contains("~ package/libtool  1.0-1 -> 1.0-2  newer") && text.contains("moved "), "{text}");
    assert_eq!(target.installed(), ["docs 2", "libtool 1.0-2", "mini 1", "plain 1", "tool 1.0-1"]);

    // Back, and forth again, without the network.
    drop(proxy);
    let back = target.json(&["rollback"]);
    assert_eq!((&back["generation"], &back["from"]), (&2.into(), &3.into()));
    target.pkg(&["rollback", "1"]).ok();
    assert_eq!(target.cat("/www/docs/index.html"), b"<h1>Version 1</h1>\n");
    assert_eq!(target.cat("/usr/lib/libtool.so.1"), noise(1, 150_000));
    let history = target.json(&["history"]);
    let actions: Vec<_> =
        history.as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["install", "upgrade", "upgrade", "rollback", "rollback"]);
    let active: Vec<_> = history.as_array().unwrap().iter().filter(|row| row["active"] == true).collect();
    assert_eq!((active.len(), &active[0]["generation"]), (1, &1.into()));
    target.refuses(7, &["rollback", "1"]);
    target.refuses(3, &["rollback", "99"]);

    // Remove: a new number, the namespace without it, and back.
    let removed = target.json(&["remove", "tool"]);
    assert_eq!(removed["generation"], 4);
    assert_eq!(target.installed(), ["docs 1", "libtool 1.0-1", "mini 1", "plain 1"]);
    assert!(target.refuses(3, &["cat", "/usr/bin/tool"]).contains("/usr/bin/tool"));
    target.pkg(&["rollback"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), noise(101, 90_000));

    // All the same, the store knows what it holds.
    let status = target.json(&["status"]);
    assert_eq!((&status["active"], &status["generations"]), (&1.into(), &4.into()));
    assert_eq!(status["layers"], 7);
    assert!(target.pkg(&["status"]).ok().text().contains("(active)"));
}

#[test]
fn export_gives_the_tree_back_and_switches_its_link_at_once() {
    let world = World::new();
    let tree = trees::nasty();
    world.offer(&tree, &Layer::new("site", "nasty", "1").with("--owner", "keep"));
    world.target.pkg(&["install", "nasty"]).ok();
    let out = world.target.beside("out");
    let exported = world.target.json(&["export", out.to_str().unwrap()]);
    assert_eq!(exported["generation"], 2);
    let current = out.join("current");
    assert_eq!(fs::read_link(&current).unwrap().to_str(), Some("gen-2"));
    let expected = inventory::of(tree.path());
    assert_eq!(expected.values().filter(|entry| entry.first_name.is_some()).count(), 3);
    inventory::assert_equal("the exported tree", &expected, &inventory::of(&current.join("www/nasty")));

    // Another generation beside it; who reads through the link sees one tree or the other, never none.
    world.offer(&Tree::new().file("page", "2"), &Layer::new("site", "nasty", "2"));
    world.target.pkg(&["upgrade"]).ok();
    let exporting = world.target.start(&["export", out.to_str().unwrap()]);
    wait_for("the link's switch", || {
        let to = fs::read_link(&current).unwrap();
        let whole = fs::exists(out.join(&to).join("etc/witness")).unwrap()
            && fs::exists(out.join(&to).join("www")).unwrap();
        assert!(whole, "{} is not whole", to.display());
        (to.to_str() == Some("gen-3")).then_some(())
    });
    exporting.end().ok();
    assert_eq!(fs::read(current.join("www/nasty/page")).unwrap(), b"2");
    inventory::assert_equal("the former tree", &expected, &inventory::of(&out.join("gen-2/www/nasty")));

    // Again: nothing is written, and the link stays.
    let again = world.target.json(&["export", out.to_str().unwrap()]);
    assert_eq!(again["entries"], Value::Null);
    assert!(
        fs::read_dir(&out).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .contains(".current"))
    );
}

#[test]
fn another_stores_generation_is_not_taken_for_this_ones() {
    let world = World::new();
    let out = world.target.beside("out");
    let export = ["export", out.to_str().unwrap()];
    world.target.pkg(&export).ok();
    // The store is lost and made anew; its first generation has the number of the one that was exported.
    fs::remove_file(world.target.store()).unwrap();
    world.release(&Tree::new().file("page", "new"), &Layer::new("site", "docs", "1"));
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "docs"]).ok();
    assert_eq!(world.target.generation(), 1);
    let line = world.target.refuses(7, &export);
    assert!(line.contains("gen-1") && line.contains("another folder"), "{line}");
    fs::remove_dir_all(out.join("gen-1")).unwrap();
    world.target.pkg(&export).ok();
    assert_eq!(fs::read(out.join("current/www/docs/page")).unwrap(), b"new");
}

#[test]
fn names_that_are_no_text() {
    let world = World::new();
    let tree = trees::nasty();
    world.offer(&tree, &Layer::new("site", "nasty", "1"));
    world.target.pkg(&["install", "nasty"]).ok();
    let name = OsStr::from_bytes(b"/www/nasty/not-utf8-\xff\xfe");
    for verb in ["cat", "which", "ls"] {
        let ended = run(world.target.command(&[verb]).arg(name)).ok();
        let expected: &[u8] = if verb == "cat" { b"name\n" } else { b"" };
        assert!(ended.stdout.starts_with(expected) && !ended.stdout.is_empty(), "{verb}: {}", ended.text());
    }
    assert_eq!(world.target.cat("/www/nasty/with space and\nnew line"), b"name\n");
    // A link that leads out of the tree stays in the namespace.
    world.target.refuses(3, &["cat", "/www/nasty/dangling"]);
    world.target.refuses(3, &["cat", "/www/nasty/up"]);
    world.target.refuses(3, &["cat", "/www/nasty/long-link"]);
}
