//! What `pkg diff` and `plyos diff` say of two versions, where `pkg which` and `pkg files` say that things come from, and
//! that files which are the same are no conflict.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use serde_json::{Value, json};

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;

/// A site with some small pages and a large file; the second version has one of each kind of difference.
fn site(version: u64) -> Tree {
    let mut tree = Tree::new()
        .file("large", noise(1, 300_000))
        .file("mode", "the same\n")
        .file("page", prose(version, 9));
    for number in 0..40 {
        tree = tree.file(&format!("pages/{number:02}"), prose(100 + number, 20));
    }
    if version == 1 {
        tree.file("gone", "12345").file("kind", "a file").link("link", "page")
    } else {
        tree.file("new", "123").mode("mode", 0o600).file("kind/inside", "x").link("link", "large")
    }
}

/// The rows of a list of files as `LETTER PATH`.
fn rows(value: &Value) -> Vec<String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = value["files"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", text(row, "change"), text(row, "path"))).collect()
}

/// What is different between the two versions, below the folder at which the site is seen.
fn expected(below: &str) -> Vec<String> {
    let rows = ["D /gone", "T /kind", "A /kind/inside", "M /link", "m /mode", "A /new", "M /page"];
    rows.map(|row| row.replacen(" /", &format!(" {below}/"), 1)).to_vec()
}

#[test]
fn two_generations_and_two_layers() {
    let world = World::new();
    let layer = |version: &str| Layer::new("site", "docs", version).with("--arch", "any");
    let first = world.offer(&site(1), &layer("1"));
    world.target.pkg(&["install", "docs"]).ok();
    let second = world.offer(&site(2), &layer("2"));
    world.offer(&Tree::new().file("usr/bin/tool", noise(7, 5_000)), &Layer::package("tool", "1"));
    world.target.pkg(&["upgrade"]).ok();
    world.proxy.take_carried();

    // The same by default, by one number and by two; without the network.
    let found = world.target.json(&["diff", "--files", "--stat"]);
    assert_eq!(rows(&found), expected("/www/docs"));
    assert_eq!(found["layers"], json!([{"kind": "site", "name": "docs", "from": "1", "to": "2"}]));
    assert_eq!((&found["from"]["generation"], &found["to"]["generation"]), (&json!(2), &json!(3)));
    assert_eq!(found["tree"]["added"], json!({"files": 2, "directories": 0, "bytes": 4}));
    assert_eq!(found["tree"]["removed"], json!({"files": 1, "directories": 0, "bytes": 5}));
    assert_eq!(found["tree"]["attributes only"]["files"], 1);
    assert_eq!(found["stat"]["site/docs"], found["tree"]);
    // One run of small files was cut anew; the large file was not.
    let missing = found["missing"]["bytes"].as_u64().unwrap();
    assert!((1..200_000).contains(&missing), "{missing}");
    assert_eq!(world.target.json(&["diff", "2", "--files", "--stat"]), found);
    assert_eq!(world.target.json(&["diff", "2", "3", "--files", "--stat"]), found);
    let back = world.target.json(&["diff", "3", "2"]);
    assert_eq!(
        (&back["tree"]["added"], &back["tree"]["removed"]),
        (&found["tree"]["removed"], &found["tree"]["added"])
    );
    let same = world.target.json(&["diff", "3", "3", "--files"]);
    assert_eq!(
        (&same["layers"], &same["files"], &same["missing"]["bytes"]),
        (&json!([]), &json!([]), &json!(0))
    );
    assert!(world.proxy.take_carried().is_empty());

    let text = world.target.pkg(&["diff", "1", "--stat"]).ok().text();
    assert!(text.contains("generation 1 -> 3") && text.contains("  + site/docs 2"), "{text}");
    assert!(world.target.refuses(NOT_FOUND, &["diff", "9"]).contains("generation 9"));
    assert!(world.target.refuses(NOT_FOUND, &["diff", "2", "9"]).contains("generation 9"));
    assert_eq!(world.target.pkg(&["diff", "one"]).code, Some(USAGE));

    // The publisher sees the same from the indexes.
    let diff = |args: &[&str]| world.publisher.plyos([&["--json", "diff"], args].concat()).json();
    let found = diff(&[&first.place, &second.place, "--files"]);
    assert_eq!(rows(&found), expected(""));
    let moved = found["upgrade"]["bytes"].as_u64().unwrap();
    assert!(moved > 0 && moved < second.blob_len(), "{moved} of {}", second.blob_len());
    assert!(found["chunks"]["shared"].as_u64().unwrap() > 0);
    assert_eq!(diff(&[&second.place, &second.place])["upgrade"]["bytes"], 0);
    let nowhere = world.registry.place("site/docs", "9");
    world.publisher.plyos(["diff", first.place.as_str(), nowhere.as_str()]).refused(NOT_FOUND);
}

#[test]
fn what_an_upgrade_moves_is_what_was_foretold() {
    let world = World::new();
    let layer = |version: &str| Layer::new("site", "docs", version).with("--arch", "any");
    let first = world.offer(&site(1), &layer("1"));
    world.target.pkg(&["install", "docs"]).ok();
    let second = world.offer(&site(2), &layer("2"));
    let told = world.publisher.plyos(["--json", "diff", first.place.as_str(), second.place.as_str()]).json();
    let moved = world.target.json(&["upgrade"]);
    assert_eq!(moved["downloaded_bytes"], told["upgrade"]["bytes"]);
}

