//! A store on a disk that cannot read some places (EIO), as the real programs meet it: what they say, what still works, and
//! what `pkg repair` makes of it. Each test is a line of docs/damage.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::{Extent, LayerEntry, RecordEntry, RecordType, Store};
use plyos_test_system::proxy::{Fault, Rule};
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::sick_disk::SickDisk;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, WITNESS, noise};
use plyos_test_system::world::World;
use serde_json::Value;

const DAMAGED: i32 = 5;
const STORE: i32 = 7;
const NETWORK: i32 = 8;
const BIG: &str = "/www/docs/big";
/// Where the superblock copies lie: docs/formats.md, "Store".
const COPIES: [u64; 2] = [0, 65_536];

fn big() -> Vec<u8> {
    noise(11, 600_000)
}

/// A site beside the base, on a disk that is healthy as yet; `None` where there is no FUSE.
fn site() -> Option<(World, Pushed, SickDisk)> {
    let world = World::empty();
    world.target.pkg(&["init", "--size", "16M"]).ok();
    let base = plyos_test_system::trees::base();
    world.release(&base, &Layer::new("base", "plain", "1"));
    let tree = Tree::new().file("big", big()).file("small", "small\n");
    let pushed = world.release(&tree, &Layer::new("site", "docs", "1"));
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "plain"]).ok();
    world.target.pkg(&["install", "docs"]).ok();
    let disk = SickDisk::below(&world.target)?;
    world.target.pkg(&["verify"]).ok();
    Some((world, pushed, disk))
}

fn store(target: &Target) -> Store {
    Store::open(target.store()).unwrap()
}

fn entry(target: &Target, pushed: &Pushed) -> LayerEntry {
    let id = pushed.text("layer");
    *store(target).layers().find(|entry| entry.id.to_string() == id).unwrap()
}

fn records(target: &Target, record_type: RecordType) -> Vec<RecordEntry> {
    store(target).records(record_type).copied().collect()
}

/// One byte in the middle of it cannot be read any more.
fn lose(disk: &SickDisk, extent: Extent) {
    let middle = extent.offset + extent.len / 2;
    disk.lose(middle..middle + 1);
}

/// What `pkg --json verify` says of a store that is damaged.
fn damage(target: &Target) -> Value {
    let ended = target.pkg(&["--json", "verify"]);
    let found: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let line = ended.refused(DAMAGED);
    assert!(line.contains("pkg repair"), "{line}");
    assert_eq!(found["clean"], false);
    found
}

/// The words for a defect that the device made.
fn is_eio(defect: &Value) -> bool {
    let text = defect.as_str().unwrap_or_default();
    text.contains("cannot be read") && text.contains("os error 5")
}

/// Repairs while the disk is as sick as before, and sees that all is whole and the store can be written.
fn repair(target: &Target) {
    target.pkg(&["repair"]).ok();
    whole(target);
}

fn whole(target: &Target) {
    target.pkg(&["verify"]).ok();
    assert!(target.cat(BIG) == big());
    assert_eq!(target.cat(WITNESS), b"the base's own words\n");
    target.pkg(&["pin"]).ok();
}

#[test]
fn a_chunk() {
    let Some((world, pushed, disk)) = site() else { return };
    let target = &world.target;
    let stored = store(target).layer(&entry(target, &pushed).id).unwrap().unwrap();
    lose(&disk, stored.places().iter().flatten().max_by_key(|place| place.length).unwrap().extent().unwrap());
    let found = damage(target);
    assert!(is_eio(&found["layers"][0]["chunks"][0]["defect"]), "{found}");
    assert!(found["layers"][0]["files"].to_string().contains(BIG), "{found}");
    let line = target.pkg(&["cat", BIG]).refused(STORE);
    assert!(line.contains("os error 5"), "{line}");
    assert_eq!(target.cat("/www/docs/small"), b"small\n");
    repair(target);
}

#[test]
fn a_page_of_an_index() {
    let Some((world, pushed, disk)) = site() else { return };
    let target = &world.target;
    lose(&disk, entry(target, &pushed).index);
    let found = damage(target);
    assert!(is_eio(&found["layers"][0]["index"]), "{found}");
    assert_eq!(target.cat(WITNESS), b"the base's own words\n");
    repair(target);
}

#[test]
fn a_record_of_each_type() {
    let Some((world, _, disk)) = site() else { return };
    let target = &world.target;
    target.pkg(&["pin"]).ok();
    for record_type in [
        RecordType::Certificate,
        RecordType::Manifest,
        RecordType::Keyring,
        RecordType::History,
        RecordType::Pin,
    ] {
        lose(&disk, records(target, record_type)[0].extent);
        let found = damage(target);
        assert!(is_eio(&found["records"][0]["defect"]), "{found}");
        assert_eq!(found["records"][0]["type"], record_type.as_str());
        repair(target);
    }
}

