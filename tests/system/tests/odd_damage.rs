//! Damage that is seldom: records that no command of today writes, layers of a broken download, and a verification that is
//! killed in the middle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::{BadSets, Extent, LayerUpdate, RecordType, Store};
use plyos_test_system::programs::{Running, wait_for};
use plyos_test_system::publisher::Layer;
use plyos_test_system::strace;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const DAMAGED: i32 = 5;

fn turn_middle(target: &Target, extent: Extent) {
    let offset = extent.offset + extent.len / 2;
    let file = fs::OpenOptions::new().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

/// They are taken away, and all but the log and the list of bad sets are asked for again: nothing else knows what they held.
#[test]
fn records_that_nothing_else_knows() {
    let world = World::new();
    let target = &world.target;
    let state = target.state();
    for (record_type, to_do) in [
        (RecordType::Audit, false),
        (RecordType::Settings, true),
        (RecordType::EnrolledKey, true),
        (RecordType::Source, true),
        (RecordType::BadSets, false),
    ] {
        let mut writer = Store::writer(target.store(), Duration::from_secs(10)).unwrap();
        let bytes = match record_type {
            RecordType::BadSets => BadSets::default().emit(),
            _ => b"what only this record knows".to_vec(),
        };
        let key = if record_type == RecordType::EnrolledKey || record_type == RecordType::Source {
            [7; 32]
        } else {
            RecordType::ONLY
        };
        writer.put_record(record_type, &key, &bytes).unwrap();
        writer.commit(None).unwrap();
        drop(writer);
        target.pkg(&["verify"]).ok();
        let held = *Store::open(target.store()).unwrap().records(record_type).next().unwrap();
        turn_middle(target, held.extent);
        assert!(target.pkg(&["verify"]).refused(DAMAGED).contains("1 record"));
        let ended = target.pkg(&["repair"]);
        if to_do {
            let line = ended.refused(DAMAGED);
            assert!(line.contains(record_type.as_str()) && line.contains("enter it again"), "{line}");
        } else {
            assert!(ended.ok().text().contains("begins anew"));
        }
        assert_eq!(Store::open(target.store()).unwrap().records(record_type).count(), 0);
        target.pkg(&["verify"]).ok();
        target.pkg(&["repair"]).ok();
        assert_eq!(target.state(), state);
    }
}

/// What is left of a download that broke off is no damage; a damaged chunk of it is taken out, not fetched, and the next
/// try fetches only what is not here.
#[test]
fn a_layer_of_a_broken_download() {
    let world = World::new();
    let target = &world.target;
    let content = noise(5, 1_500_000);
    let pushed = world.offer(&Tree::new().file("usr/big", &content), &Layer::package("big", "1"));
    let generation = {
        target.pkg(&["install", "big"]).ok();
        *Store::open(target.store()).unwrap().slots().active().unwrap()
    };
    target.pkg(&["remove", "big"]).ok();
    target.pkg(&["rollback", "1"]).ok();
    // Half of its chunks, and no generation that names it: so a killed download leaves a layer.
    let mut writer = Store::writer(target.store(), Duration::from_secs(10)).unwrap();
    let entry = *writer.layers().find(|entry| entry.id.to_string() == pushed.text("layer")).unwrap();
    let stored = writer.layer(&entry.id).unwrap().unwrap();
    let index = writer.read_index(&entry).unwrap();
    let mut places = stored.places().to_vec();
    let half = places.len() / 2;
    places[half..].fill(None);
    let page_hashes = stored.page_hashes();
    let (id, manifest) = (entry.id, entry.manifest);
    writer.put_layer(LayerUpdate { id, index: &index, page_hashes, places: &places, manifest }).unwrap();
    writer.remove_record(RecordType::Generation, generation.generation.as_bytes());
    writer.commit(None).unwrap();
    // The layer holds the device, and so the lock, as long as the writer does.
    drop((writer, stored));
    target.pkg(&["verify"]).ok();
    turn_middle(target, places[half / 2].unwrap().extent().unwrap());
    assert!(target.pkg(&["verify"]).refused(DAMAGED).contains("1 chunk"));
    world.proxy.take_carried();
    let said = target.pkg(&["repair"]).ok().text();
    assert!(said.contains("its damaged chunks were taken out"), "{said}");
    assert!(world.proxy.take_carried().is_empty(), "nothing is fetched for it");
    target.pkg(&["verify"]).ok();
    let fetched = target.json(&["install", "big"])["downloaded_bytes"].as_u64().unwrap();
    assert!(fetched < pushed.blob_len() * 3 / 4, "{fetched} of {}", pushed.blob_len());
    assert_eq!(target.cat("/usr/big"), content);
}

/// A run that is killed leaves its position, written every two seconds; the next one looks at nothing before it again.
#[test]
fn a_verification_that_is_killed_goes_on_where_it_was() {
    let world = World::new();
    let target = &world.target;
    for name in ["one", "two", "three"] {
        let tree = Tree::new().file(
            &format!("usr/{name}"),
            noise(name.len() as u64 + u64::from(name.as_bytes()[1]), 3_000_000),
        );
        world.offer(&tree, &Layer::package(name, "1"));
        target.pkg(&["install", name]).ok();
    }
    let all = target.json(&["verify"])["checked"]["chunks"].as_u64().unwrap();
    let position = target.beside("position");
    // Each read takes so long under strace that the two seconds are over in the middle.
    if !strace::usable() {
        return;
    }
    let verify = target.command(&["verify", "--resume", position.to_str().unwrap()]);
    let running = Running::start(&mut strace::slowed(&verify, "pread64", Duration::from_millis(60)));
    wait_for("a position", || position.exists().then_some(()));
    running.kill();
    let noted: u64 = fs::read_to_string(&position)
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    let checked = target.json(&["verify", "--resume", position.to_str().unwrap()]);
    let (again, resumed) = (&checked["checked"]["chunks"], &checked["checked"]["resumed_chunks"]);
    assert!(noted > 0 && noted < all, "{noted} of {all}");
    assert_eq!(resumed.as_u64(), Some(noted));
    assert_eq!(again.as_u64(), Some(all - noted), "what was clean is not looked at again");
    assert!(!position.exists(), "a run that came to its end needs no position");
}
