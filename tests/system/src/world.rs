//! What most tests begin with: a registry, a publisher, and targets that reach the registry through a proxy.

use crate::proxy::Proxy;
use crate::publisher::{Layer, Publisher, Pushed};
use crate::registry::{CATALOG, Registry};
use crate::target::Target;
use crate::trees::{self, Tree};

/// Everything.
#[derive(Debug)]
pub struct World {
    /// The target; it trusts the repository and has fetched the catalog.
    pub target: Target,
    /// Between target and registry.
    pub proxy: Proxy,
    /// Who publishes.
    pub publisher: Publisher,
    /// Where.
    pub registry: Registry,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// With a base published and installed as generation 1.
    pub fn new() -> Self {
        let world = Self::empty();
        world.release(&trees::base(), &Layer::new("base", "plain", "1"));
        world.target.trust(&world.catalog(), world.publisher.root_sha256());
        world.target.pkg(&["update"]).ok();
        world.target.pkg(&["install", "plain"]).ok();
        assert_eq!(world.target.generation(), 1);
        world
    }

    /// With nothing published, and a target that has no store.
    pub fn empty() -> Self {
        let registry = Registry::start();
        let proxy = Proxy::to(registry.address());
        Self { target: Target::new(), proxy, publisher: Publisher::new(&registry), registry }
    }

    /// Address of the catalog as targets reach it.
    pub fn catalog(&self) -> String {
        format!("http://{}/catalog/{CATALOG}", self.proxy.address())
    }

    /// Another target, which trusts the repository and has fetched nothing.
    pub fn another_target(&self) -> Target {
        let target = Target::new();
        target.trust(&self.catalog(), self.publisher.root_sha256());
        target
    }

    /// Pushes a tree.
    pub fn push(&self, tree: &Tree, layer: &Layer) -> Pushed {
        self.publisher.push(&self.registry, tree.path(), layer)
    }

    /// Pushes a tree and publishes it.
    pub fn release(&self, tree: &Tree, layer: &Layer) -> Pushed {
        let pushed = self.push(tree, layer);
        self.publisher.publish(&[&pushed]);
        pushed
    }

    /// Pushes a tree, publishes it, and lets the target know.
    pub fn offer(&self, tree: &Tree, layer: &Layer) -> Pushed {
        let pushed = self.release(tree, layer);
        self.target.pkg(&["update"]).ok();
        pushed
    }
}
