//! `--dry-run` of what changes the store: it says what would be done, and not a byte of the store is another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::Store;
use plyos_test_system::programs::Ended;
use plyos_test_system::publisher::{Layer, Publisher};
use plyos_test_system::registry::Registry;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use std::fs;
use std::os::unix::fs::FileExt;

/// A target with a small store, so that all of it can be compared.
struct Small {
    target: Target,
    registry: Registry,
    publisher: Publisher,
}

impl Small {
    fn new() -> Self {
        let registry = Registry::start();
        let publisher = Publisher::new(&registry);
        let target = Target::new();
        target.pkg(&["init", "--size", "32M"]).ok();
        let small = Self { target, registry, publisher };
        small.release("1");
        small.target.trust(&small.registry.catalog(), small.publisher.root_sha256());
        small.target.pkg(&["update"]).ok();
        small.target.pkg(&["install", "docs"]).ok();
        small
    }

    fn release(&self, version: &str) {
        let tree = Tree::new().file("big", noise(version.len() as u64, 400_000)).file("version", version);
        let pushed = self.publisher.push(&self.registry, tree.path(), &Layer::new("site", "docs", version));
        self.publisher.publish(&[&pushed]);
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.target.store()).unwrap()
    }

    /// Runs a command that must leave the store as it is, in both ways of speaking.
    fn leaves_everything(&self, args: &[&str]) -> Ended {
        let before = self.bytes();
        let said = self.target.pkg(args).ok();
        assert!(self.target.json(args).to_string().contains("\"dry_run\":true"), "{args:?}");
        assert!(self.bytes() == before, "{args:?} changed the store");
        said
    }
}

#[test]
fn update_keeps_nothing() {
    let small = Small::new();
    small.release("22");
    let said = small.leaves_everything(&["update", "--dry-run"]).text();
    assert!(said.contains("2 layers on offer") && said.contains("would be updated"), "{said}");
    let said = small.target.pkg(&["upgrade", "--dry-run"]).ok().text();
    assert!(said.contains("Nothing to do"), "the catalog was kept: {said}");
    small.target.pkg(&["update"]).ok();
    let said = small.leaves_everything(&["update", "--dry-run"]).text();
    assert!(said.contains("nothing new"), "{said}");
    small.target.pkg(&["upgrade"]).ok();
    assert_eq!(small.target.cat("/www/docs/version"), b"22");
}

#[test]
fn grow_grows_nothing() {
    let small = Small::new();
    let said = small.leaves_everything(&["grow", "64M", "--dry-run"]).text();
    assert!(said.contains("would have 64 MiB (has 32 MiB)"), "{said}");
    small.target.pkg(&["grow", "16M", "--dry-run"]).refused(2);
    small.target.pkg(&["grow", "64M"]).ok();
    assert_eq!(small.target.json(&["status"])["bytes"], 64 << 20);
}

#[test]
fn repair_repairs_nothing() {
    let small = Small::new();
    let said = small.leaves_everything(&["repair", "--dry-run"]).text();
    assert!(said.contains("Nothing is damaged"), "{said}");
    let place = {
        let store = Store::open(small.target.store()).unwrap();
        let entry = *store.layers().next().unwrap();
        store.layer(&entry.id).unwrap().unwrap().places()[1].unwrap()
    };
    let file = fs::OpenOptions::new().read(true).write(true).open(small.target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place.offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place.offset).unwrap();
    let said = small.leaves_everything(&["repair", "--dry-run"]).text();
    assert!(
        said.contains("1 damaged chunks") && said.contains("site/docs 1") && said.contains("'main'"),
        "{said}"
    );
    small.target.pkg(&["verify"]).refused(5);
    small.target.pkg(&["repair"]).ok();
    small.target.pkg(&["verify"]).ok();
}
