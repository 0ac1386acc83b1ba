//! Several programs at one store, and programs that are killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_storefile::{RecordType, Store};
use plyos_test_system::programs::wait_for;
use plyos_test_system::proxy::{Fault, Rule};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, WITNESS, noise};
use plyos_test_system::world::World;
use std::time::Duration;

/// Makes downloads take a while: 64 KiB every few milliseconds.
fn slow() -> Rule {
    Rule::on("/blobs/sha256/", Fault::Slow(64 << 10, 5))
}

#[test]
fn two_installations_at_once() {
    let world = World::new();
    for name in ["one", "two"] {
        let tree = Tree::new().file(&format!("usr/{name}"), noise(name.len() as u64, 3_000_000));
        world.offer(&tree, &Layer::package(name, "1"));
    }
    world.proxy.add(slow());
    let running = [world.target.start(&["install", "one"]), world.target.start(&["install", "two"])];
    // Readers are not held up meanwhile.
    assert_eq!(world.target.cat(WITNESS), b"the base's own words\n");
    for ended in running.map(|running| running.end()) {
        ended.ok();
    }
    assert_eq!(world.target.installed(), ["one 1", "plain 1", "two 1"]);
    assert_eq!(world.target.generation(), 3);
    assert_eq!(world.target.json(&["history"]).as_array().unwrap().len(), 3);
}

#[test]
fn the_same_installation_many_times_at_once() {
    let world = World::new();
    let tree = Tree::new().file("usr/one", noise(1, 1_000_000));
    let blob = world.offer(&tree, &Layer::package("one", "1")).blob_len();
    world.proxy.take_carried();
    let running: Vec<_> = (0..4).map(|_| world.target.start(&["--json", "install", "one"])).collect();
    let ended: Vec<_> = running.into_iter().map(|running| running.end().json()).collect();
    assert!(ended.iter().all(|ended| ended["generation"] == 2), "{ended:?}");
    assert_eq!(ended.iter().filter(|ended| ended["downloaded_bytes"] != 0).count(), 1);
    let moved: u64 = world.proxy.take_carried().iter().map(|carried| carried.bytes).sum();
    assert!(moved < blob + blob / 10, "{moved} bytes were moved for {blob}");
    assert_eq!(world.target.cat("/usr/one"), noise(1, 1_000_000));
}

#[test]
fn updates_while_an_installation_runs() {
    let world = World::new();
    world.offer(&Tree::new().file("usr/one", noise(1, 3_000_000)), &Layer::package("one", "1"));
    world.release(&Tree::new().file("usr/two", "2"), &Layer::package("two", "1"));
    world.proxy.add(slow());
    let installing = world.target.start(&["install", "one"]);
    let updating = world.target.start(&["update"]);
    installing.end().ok();
    updating.end().ok();
    world.target.pkg(&["install", "two"]).ok();
    assert_eq!(world.target.installed(), ["one 1", "plain 1", "two 1"]);
}

#[test]
fn killed_in_the_middle_of_a_download() {
    let length = 24 << 20;
    let world = World::new();
    world.offer(&Tree::new().file("usr/large", noise(1, length)), &Layer::package("large", "1"));
    let before = world.target.state();
    for round in 0..3 {
        world.proxy.take_carried();
        world.proxy.add(slow());
        let installing = world.target.start(&["install", "large"]);
        // Index, frame table and some ranges have come, and others are on the way.
        wait_for("some ranges", || (world.proxy.carried_so_far("/blobs/sha256/") > 2 + round).then_some(()));
        installing.kill();
        assert_eq!(world.target.state(), before);
        assert_eq!(world.target.cat(WITNESS), b"the base's own words\n");
        world.proxy.heal();
    }
    // The dead program's locks are gone: nobody waits for them.
    world.target.pkg(&["install", "large"]).ok();
    assert_eq!(world.target.cat("/usr/large"), noise(1, length));
    assert_eq!(world.target.generation(), 2);
}