/// Nothing else may write then, so each command says what to do first; the repair itself does not depend on them.
#[test]
fn the_map_of_a_layer() {
    let Some((world, pushed, disk)) = site() else { return };
    let target = &world.target;
    lose(&disk, entry(target, &pushed).map);
    let found = damage(target);
    assert!(is_eio(&found["layers"][0]["map"]), "{found}");
    target.pkg(&["ls", "/www"]).refused(STORE);
    let before = disk.content();
    for args in [&["update"][..], &["remove", "docs"], &["clean"], &["rollback", "1"], &["grow", "20M"]] {
        // A command that has nothing to write may end well.
        let ended = target.pkg(args);
        if args != ["update"] {
            let line = ended.refused(STORE);
            assert!(line.contains("pkg repair") || line.contains("os error 5"), "{line}");
        }
    }
    assert!(disk.content() == before, "something was written");
    world.proxy.add(Rule::on("", Fault::Silent));
    target.pkg(&["repair"]).refused(NETWORK);
    world.proxy.heal();
    repair(target);
    target.pkg(&["remove", "docs"]).ok();
}

#[test]
fn the_map_of_a_layer_and_the_catalog() {
    let Some((world, pushed, disk)) = site() else { return };
    let target = &world.target;
    let metadata = records(target, RecordType::TufMetadata);
    lose(&disk, entry(target, &pushed).map);
    // All but the root, which nobody could give back; and the keyring.
    let root = root_record(target, world.publisher.name());
    metadata.iter().filter(|entry| **entry != root).for_each(|entry| lose(&disk, entry.extent));
    lose(&disk, records(target, RecordType::Keyring)[0].extent);
    let found = damage(target);
    assert_eq!(found["records"].as_array().unwrap().len(), metadata.len(), "{found}");
    repair(target);
    target.pkg(&["remove", "docs"]).ok();
}

#[test]
fn the_map_of_a_layer_and_its_repository() {
    let Some((world, pushed, disk)) = site() else { return };
    let target = &world.target;
    lose(&disk, entry(target, &pushed).map);
    lose(&disk, records(target, RecordType::Repository)[0].extent);
    damage(target);
    // The layer cannot be fetched, but the map that stops everybody is let go of, so that the repository can be added.
    let line = target.pkg(&["repair"]).refused(DAMAGED);
    assert!(line.contains("pkg repo add") && line.contains("site/docs"), "{line}");
    let found = damage(target);
    assert!(found["layers"][0]["map"].as_str().unwrap().contains("are not here"), "{found}");
    assert_eq!(found["layers"].as_array().unwrap().len(), 1, "{found}");
    target.trust(&world.catalog(), world.publisher.root_sha256());
    target.pkg(&["update"]).ok();
    repair(target);
}

#[test]
fn one_superblock_copy_or_its_directory() {
    let Some((world, _, disk)) = site() else { return };
    let target = &world.target;
    for is_directory in [false, true] {
        let state = target.state();
        let older = 1 - store(target).view().chosen.number;
        let directory = store(target).view().other.as_ref().unwrap().superblock.directory;
        lose(&disk, if is_directory { directory } else { Extent { offset: COPIES[older], len: 4096 } });
        assert_eq!(damage(target)["superblock"]["copy"], older as u64);
        assert_eq!(target.state(), state);
        let before = disk.content();
        for args in [&["remove", "docs"][..], &["repair"], &["pin"]] {
            let line = target.pkg(args).refused(STORE);
            assert!(line.contains("must not be written"), "{line}");
        }
        assert!(disk.content() == before, "something was written");
        disk.heal();
        whole(target);
        target.pkg(&["unpin", "2"]).ok();
    }
}

#[test]
fn both_superblock_copies() {
    let Some((world, _, disk)) = site() else { return };
    let before = disk.content();
    COPIES.iter().for_each(|copy| disk.lose(*copy..copy + 4096));
    for args in [&["list"][..], &["verify"], &["repair"], &["install", "docs"]] {
        let line = world.target.pkg(args).refused(STORE);
        assert!(line.contains("store"), "{line}");
    }
    assert!(disk.content() == before, "something was written");
    disk.heal();
    whole(&world.target);
}

/// The record of a repository's trusted root.
fn root_record(target: &Target, name: &str) -> RecordEntry {
    let key = *blake3::hash(format!("{name}/root").as_bytes()).as_bytes();
    records(target, RecordType::TufMetadata).into_iter().find(|entry| entry.key == key).unwrap()
}
