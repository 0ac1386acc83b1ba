//! A large catalog of which nothing is new: the second `pkg upgrade` says so without reading it, and any change makes it look again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::{RecordType, Store};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, prose};
use plyos_test_system::world::World;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileExt;

/// Names that are made up beside the real ones: from so many offers on the note is written.
const NAMES: usize = 1000;
/// What a damaged record is refused with.
const REFUSED: [i32; 2] = [5, 7];

/// Offers copies of a layer under many names. They could not be installed, for their certificates are another's, but they are on offer.
fn crowd(world: &World, like: &str) {
    let path = world.publisher.workspace().join("offer.json");
    let mut offer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let targets = offer["targets"].as_object_mut().unwrap();
    let (name, entry) = targets.iter().find(|(name, _)| name.starts_with(like)).unwrap();
    let (arch, entry) = (name.rsplit('/').next().unwrap().to_owned(), entry.clone());
    for number in 0..NAMES {
        let (mut copy, name) = (entry.clone(), format!("crowd{number:04}"));
        copy["custom"]["descriptor"]["name"] = name.as_str().into();
        targets.insert(format!("package/{name}/1/{arch}"), copy);
    }
    fs::write(path, offer.to_string()).unwrap();
    world.publisher.publish(&[]);
}

/// Damages the largest piece of metadata that the store keeps.
fn damage_catalog(world: &World) {
    let extent = {
        let store = Store::open(world.target.store()).unwrap();
        store
            .records(RecordType::TufMetadata)
            .map(|entry| entry.extent)
            .max_by_key(|extent| extent.len)
            .unwrap()
    };
    let (file, at) = (
        fs::OpenOptions::new().read(true).write(true).open(world.target.store()).unwrap(),
        extent.offset + extent.len / 2,
    );
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn that_nothing_is_new_is_remembered_until_something_changes() {
    let world = World::new();
    let target = &world.target;
    let tool = |version: &str| {
        world.release(
            &Tree::new().file("usr/share/tool", prose(version.len() as u64, 40)),
            &Layer::package("tool", version),
        )
    };
    tool("1");
    crowd(&world, "package/tool/");
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "tool"]).ok();
    let sequence = || target.json(&["status"])["sequence"].as_u64().unwrap();
    let nothing = |args: &[&str]| assert!(target.pkg(args).ok().text().contains("Nothing to do"), "{args:?}");

    let before = sequence();
    nothing(&["upgrade", "--dry-run"]);
    assert_eq!(sequence(), before, "a dry run writes nothing");
    nothing(&["upgrade"]);
    let noted = sequence();
    assert!(noted > before, "it is not noted");
    nothing(&["upgrade"]);
    assert_eq!(target.json(&["upgrade"])["changes"], serde_json::json!([]));
    assert_eq!(sequence(), noted, "it was noted again");

    // What is new is seen.
    tool("22");
    target.pkg(&["update"]).ok();
    target.pkg(&["upgrade"]).ok();
    assert_eq!(target.installed(), ["plain 1", "tool 22"]);

    // Whoever knows it does not look at the catalog; with another hold it has to.
    nothing(&["upgrade"]);
    damage_catalog(&world);
    nothing(&["upgrade"]);
    target.pkg(&["hold", "tool"]).ok();
    let code = target.pkg(&["upgrade"]).code.unwrap();
    assert!(REFUSED.contains(&code), "{code}");
}

#[test]
fn of_a_small_catalog_nothing_is_noted() {
    let world = World::new();
    let before = world.target.json(&["status"])["sequence"].clone();
    assert!(world.target.pkg(&["upgrade"]).ok().text().contains("Nothing to do"));
    assert_eq!(world.target.json(&["status"])["sequence"], before);
}
