//! A mount reads no more of a layer's map than its head: what follows when the rest is damaged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts by panicking")]

use plyos_storefile::{LayerEntry, Store};
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use std::fs;
use std::os::unix::fs::FileExt;

const STORE: i32 = 7;

fn entry(target: &Target, pushed: &Pushed) -> LayerEntry {
    let store = Store::open(target.store()).unwrap();
    *store.layers().find(|entry| entry.id.to_string() == pushed.text("layer")).unwrap()
}

/// Turns a bit of the last place in a layer's map.
fn damage(target: &Target, entry: &LayerEntry) {
    let file = fs::OpenOptions::new().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    let offset = entry.map.end() - 8;
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

#[test]
fn a_damaged_map_refuses_reads_of_its_layer_and_a_rollback_to_it_and_nothing_else() {
    let world = World::new();
    let old = world.offer(&Tree::new().file("page", noise(1, 300_000)), &Layer::new("site", "docs", "1"));
    let target = &world.target;
    target.pkg(&["install", "docs"]).ok();
    let with_old = target.generation();
    let other = world.offer(&Tree::new().file("page", noise(2, 1000)), &Layer::new("site", "other", "1"));
    target.pkg(&["install", "other"]).ok();
    assert_ne!(old.text("layer"), other.text("layer"));

    damage(target, &entry(target, &old));
    assert!(target.pkg(&["ls", "/www/docs"]).ok().text().contains("page"));
    assert_eq!(target.cat("/www/other/page"), noise(2, 1000));
    let line = target.refuses(STORE, &["cat", "/www/docs/page"]);
    assert!(line.contains("the map of layer") && line.contains("hash"), "{line}");
    target.refuses(STORE, &["rollback", &with_old.to_string()]);
    target.pkg(&["repair"]).ok();
    target.pkg(&["rollback", &with_old.to_string()]).ok();
    assert_eq!(target.cat("/www/docs/page"), noise(1, 300_000));
}
