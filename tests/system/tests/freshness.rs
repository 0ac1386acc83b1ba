//! Catalogs that were good once: expired, or older than what a target has seen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::{Layer, now};
use plyos_test_system::registry::Tampered;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;
use std::time::Duration;

const SIGNATURE: i32 = 5;
const DAY: u64 = 86_400;
/// Life of a timestamp, docs/formats.md, "TUF catalog".
const WEEK: u64 = 7 * DAY;

fn page(version: u32) -> Tree {
    Tree::new().file("page", format!("{version}"))
}

fn site(version: u32) -> Layer {
    Layer::new("site", "docs", &version.to_string())
}

#[test]
fn catalog_that_expired_while_nobody_looked() {
    let world = World::new();
    // Two lines of attack look the same: a publisher who forgot, and a mirror that stands still.
    world.publisher.sign_at(&world.registry, now() - WEEK - DAY);
    let line = world.target.refuses(SIGNATURE, &["update"]);
    assert!(line.contains("timestamp") && line.contains("expired"), "{line}");
    let fresh = world.another_target();
    fresh.refuses(SIGNATURE, &["update"]);
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    fresh.pkg(&["update"]).ok();
}

#[test]
fn kept_catalog_that_expires_before_it_is_used() {
    let world = World::new();
    world.release(&page(1), &site(1));
    let ends = now() + 6;
    world.publisher.sign_at(&world.registry, ends - WEEK);
    let target = world.another_target();
    target.pkg(&["update"]).ok();
    while now() <= ends {
        std::thread::sleep(Duration::from_millis(200));
    }
    let line = target.refuses(SIGNATURE, &["install", "docs"]);
    assert!(line.contains("expired"), "{line}");
    // What is installed does not expire.
    assert_eq!(world.target.cat("/etc/witness"), b"the base's own words\n");
    world.publisher.publish(&[]);
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "docs"]).ok();
}

#[test]
fn server_with_an_older_catalog_than_was_seen() {
    let world = World::new();
    world.offer(&page(1), &site(1));
    let timestamp = world.registry.catalog_folder().join("metadata/timestamp.json");
    let old = std::fs::read(&timestamp).unwrap();
    world.offer(&page(2), &site(2));
    let rolled_back = Tampered::with(&timestamp, |bytes| *bytes = old.clone());
    let line = world.target.refuses(SIGNATURE, &["update"]);
    assert!(line.contains("timestamp") && line.contains("older"), "{line}");
    // The newer one is still known, and still good.
    world.target.pkg(&["install", "docs"]).ok();
    assert_eq!(world.target.cat("/www/docs/page"), b"2");
    rolled_back.repair();
    world.target.pkg(&["update"]).ok();
}

#[test]
fn snapshot_and_timestamp_of_two_times() {
    let world = World::new();
    world.offer(&page(1), &site(1));
    let folder = world.registry.catalog_folder().join("metadata");
    let versions = || {
        let names = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let numbers = names.filter_map(|name| name.strip_suffix(".snapshot.json")?.parse::<u64>().ok());
        numbers.max().unwrap()
    };
    let old = std::fs::read(folder.join(format!("{}.snapshot.json", versions()))).unwrap();
    world.release(&page(2), &site(2));
    let newest = folder.join(format!("{}.snapshot.json", versions()));
    let mixed = Tampered::with(&newest, |bytes| *bytes = old.clone());
    let line = world.target.refuses(SIGNATURE, &["update"]);
    assert!(line.contains("snapshot"), "{line}");
    mixed.repair();
    world.target.pkg(&["update"]).ok();
}

#[test]
fn a_clock_that_is_behind_is_overruled_by_the_newest_signed_time() {
    // The clock of this machine cannot be set back, so the signed time is set forward instead: what was signed a day
    // ahead makes everything expire that ends before.
    let world = World::new();
    world.publisher.sign_at(&world.registry, now() + 2 * DAY);
    world.target.pkg(&["update"]).ok();
    assert!(world.target.json(&["status"])["time_floor"].as_u64().unwrap() > now() + DAY);
    world.publisher.sign_at(&world.registry, now() + DAY - WEEK);
    let line = world.target.refuses(SIGNATURE, &["update"]);
    assert!(line.contains("expired"), "{line}");
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
}
