//! A limit on downloads holds, and everything comes all the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::programs::wait_for;
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use serde_json::Value;

const USAGE: i32 = 2;
const LENGTH: usize = 3_000_000;

fn world() -> World {
    let world = World::new();
    world.offer(&Tree::new().file("usr/large", noise(1, LENGTH)), &Layer::package("large", "1"));
    world
}

/// Who may fetch 1 KiB a second needs most of an hour, and is overtaken by those that begin later.
#[test]
fn who_is_limited_is_overtaken() {
    let world = world();
    world.target.pkg(&["config", "set", "download.limit", "1KiB"]).ok();
    let flag = world.another_target();
    flag.pkg(&["update"]).ok();
    let mut limited = [
        world.target.start(&["install", "large"]),
        flag.start(&["--download-limit", "1K", "install", "large"]),
    ];
    wait_for("requests", || (world.proxy.bytes_so_far() > 100_000).then_some(()));
    for _ in 0..3 {
        let other = world.another_target();
        other.pkg(&["update"]).ok();
        other.pkg(&["install", "large"]).ok();
        assert_eq!(other.cat("/usr/large"), noise(1, LENGTH));
    }
    for running in &mut limited {
        // It panics when it has ended.
        running.signal("CONT");
    }
    limited.into_iter().for_each(plyos_test_system::programs::Running::kill);
    // What the command line says counts before what is set.
    world.target.pkg(&["--download-limit", "1G", "install", "large"]).ok();
    assert_eq!(world.target.cat("/usr/large"), noise(1, LENGTH));
}

#[test]
fn it_is_a_setting_like_others() {
    let world = World::new();
    let value = || world.target.json(&["config", "get", "download.limit"])["value"].clone();
    assert_eq!(value(), Value::Null);
    world.target.pkg(&["config", "set", "download.limit", "2MiB"]).ok();
    assert_eq!(value(), 2 << 20);
    let line = world.target.refuses(USAGE, &["config", "set", "download.limit", "fast"]);
    assert!(line.contains("2MiB"), "{line}");
    world.target.pkg(&["config", "set", "download.limit", "none"]).ok();
    assert_eq!(value(), Value::Null);
    assert_eq!(world.target.pkg(&["--download-limit", "3", "list"]).code, Some(USAGE));
}
