//! The store of most cases: a base, and a site of two versions. Made once for all of them.

use std::sync::OnceLock;

use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, base, noise};
use plyos_test_system::world::World;
use plyos_test_vm::vm::store::StoreImage;

/// A file of the base that has many chunks, and its bytes.
pub const LARGE: &str = "/usr/lib/large";

/// Bytes of [`LARGE`].
pub fn large() -> Vec<u8> {
    noise(77, 3_000_000)
}

/// Generation 1 is the base, generations 2 and 3 have the site in versions 1 and 2; 3 is active, 2 in the other slot.
pub fn image() -> StoreImage {
    static MADE: OnceLock<StoreImage> = OnceLock::new();
    MADE.get_or_init(|| StoreImage::of(&world())).copied()
}

/// The site in a version: enough files for several index pages.
pub fn site(version: u32) -> Tree {
    let mut tree =
        Tree::new().file("version", format!("{version}")).file("page.html", noise(version.into(), 90_000));
    for number in 0..400 {
        tree = tree.file(&format!("many/a name of some length {number}"), format!("{version} {number}"));
    }
    tree
}

/// The world that [`image`] comes from, to be changed: its publisher, and its target with the store.
pub fn world() -> World {
    let world = World::empty();
    world.target.pkg(&["init", "--size", "32M"]).ok();
    world.release(&base().file(LARGE.trim_start_matches('/'), large()), &Layer::new("base", "plain", "1"));
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "plain"]).ok();
    world.offer(&site(1), &Layer::new("site", "docs", "1"));
    world.target.pkg(&["install", "docs"]).ok();
    world.offer(&site(2), &Layer::new("site", "docs", "2"));
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.generation(), 3);
    world
}
