//! `pkg verify` and `pkg repair`: each object of a target's store is damaged, named, and repaired by as little as is needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts by panicking"
)]

use plyos_storefile::{Extent, LayerEntry, RecordEntry, RecordType, Store};
use plyos_test_system::proxy::{Fault, Rule};
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

const DAMAGED: i32 = 5;
const NETWORK: i32 = 8;
const BIG: &str = "/www/docs/big";

fn big() -> Vec<u8> {
    noise(11, 1_500_000)
}

/// A site of many chunks, installed beside the base.
fn site() -> (World, Pushed) {
    let world = World::new();
    let mut tree = Tree::new().file("big", big()).file("index.html", prose(3, 50)).hard_link("same", "big");
    for number in 0..400 {
        tree = tree.file(&format!("pages/{number:03}"), prose(number, 30));
    }
    let pushed = world.offer(&tree, &Layer::new("site", "docs", "1"));
    world.target.pkg(&["install", "docs"]).ok();
    clean(&world.target);
    (world, pushed)
}

fn store(target: &Target) -> Store {
    Store::open(target.store()).unwrap()
}

/// The entry of a layer in the store's directory.
fn entry(target: &Target, pushed: &Pushed) -> LayerEntry {
    let id = pushed.text("layer");
    *store(target).layers().find(|entry| entry.id.to_string() == id).unwrap()
}

fn record(target: &Target, record_type: RecordType) -> RecordEntry {
    *store(target).records(record_type).next().unwrap()
}