/// What init does beside a download: it holds the commit lock for a moment and never the writer lock.
#[test]
fn stopped_in_the_middle_while_another_commits() {
    let world = World::new();
    world.offer(&Tree::new().file("usr/large", noise(1, 12 << 20)), &Layer::package("large", "1"));
    world.proxy.add(slow());
    let mut installing = world.target.start(&["install", "large"]);
    wait_for("some ranges", || (world.proxy.carried_so_far("/blobs/sha256/") > 2).then_some(()));
    installing.signal("STOP");
    // Readers and a committer of small records go on, however long the other one stands still.
    assert_eq!(world.target.cat(WITNESS), b"the base's own words\n");
    let mut init = Store::slot_writer(world.target.store()).unwrap();
    let active = Store::open(world.target.store()).unwrap().slots().active().map(|slot| slot.generation);
    init.put_record(RecordType::Audit, &RecordType::ONLY, b"seen by init").unwrap();
    init.commit(active).unwrap();
    installing.signal("CONT");
    installing.end().ok();
    world.proxy.heal();
    // Neither commit has lost the other's.
    let store = Store::open(world.target.store()).unwrap();
    let audit = store.record(RecordType::Audit, &RecordType::ONLY).unwrap();
    assert_eq!(audit.as_deref(), Some(&b"seen by init"[..]));
    assert_eq!(world.target.cat("/usr/large"), noise(1, 12 << 20));
    assert_eq!(world.target.generation(), 2);
}

#[test]
fn killed_in_a_long_download_loses_only_the_last_seconds() {
    let length = 48 << 20;
    let world = World::new();
    world.offer(&Tree::new().file("usr/large", noise(1, length)), &Layer::package("large", "1"));
    world.proxy.take_carried();
    // Six ranges of 4 MiB at a time, each in 2.5 seconds.
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::Slow(64 << 10, 40)).after(2));
    let installing = world.target.start(&["install", "large"]);
    wait_for("the first ranges", || (world.proxy.carried_so_far("/blobs/sha256/") >= 2 + 4).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    installing.kill();
    world.proxy.heal();
    let retry = world.target.json(&["install", "large"]);
    let downloaded = retry["downloaded_bytes"].as_u64().unwrap();
    assert!(downloaded < (length - (16 << 20)) as u64, "the retry fetched {downloaded} of {length} bytes");
    assert_eq!(world.target.cat("/usr/large"), noise(1, length));
}

#[test]
fn export_that_was_killed() {
    let world = World::new();
    let mut tree = Tree::new();
    for number in 0..3_000 {
        tree = tree.file(&format!("usr/share/many/{number}"), format!("{number}"));
    }
    world.offer(&tree, &Layer::package("many", "1"));
    let out = world.target.beside("out");
    let export = ["export", out.to_str().unwrap()];
    world.target.pkg(&export).ok();
    world.target.pkg(&["install", "many"]).ok();
    let exporting = world.target.start(&export);
    wait_for("the beginning of the tree", || out.join("gen-2.part").exists().then_some(()));
    exporting.kill();
    // Whoever reads through the link saw nothing of it.
    let current = out.join("current");
    assert_eq!(std::fs::read_link(&current).unwrap().to_str(), Some("gen-1"));
    world.target.pkg(&export).ok();
    assert_eq!(std::fs::read_dir(current.join("usr/share/many")).unwrap().count(), 3_000);
    assert!(!out.join("gen-2.part").exists());
}

#[test]
fn publishers_of_one_workspace() {
    let world = World::new();
    let pushed = world.push(&Tree::new().file("usr/a", "a"), &Layer::package("a", "1"));
    let workspace = world.publisher.workspace();
    // One of them may be told to wait, none may break the catalog.
    let ended = std::thread::scope(|scope| {
        let publish = || {
            let workspace = workspace.to_str().unwrap();
            world.publisher.plyos(["publish", "--repo", workspace, &pushed.place]).code
        };
        let running: Vec<_> = (0..4).map(|_| scope.spawn(publish)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ended.contains(&Some(0)) && ended.iter().all(|code| matches!(code, Some(0 | 1))), "{ended:?}");
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "a"]).ok();
}

#[test]
fn exports_to_one_folder_at_once() {
    let world = World::new();
    let mut tree = Tree::new();
    for number in 0..1_000 {
        tree = tree.file(&format!("usr/share/many/{number}"), format!("{number}"));
    }
    world.offer(&tree, &Layer::package("many", "1"));
    world.target.pkg(&["install", "many"]).ok();
    let out = world.target.beside("out");
    let export = ["export", out.to_str().unwrap()];
    let running: Vec<_> = (0..3).map(|_| world.target.start(&export)).collect();
    for ended in running.into_iter().map(|running| running.end()) {
        ended.ok();
    }
    assert_eq!(std::fs::read_dir(out.join("current/usr/share/many")).unwrap().count(), 1_000);
}
