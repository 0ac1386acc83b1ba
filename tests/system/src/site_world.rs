//! A world whose target shows a base and a site, of which there are versions: each holds nothing but its number.

use crate::publisher::Layer;
use crate::target::Target;
use crate::trees::Tree;
use crate::world::World;

/// The file that holds the number of the site's version.
pub const VERSION: &str = "/www/docs/version";

/// A base as generation 1, and the site in version 1 as generation 2.
pub fn world() -> World {
    let world = World::new();
    offer(&world, 1);
    world.target.pkg(&["install", "docs"]).ok();
    world
}

/// Publishes a version of the site, and lets the target know.
pub fn offer(world: &World, version: u64) {
    let tree = Tree::new().file("version", format!("{version}"));
    world.offer(&tree, &Layer::new("site", "docs", &version.to_string()));
}

/// What `pkg status` says of the slot that holds a generation.
pub fn slot(target: &Target, generation: u64) -> String {
    let status = target.json(&["status"]);
    let slots = [&status["slots"]["a"], &status["slots"]["b"]];
    let slot = slots.into_iter().find(|slot| slot["generation"] == generation).unwrap();
    slot["state"].as_str().unwrap().to_owned()
}
