//! Layers that nobody vouched for, in a catalog whose signatures are all good: whoever signs catalogs still cannot make
//! a target accept a layer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plyos_custody::{SecretKey, Signer as _, keys, repository::Workspace};
use plyos_ids::{LayerId, decode_hex};
use plyos_test_system::publisher::{Layer, Pushed, now};
use plyos_test_system::trees::{Tree, prose};
use plyos_test_system::world::World;
use plyos_trust::certificate::{Certificate, Statement};
use plyos_trust::signatures::Signatures;
use serde_json::{Value, json};

const SIGNATURE: i32 = 5;
const TARGET: &str = "package/victim/1/amd64";

fn with_victim() -> (World, Pushed) {
    let world = World::new();
    let tree = Tree::new().file("usr/share/victim", prose(1, 10));
    let pushed = world.offer(&tree, &Layer::package("victim", "1").with("--arch", "amd64"));
    (world, pushed)
}

fn certificate(layer: LayerId, key: &SecretKey) -> Value {
    let statement = Statement { layer, issued_at: now(), epoch: 1 };
    let signatures = Signatures::new(vec![key.sign(&statement.message()).unwrap()]).unwrap();
    json!(STANDARD.encode(Certificate::new(statement, signatures).emit()))
}

fn layer_id(pushed: &Pushed) -> LayerId {
    LayerId::from_bytes(decode_hex(pushed.text("layer").trim_start_matches("blake3:")).unwrap())
}

/// Publishes a catalog that says something else of the layer: installing it is refused until the catalog is right again.
fn refused_while(world: &World, expected: &str, change: impl FnOnce(&mut Value)) {
    let before = world.publisher.falsify(TARGET, change);
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
    assert!(line.contains("victim") && line.contains(expected), "{line}");
    before.restore();
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "victim"]).ok();
    assert_eq!(world.target.cat("/usr/share/victim"), prose(1, 10));
}

#[test]
fn signature_with_a_turned_bit() {
    let (world, _) = with_victim();
    refused_while(&world, "does not belong to this certificate", |custom| {
        let mut bytes = STANDARD.decode(custom["certificate"].as_str().unwrap()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        custom["certificate"] = json!(STANDARD.encode(bytes));
    });
}

#[test]
fn statement_with_another_epoch_than_was_signed() {
    let (world, _) = with_victim();
    refused_while(&world, "does not belong to this certificate", |custom| {
        let mut bytes = STANDARD.decode(custom["certificate"].as_str().unwrap()).unwrap();
        // docs/formats.md, "Certificate": the epoch is at offset 72.
        bytes[72] = 9;
        custom["certificate"] = json!(STANDARD.encode(bytes));
    });
}

#[test]
fn key_that_is_not_in_the_keyring() {
    let (world, pushed) = with_victim();
    let stranger = SecretKey::generate().unwrap();
    let forged = certificate(layer_id(&pushed), &stranger);
    refused_while(&world, "no key of the keyring", |custom| custom["certificate"] = forged);
}

#[test]
fn key_of_the_catalog_instead_of_a_layer_key() {
    let (world, pushed) = with_victim();
    let path = world.publisher.workspace().join("keys/targets.key");
    let targets_key = keys::open(&path, keys::Role::Targets).unwrap();
    let forged = certificate(layer_id(&pushed), &targets_key);
    refused_while(&world, "no key of the keyring", |custom| custom["certificate"] = forged);
}

#[test]
fn certificate_of_another_layer() {
    let (world, _) = with_victim();
    let other = world.release(&Tree::new().file("usr/other", "x"), &Layer::package("other", "1"));
    let path = world.publisher.workspace().join("keys/layer.key");
    let layer_key = keys::open(&path, keys::Role::Layer).unwrap();
    let good_for_other = certificate(layer_id(&other), &layer_key);
    refused_while(&world, "the certificate is for layer", |custom| custom["certificate"] = good_for_other);
}

#[test]
fn catalog_that_names_another_layer_than_the_manifest() {
    let (world, _) = with_victim();
    let other = world.release(&Tree::new().file("usr/other", "x"), &Layer::package("other", "1"));
    let path = world.publisher.workspace().join("keys/layer.key");
    let layer_key = keys::open(&path, keys::Role::Layer).unwrap();
    let good_for_other = certificate(layer_id(&other), &layer_key);
    refused_while(&world, "another layer", |custom| {
        custom["certificate"] = good_for_other;
        custom["layer"] = json!(other.text("layer"));
    });
}

#[test]
fn catalog_that_describes_the_layer_otherwise_than_it_does() {
    let (world, _) = with_victim();
    refused_while(&world, "descriptor", |custom| custom["descriptor"]["depends"] = json!(["plain"]));
}

#[test]
fn entry_that_cannot_be_read_is_named() {
    let (world, _) = with_victim();
    refused_while(&world, TARGET, |custom| custom["certificate"] = json!("bm8gY2VydGlmaWNhdGU="));
}

#[test]
fn revoked_layer_is_refused_and_one_that_is_active_is_not_read_any_more() {
    let (world, pushed) = with_victim();
    let second = world.another_target();
    second.pkg(&["update"]).ok();
    second.pkg(&["install", "victim"]).ok();
    {
        let mut workspace = Workspace::open(&world.publisher.workspace()).unwrap();
        let revoked = plyos_trust::keyring::Revocation::Layer(layer_id(&pushed));
        workspace.revise_keyring(now(), |statement| statement.revocations.push(revoked)).unwrap();
    }
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
    assert!(line.contains("victim") && line.contains("revoked"), "{line}");
    // Where it is installed the keyring comes with the next update, and then nothing of it is given out.
    assert_eq!(second.cat("/usr/share/victim"), prose(1, 10));
    second.pkg(&["update"]).ok();
    let line = second.refuses(SIGNATURE, &["cat", "/usr/share/victim"]);
    assert!(line.contains("victim") && line.contains("revoked"), "{line}");
    second.pkg(&["remove", "victim"]).ok();
    assert_eq!(second.installed(), Vec::<String>::new());
}

#[test]
fn older_keyring_than_the_one_held() {
    let (world, _) = with_victim();
    let folder = world.publisher.workspace();
    let old = std::fs::read(folder.join("keyring")).unwrap();
    {
        let mut workspace = Workspace::open(&folder).unwrap();
        workspace.revise_keyring(now(), |_| {}).unwrap();
    }
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    // The whole catalog is signed again, with the old keyring in it: a publisher's back-up that was put back.
    let newer = std::fs::read(folder.join("keyring")).unwrap();
    std::fs::write(folder.join("keyring"), old).unwrap();
    world.publisher.publish(&[]);
    let line = world.target.refuses(SIGNATURE, &["update"]);
    assert!(line.contains("keyring"), "{line}");
    std::fs::write(folder.join("keyring"), newer).unwrap();
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "victim"]).ok();
}