/// Turns one bit of the store.
fn turn(target: &Target, offset: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

fn turn_middle(target: &Target, extent: Extent) {
    turn(target, extent.offset + extent.len / 2);
}

/// Turns a bit of a chunk in the middle of the big file; gives its number.
fn damage_chunk(target: &Target, pushed: &Pushed) -> u64 {
    let stored = store(target).layer(&entry(target, pushed).id).unwrap().unwrap();
    // The big file has a run of chunks of its own, and is the first entry but the root.
    let number = stored.places().len() as u64 / 3;
    turn_middle(target, stored.place(number).unwrap().extent().unwrap());
    number
}

fn clean(target: &Target) {
    assert_eq!(target.json(&["verify"])["clean"], true);
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

/// When the store was last written to.
fn written_at(target: &Target) -> SystemTime {
    fs::metadata(target.store()).unwrap().modified().unwrap()
}

fn count(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

/// Repairs, and sees that all is whole.
fn repair(target: &Target) -> Value {
    let done = target.json(&["repair"]);
    clean(target);
    assert_eq!(target.cat(BIG), big());
    done
}

#[test]
fn a_clean_store_is_clean_and_needs_no_repair() {
    let (world, _) = site();
    let said = world.target.pkg(&["verify"]).ok().text();
    assert!(said.starts_with("Clean: "), "{said}");
    let before = written_at(&world.target);
    assert_eq!(count(&world.target.json(&["repair"])["repaired"]), 0);
    assert_eq!(written_at(&world.target), before, "a repair of nothing writes nothing");
    let line = world.target.refuses(3, &["verify", "nothing"]);
    assert!(line.contains("nothing"), "{line}");
}

#[test]
fn a_damaged_chunk_is_named_with_its_files_and_fetched_alone() {
    let (world, pushed) = site();
    let number = damage_chunk(&world.target, &pushed);
    let found = damage(&world.target);
    let layer = &found["layers"][0];
    assert_eq!((count(&found["layers"]), count(&layer["chunks"])), (1, 1), "{found}");
    assert_eq!(layer["name"], "docs");
    assert_eq!(layer["chunks"][0]["number"], number);
    assert_eq!(layer["files"], serde_json::json!([BIG, "/www/docs/same"]));
    let said = world.target.pkg(&["verify"]).text();
    assert!(said.contains("file /www/docs/big") && said.contains(&format!("chunk {number} ")), "{said}");
    // Other layers are whole, and looked at alone they say so.
    world.target.pkg(&["verify", "plain"]).ok();
    assert_eq!(world.target.pkg(&["verify", "site/docs"]).code, Some(DAMAGED));
    assert_eq!(world.target.pkg(&["cat", BIG]).code, Some(7));

    world.proxy.take_carried();
    let done = repair(&world.target);
    let stored = layer["chunks"][0]["stored"].as_u64().unwrap();
    let ranges: Vec<_> = world.proxy.take_carried();
    let moved: u64 = ranges.iter().map(|one| one.bytes).sum();
    assert!(moved < stored + 20_000, "{moved} bytes for a chunk of {stored}: {ranges:?}");
    assert_eq!(count(&done["repaired"]), 1);
}

#[test]
fn a_chunk_that_another_layer_holds_elsewhere_needs_no_network() {
    let (world, pushed) = site();
    // A second layer with the same file comes to share the chunks: both are damaged, and one fetch repairs both.
    let other = world.offer(&Tree::new().file("copy", big()), &Layer::new("site", "other", "1"));
    world.target.pkg(&["install", "other"]).ok();
    damage_chunk(&world.target, &pushed);
    let found = damage(&world.target);
    assert_eq!(count(&found["layers"]), 2, "{found}");
    repair(&world.target);
    assert_eq!(world.target.cat("/www/other/copy"), big());
    // Now the map of the second one is lost: all that it needs is in the first.
    turn_middle(&world.target, entry(&world.target, &other).map);
    world.proxy.take_carried();
    assert_eq!(damage(&world.target)["layers"][0]["name"], "other");
    let fetched = repair(&world.target)["downloaded_bytes"].as_u64().unwrap();
    assert!(fetched < 20_000, "{fetched} bytes: all but its own headers is in the other layer");
    assert_eq!(world.target.cat("/www/other/copy"), big());
}

#[test]
fn a_damaged_page_of_an_index_is_named_and_fetched_again() {
    let (world, pushed) = site();
    let pages = entry(&world.target, &pushed).index.len / 16_384;
    assert!(pages >= 3, "{pages}");
    for page in 0..pages {
        let before = entry(&world.target, &pushed);
        turn(&world.target, before.index.offset + page * 16_384 + 40);
        let found = damage(&world.target);
        assert_eq!(found["layers"][0]["index_pages"], serde_json::json!([page]), "{found}");
        let fetched = repair(&world.target)["downloaded_bytes"].as_u64().unwrap();
        assert!(fetched < 60_000, "page {page}: {fetched} bytes for an index");
        assert_ne!(entry(&world.target, &pushed).index, before.index);
    }
}

#[test]
fn with_index_and_chunk_damaged_both_are_repaired_at_once() {
    let (world, pushed) = site();
    damage_chunk(&world.target, &pushed);
    turn_middle(&world.target, entry(&world.target, &pushed).index);
    damage(&world.target);
    repair(&world.target);
}

#[test]
fn a_damaged_map_is_made_again() {
    let (world, pushed) = site();
    turn_middle(&world.target, entry(&world.target, &pushed).map);
    let found = damage(&world.target);
    assert!(found["layers"][0]["map"].is_string(), "{found}");
    assert_eq!(world.target.pkg(&["cat", BIG]).code, Some(7));
    repair(&world.target);
}

#[test]
fn damaged_records_are_fetched_or_made_again() {
    let (world, _) = site();
    world.target.pkg(&["pin"]).ok();
    for record_type in [
        RecordType::Certificate,
        RecordType::Manifest,
        RecordType::Keyring,
        RecordType::History,
        RecordType::Floors,
        RecordType::Pin,
    ] {
        let Some(entry) = store(&world.target).records(record_type).next().copied() else {
            assert_eq!(record_type, RecordType::Floors, "only floors may never have been written");
            continue;
        };
        let before = (world.target.installed(), count(&world.target.json(&["history"])));
        turn_middle(&world.target, entry.extent);
        let found = damage(&world.target);
        assert_eq!(found["records"][0]["type"], record_type.as_str());
        assert_eq!(count(&found["records"]), 1);
        repair(&world.target);
        assert_eq!(
            (world.target.installed(), count(&world.target.json(&["history"]))),
            before,
            "{record_type}"
        );
    }
}

#[test]
fn damaged_metadata_is_fetched_again_but_the_root_must_be_given() {
    let (world, _) = site();
    let keys: Vec<_> = store(&world.target).records(RecordType::TufMetadata).copied().collect();
    assert!(keys.len() >= 5, "root, timestamp, snapshot, targets and kinds");
    let mut roots = 0;
    for entry in keys {
        // What was repaired before may have moved it.
        let now =
            store(&world.target).records(RecordType::TufMetadata).find(|one| one.key == entry.key).copied();
        turn_middle(&world.target, now.unwrap().extent);
        damage(&world.target);
        let ended = world.target.pkg(&["repair"]);
        if ended.code == Some(0) {
            clean(&world.target);
            continue;
        }
        roots += 1;
        let line = ended.refused(DAMAGED);
        assert!(line.contains("pkg repo add"), "{line}");
        world.target.trust(&world.catalog(), world.publisher.root_sha256());
        world.target.pkg(&["update"]).ok();
        clean(&world.target);
    }
    assert_eq!(roots, 1);
    assert_eq!(world.target.cat(BIG), big());
}

#[test]
fn a_repository_whose_record_is_damaged_is_added_again() {
    let (world, _) = site();
    turn_middle(&world.target, record(&world.target, RecordType::Repository).extent);
    damage(&world.target);
    let line = world.target.pkg(&["repair"]).refused(DAMAGED);
    assert!(
        line.contains(&format!("'{}'", world.publisher.name())) && line.contains("pkg repo add"),
        "{line}"
    );
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    clean(&world.target);
    assert_eq!(world.target.cat(BIG), big());
}

#[test]
fn a_lost_generation_is_said_and_left_until_no_slot_names_it() {
    let (world, _) = site();
    let generation = |target: &Target| {
        let active = *store(target).slots().active().unwrap();
        *store(target)
            .records(RecordType::Generation)
            .find(|one| one.key == *active.generation.as_bytes())
            .unwrap()
    };
    turn_middle(&world.target, generation(&world.target).extent);
    assert_eq!(damage(&world.target)["records"][0]["type"], "generation");
    let line = world.target.pkg(&["repair"]).refused(DAMAGED);
    assert!(line.contains("generation 2") && line.contains("rollback"), "{line}");
    world.target.pkg(&["rollback", "1"]).ok();
    let line = world.target.pkg(&["repair"]).refused(DAMAGED);
    assert!(line.contains("next install"), "{line}");
    world.target.pkg(&["install", "docs"]).ok();
    repair(&world.target);
    assert_eq!(count(&world.target.json(&["history"])), 4);
}

#[test]
fn a_damaged_superblock_copy_is_named_and_written_anew() {
    let (world, _) = site();
    // The older one; without the newest one the state before the last commit counts.
    let older = 1 - store(&world.target).view().chosen.number as u64;
    turn(&world.target, older * 65_536 + 300);
    let found = damage(&world.target);
    assert_eq!(found["superblock"]["copy"], older);
    repair(&world.target);
    let newest = store(&world.target).view().chosen.number as u64;
    turn(&world.target, newest * 65_536 + 300);
    assert_eq!(damage(&world.target)["superblock"]["copy"], newest);
    repair(&world.target);
    // Both: nothing can be said of such a store, nor repaired.
    turn(&world.target, 300);
    turn(&world.target, 65_536 + 300);
    for command in ["verify", "repair"] {
        let line = world.target.pkg(&[command]).refused(7);
        assert!(line.contains("neither superblock"), "{line}");
    }
}

#[test]
fn without_a_network_nothing_is_changed() {
    let (world, pushed) = site();
    damage_chunk(&world.target, &pushed);
    turn_middle(&world.target, record(&world.target, RecordType::History).extent);
    world.proxy.add(Rule::on("", Fault::Silent));
    let before = written_at(&world.target);
    world.target.pkg(&["repair"]).refused(NETWORK);
    assert_eq!(written_at(&world.target), before, "the store was written to");
    world.proxy.heal();
    repair(&world.target);
}

#[test]
fn a_wrong_byte_from_the_network_repairs_nothing() {
    let (world, pushed) = site();
    damage_chunk(&world.target, &pushed);
    world.proxy.add(Rule::on("blobs", Fault::Flip(3)));
    world.target.pkg(&["repair"]).refused(DAMAGED);
    assert_eq!(count(&damage(&world.target)["layers"]), 1);
    world.proxy.heal();
    repair(&world.target);
}

#[test]
fn a_verification_goes_on_where_its_cursor_stands() {
    let (world, pushed) = site();
    let number = damage_chunk(&world.target, &pushed);
    let entry = entry(&world.target, &pushed);
    let uuid: String =
        store(&world.target).superblock().store_uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let map: String = entry.map_hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = world.target.beside("cursor");
    let cursor = |chunks: u64| {
        fs::write(&path, format!("plyos-verify 1 {uuid}\n{} {map} {chunks}\n", entry.id.to_hex())).unwrap();
    };
    let resumed = |target: &Target| target.pkg(&["verify", "--resume", text(&path)]);
    // What was clean up to the damage: it is found.
    cursor(number);
    resumed(&world.target).refused(DAMAGED);
    assert!(!path.exists(), "a run that came to its end needs no cursor");
    // What is behind the cursor is not read again.
    cursor(number + 1);
    resumed(&world.target).ok();
    // A map that has changed since makes the position void.
    repair(&world.target);
    damage_chunk(&world.target, &pushed);
    cursor(number + 1);
    resumed(&world.target).refused(DAMAGED);
    fs::write(&path, "something else\n").unwrap();
    resumed(&world.target).refused(2);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