#[test]
fn where_paths_come_from() {
    let world = World::new();
    world.release(
        &Tree::new().file("usr/bin/thing", "one").link("usr/bin/other", "thing"),
        &Layer::package("first", "1"),
    );
    world.offer(
        &Tree::new().file("usr/bin/thing", "better"),
        &Layer::package("second", "2").with("--replaces", "first"),
    );
    world.target.pkg(&["install", "first", "second"]).ok();
    let which = |path: &str| world.target.json(&["which", path]);

    // Through the base's link /bin -> usr/bin; the hidden one is named.
    let found = which("/bin/thing");
    assert_eq!((&found["path"], &found["name"]), (&json!("/usr/bin/thing"), &json!("second")));
    assert_eq!(found["hidden"], json!([{"kind": "package", "name": "first", "version": "1"}]));
    // A link is its own layer's, what it leads to another's.
    let found = which("/usr/bin/other");
    assert_eq!((&found["name"], &found["target"]["name"]), (&json!("first"), &json!("second")));
    assert_eq!(which("/bin")["target"]["path"], "/usr/bin");
    assert_eq!(which("/usr/bin")["also"].as_array().unwrap().len(), 2);

    let text = world.target.pkg(&["which", "/bin/thing", "/usr/bin/sh"]).ok().text();
    assert!(text.contains("package/second 2  /usr/bin/thing\n  hidden     package/first 1\n"), "{text}");
    assert!(text.contains("base/plain 1  /usr/bin/sh\n"), "{text}");
    let lines = |pattern: &str| {
        let text = world.target.pkg(&["which", pattern]).ok().text();
        text.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("/bin/*").len(), 3, "links are followed up to the pattern");
    assert_eq!(lines("/usr/**/th?ng"), ["package/second 2  /usr/bin/thing"]);
    world.target.refuses(NOT_FOUND, &["which", "/usr/*/nothing"]);
    world.target.refuses(USAGE, &["which", "/usr/[bin"]);

    let files = |names: &[&str]| world.target.json(&[&["files"], names].concat());
    assert_eq!(files(&["first"]), json!(["/usr/bin/other", "/usr/bin/thing"]));
    assert_eq!(files(&["package/*"]).as_array().unwrap().len(), 3);
    assert_eq!(files(&["first", "f*"]), files(&["first"]), "each layer once");
    world.target.refuses(NOT_FOUND, &["files", "x*"]);
}

#[test]
fn small_files_that_are_equal_are_no_conflict_though_their_chunks_differ() {
    let world = World::new();
    let with = |neighbour: u64, shared: &str| {
        Tree::new().file("usr/share/a", noise(neighbour, 2_000)).file("usr/share/licence", shared)
    };
    world.release(&with(1, "the same words"), &Layer::package("first", "1"));
    let second = with(2, "the same words");
    std::fs::rename(second.at("usr/share/a"), second.at("usr/share/b")).unwrap();
    world.offer(&second, &Layer::package("second", "1"));
    world.target.pkg(&["install", "first", "second"]).ok();
    assert_eq!(world.target.cat("/usr/share/licence"), b"the same words");

    // As long, and not the same: with times of the content it is known before anything is fetched, with the tree's own
    // only when the bytes are here.
    for (name, mtime) in [("third", "content"), ("fourth", "keep")] {
        let other = Tree::new().file("usr/share/licence", "the same wordz");
        let as_old = std::fs::File::options().write(true).open(other.at("usr/share/licence")).unwrap();
        as_old.set_modified(std::time::UNIX_EPOCH).unwrap();
        world.offer(&other, &Layer::package(name, "1").with("--mtime", mtime));
        world.proxy.take_carried();
        let line = world.target.refuses(CONFLICT, &["install", name]);
        assert!(["/usr/share/licence", "first", name].iter().all(|part| line.contains(part)), "{line}");
    }
}

#[test]
fn all_conflicts_are_listed_up_to_twenty() {
    let world = World::new();
    let tree = |word: &str| {
        (0..25).fold(Tree::new(), |tree, number| {
            tree.file(&format!("usr/share/x/{number:02}"), format!("{word}{number}"))
        })
    };
    world.release(&tree("a"), &Layer::package("first", "1"));
    world.offer(&tree("other"), &Layer::package("second", "1"));
    let ended = world.target.pkg(&["--json", "install", "first", "second"]);
    let listed: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((listed["conflicts"].as_array().unwrap().len(), &listed["total"]), (20, &json!(25)));
    let line = world.target.refuses(CONFLICT, &["install", "first", "second"]);
    assert!(line.contains("/usr/share/x/00") && line.contains("and 24 more paths"), "{line}");
}

#[test]
fn folders_that_differ_merge_and_it_is_said() {
    let world = World::new();
    let tree = Tree::new().file("usr/share/odd", "x").mode("usr/share", 0o700);
    world.offer(&tree, &Layer::package("odd", "1"));
    let ended = world.target.pkg(&["install", "odd"]);
    assert!(ended.stderr.contains("/usr/share: seen as plain has it (0755"), "{}", ended.stderr);
    ended.ok();
    let listed = world.target.json(&["ls", "/usr"]);
    assert_eq!(listed.as_array().unwrap().iter().find(|row| row["name"] == "share").unwrap()["mode"], "0755");
}
