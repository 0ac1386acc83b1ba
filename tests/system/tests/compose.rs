//! `plyos push` of a next version to our own registry: only what is new goes over the network, and the blob is the one that a
//! registry without that would hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{Running, built, command};
use plyos_test_system::proxy::{Fault, Proxy, Rule};
use plyos_test_system::registry::Registry;
use plyos_test_system::trees::{Tree, noise, prose};
use serde_json::Value;
use tempfile::TempDir;

/// A publisher who pushes through a proxy.
struct Publisher {
    proxy: Proxy,
    registry: Registry,
    home: TempDir,
}

impl Publisher {
    fn new() -> Self {
        let registry = Registry::start();
        let proxy = Proxy::to(registry.address());
        Self { proxy, registry, home: TempDir::with_prefix("plyos-compose-").unwrap() }
    }

    fn push(&self, tree: &Tree, tag: &str, level: &str) -> Value {
        let mut push = command(built("plyos"), self.home.path());
        push.args(["--json", "push"]).arg(tree.path()).arg(format!("{}/site:{tag}", self.proxy.address()));
        // The same name and version each time: then the same tree is the same layer.
        push.args(["--kind", "site", "--name", "site", "--version", "1", "--level", level]);
        Running::start(&mut push).end().json()
    }

    /// Bytes that went to the registry in bodies of uploads.
    fn uploaded(&self) -> u64 {
        let carried = self.proxy.take_carried();
        carried
            .iter()
            .filter(|carried| carried.path.contains("/blobs/uploads/"))
            .map(|carried| carried.sent)
            .sum()
    }
}

fn first() -> Tree {
    Tree::new().file("a", noise(1, 2_000_000)).file("m", prose(1, 200_000)).file("z", noise(2, 1_000_000))
}

/// The first with a changed file in the middle and one more.
fn second() -> Tree {
    Tree::new()
        .file("a", noise(1, 2_000_000))
        .file("m", prose(2, 200_000))
        .file("n", noise(3, 70_000))
        .file("z", noise(2, 1_000_000))
}

fn blob_bytes(facts: &Value) -> u64 {
    facts["bytes"]["blob"].as_u64().unwrap()
}

#[test]
fn a_next_version_sends_what_is_new() {
    let publisher = Publisher::new();
    let whole = publisher.push(&first(), "1", "3");
    assert_eq!(whole["bytes"]["sent"], whole["bytes"]["blob"]);
    publisher.uploaded();

    let next = publisher.push(&second(), "2", "3");
    let (sent, uploaded) = (next["bytes"]["sent"].as_u64().unwrap(), publisher.uploaded());
    assert!(sent * 4 < blob_bytes(&next), "{next}");
    assert!(uploaded < sent + 16_384, "{uploaded} of {sent}");
    // Another publisher and another registry, to which all of it goes.
    let alone = Publisher::new().push(&second(), "2", "3");
    assert_eq!((&alone["blob"], &alone["layer"]), (&next["blob"], &next["layer"]));
    assert_eq!(alone["bytes"]["sent"], alone["bytes"]["blob"]);
}

/// Frames of the same length may hold other bytes when they were made at another level; then the digest is wrong, and it is sent whole.
#[test]
fn a_base_by_another_encoder_does_no_harm() {
    let publisher = Publisher::new();
    publisher.push(&first(), "1", "19");
    let next = publisher.push(&second(), "2", "1");
    let alone = Publisher::new().push(&second(), "2", "1");
    assert_eq!(alone["blob"], next["blob"]);
}

#[test]
fn instructions_that_are_refused_are_sent_as_bytes() {
    let publisher = Publisher::new();
    publisher.push(&first(), "1", "3");
    publisher.proxy.add(Rule::on("/blobs/uploads/", Fault::Status(415)).method("PATCH").times(1));
    let next = publisher.push(&second(), "2", "3");
    assert_eq!(next["bytes"]["sent"], next["bytes"]["blob"]);
}

/// What is copied is hashed by the registry: frames that are not what they were make another blob, which nobody gets.
#[test]
fn a_damaged_base_is_noticed_and_not_built_on() {
    let publisher = Publisher::new();
    let whole = publisher.push(&first(), "1", "3");
    let damage = publisher.registry.stored().flip(whole["blob"].as_str().unwrap(), 1_000_000);
    let next = publisher.push(&second(), "2", "3");
    assert_eq!(next["bytes"]["sent"], next["bytes"]["blob"]);
    let stored = publisher.registry.stored().read(next["blob"].as_str().unwrap());
    assert_eq!(stored.len() as u64, blob_bytes(&next));
    damage.repair();
}
