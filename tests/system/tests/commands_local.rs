//! Layers from files: `pkg install ./x.oci.tar`, made by `skopeo copy`. A catalog may vouch for one; else the operator does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{command, run};
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use std::fs;
use std::process::Command;

const CONFLICT: i32 = 4;
const SIGNATURE: i32 = 5;

/// Copies a pushed layer beside the target's store; `to` is `oci:NAME` or `oci-archive:NAME`. False without skopeo.
fn copied(world: &World, pushed: &Pushed, to: &str) -> bool {
    if Command::new("skopeo").arg("--version").output().is_err() {
        eprintln!("SKIPPED: nothing is copied, for skopeo is not here");
        return false;
    }
    let (transport, name) = to.split_once(':').unwrap();
    let to = format!("{transport}:{}:1", world.target.beside(name).display());
    let home = world.target.beside("home");
    fs::create_dir_all(&home).unwrap();
    let from = format!("docker://{}", pushed.place);
    let policy = ["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to];
    run(command("skopeo", &home).args(policy)).ok();
    true
}

fn tool(version: u64) -> Tree {
    Tree::new().file("usr/bin/tool", noise(version, 200_000)).file("usr/share/tool/notes", "small\n")
}

#[test]
fn a_layer_that_nobody_vouches_for_needs_the_operators_word() {
    let world = World::new();
    let pushed = world.push(&tool(1), &Layer::package("tool", "1").with("--depends", "plain"));
    if !copied(&world, &pushed, "oci-archive:tool.oci.tar") || !copied(&world, &pushed, "oci:tool") {
        return;
    }
    let target = &world.target;
    world.proxy.take_carried();
    for name in ["tool.oci.tar", "tool"] {
        let path = target.beside(name);
        let path = path.to_str().unwrap();
        let line = target.refuses(SIGNATURE, &["install", path]);
        assert!(line.contains("tool 1 is in no catalog") && line.contains("--allow-unsigned"), "{line}");
        let before = target.state();
        let plan = target.json(&["install", path, "--allow-unsigned", "--dry-run"]);
        assert_eq!((&plan["changes"][0]["name"], &plan["download_bytes"]), (&"tool".into(), &0.into()));
        assert_eq!(target.state(), before);
        target.pkg(&["--offline", "install", path, "--allow-unsigned"]).ok();
        assert_eq!(target.cat("/usr/bin/tool"), noise(1, 200_000));
        let list = target.json(&["list"]);
        let row = list.as_array().unwrap().iter().find(|row| row["name"] == "tool").unwrap();
        assert_eq!((&row["unsigned"], &row["repository"]), (&true.into(), &"".into()));
        target.pkg(&["verify"]).ok();
        target.pkg(&["remove", "tool"]).ok();
        target.pkg(&["clean", "--all"]).ok();
    }
    assert_eq!(world.proxy.take_carried().len(), 0, "somebody was asked");

    // The same checks as for any other: dependencies, conflicts of paths.
    let needy = world.push(
        &Tree::new().file("usr/bin/needy", "x"),
        &Layer::package("needy", "1").with("--depends", "nothing"),
    );
    let thief = world.push(&Tree::new().file("usr/bin/tool", "mine"), &Layer::package("thief", "1"));
    copied(&world, &needy, "oci:needy");
    copied(&world, &thief, "oci:thief");
    target.pkg(&["install", target.beside("tool").to_str().unwrap(), "--allow-unsigned"]).ok();
    for (name, part) in [("needy", "needs nothing"), ("thief", "/usr/bin/tool")] {
        let line =
            target.refuses(CONFLICT, &["install", target.beside(name).to_str().unwrap(), "--allow-unsigned"]);
        assert!(line.contains(part), "{line}");
    }
    // Another layer under a version that is on offer is refused.
    world.offer(&tool(2), &Layer::package("tool", "1"));
    target.pkg(&["remove", "tool"]).ok();
    let line =
        target.refuses(CONFLICT, &["install", target.beside("tool").to_str().unwrap(), "--allow-unsigned"]);
    assert!(line.contains("tool 1 is on offer as another layer"), "{line}");
    // And under a name that has a security floor, for it has no epoch.
    target.pkg(&["install", "tool"]).ok();
    let later = world.push(&tool(3), &Layer::package("tool", "3"));
    copied(&world, &later, "oci:later");
    let line =
        target.refuses(SIGNATURE, &["install", target.beside("later").to_str().unwrap(), "--allow-unsigned"]);
    assert!(line.contains("tool 3 is refused") && line.contains("security epoch"), "{line}");
}

#[test]
fn a_layer_that_the_catalog_offers_is_signed_wherever_its_bytes_come_from() {
    let world = World::new();
    let pushed = world.offer(&tool(1), &Layer::package("tool", "1"));
    if !copied(&world, &pushed, "oci-archive:tool.oci.tar") {
        return;
    }
    let target = &world.target;
    world.proxy.take_carried();
    let path = target.beside("tool.oci.tar");
    let done = target.json(&["--offline", "install", path.to_str().unwrap()]);
    assert_eq!((&done["downloaded_bytes"], &done["layers"][0]["name"]), (&0.into(), &"tool".into()));
    assert_eq!(world.proxy.take_carried().len(), 0, "somebody was asked");
    let list = target.json(&["list"]);
    let row = list.as_array().unwrap().iter().find(|row| row["name"] == "tool").unwrap();
    assert_eq!((&row["unsigned"], &row["repository"]), (&false.into(), &"main".into()));
    assert_eq!(target.cat("/usr/bin/tool"), noise(1, 200_000));
}

#[test]
fn a_file_that_was_tampered_with_is_refused() {
    let world = World::new();
    let pushed = world.push(&tool(1), &Layer::package("tool", "1"));
    if !copied(&world, &pushed, "oci:tool") {
        return;
    }
    let target = &world.target;
    let blob = target.beside("tool/blobs/sha256").join(pushed.text("blob").trim_start_matches("sha256:"));
    let whole = fs::read(&blob).unwrap();
    let folder = target.beside("tool");
    let refused = |bytes: &[u8]| {
        fs::write(&blob, bytes).unwrap();
        target.refuses(SIGNATURE, &["install", folder.to_str().unwrap(), "--allow-unsigned"])
    };
    // In the frames, and cut off before the footer.
    let mut flipped = whole.clone();
    flipped[5_000] ^= 1;
    assert!(refused(&flipped).contains("a chunk of"));
    refused(&whole[..whole.len() - 100]);
    fs::write(&blob, &whole).unwrap();
    target.pkg(&["install", folder.to_str().unwrap(), "--allow-unsigned"]).ok();
}
