//! Keys that change while targets are in use: rotation, new certificates, ceremonies, encrypted keys; and each refusal with
//! the code and the one line it ends with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{Ended, built, command, run};
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::trees::{Tree, prose};
use plyos_test_system::world::World;
use serde_json::Value;
use std::path::{Path, PathBuf};

const SIGNATURE: i32 = 5;
const MACHINE: i32 = 6;
const TARGET: &str = "package/victim/1/amd64";

fn with_victim() -> (World, Pushed) {
    let world = World::new();
    let tree = Tree::new().file("usr/share/victim", prose(1, 10));
    let pushed = world.offer(&tree, &Layer::package("victim", "1").with("--arch", "amd64"));
    (world, pushed)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `plyos` with the workspace as `--repo` at the end.
fn repo(world: &World, args: &[&str]) -> Ended {
    let workspace = world.publisher.workspace();
    let all = [args, &["--repo", text(&workspace)]].concat();
    world.publisher.plyos(all)
}

fn published(world: &World) {
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
}

fn new_key(world: &World, name: &str, role: &str) -> PathBuf {
    let folder = world.publisher.workspace().join("keys");
    world.publisher.plyos(["keys", "new", name, "--dir", text(&folder), "--role", role]).ok();
    folder.join(format!("{name}.key"))
}

fn refused(world: &World, code: i32, expected: &str) {
    let line = world.target.refuses(code, &["install", "victim"]);
    assert!(line.contains("victim") && line.contains(expected), "{line}");
}

fn installs(world: &World) {
    world.target.pkg(&["install", "victim"]).ok();
    assert_eq!(world.target.cat("/usr/share/victim"), prose(1, 10));
}

#[test]
fn rotation_with_overlap_while_targets_read() {
    let (world, _) = with_victim();
    installs(&world);
    new_key(&world, "layer-2", "layer");
    repo(&world, &["keyring", "rotate", "layer", "layer-2"]).ok();
    published(&world);
    assert_eq!(world.target.cat("/usr/share/victim"), prose(1, 10), "both keys are valid");
    let said = repo(&world, &["--json", "certify", "--all"]).json();
    let signatures =
        said["certified"].as_array().unwrap().iter().map(|row| row["signatures"].as_u64().unwrap());
    assert_eq!(signatures.collect::<Vec<_>>(), [2, 2], "base and victim, by both keys");
    world.target.pkg(&["update"]).ok();
    repo(&world, &["keyring", "revoke", "--key", "layer"]).ok();
    let shown = repo(&world, &["--json", "keyring", "show"]).json();
    let revoked: Vec<bool> =
        shown["keys"].as_array().unwrap().iter().map(|key| key["revoked"].as_bool().unwrap()).collect();
    assert_eq!(revoked.iter().filter(|revoked| **revoked).count(), 1, "{shown}");
    published(&world);
    assert_eq!(world.target.cat("/usr/share/victim"), prose(1, 10), "its certificate came with the update");
    let fresh = world.another_target();
    fresh.pkg(&["update"]).ok();
    fresh.pkg(&["install", "victim"]).ok();
    assert_eq!(fresh.cat("/usr/share/victim"), prose(1, 10));
}

#[test]
fn certifying_again_moves_no_layer() {
    let (world, pushed) = with_victim();
    let said = repo(&world, &["--json", "certify", &pushed.place, "--epoch", "3"]).json();
    let row = &said["certified"][0];
    assert_eq!((row["target"].as_str(), row["epoch"].as_u64()), (Some(TARGET), Some(3)));
    assert_eq!(row["layer"], pushed.facts["layer"], "the layer is the same");
    let files = said["files"].as_array().unwrap().iter();
    assert!(files.into_iter().all(|file| file.as_str().unwrap().starts_with("metadata/")), "{said}");
    world.target.pkg(&["update"]).ok();
    installs(&world);
    let line = repo(&world, &["certify", TARGET, "--epoch", "2"]).refused(1);
    assert!(line.contains("would fall"), "{line}");
    let line = repo(&world, &["certify", "package/nobody/1/amd64"]).refused(3);
    assert!(line.contains("not on offer"), "{line}");
}

#[test]
fn powers_of_the_key_are_refused_by_name() {
    let (world, _) = with_victim();
    for (change, expected) in [
        (vec!["keyring", "set", "layer", "--kind", "site"], "may not sign layers of kind"),
        (
            vec!["keyring", "set", "layer", "--kind", "package", "--kind", "base", "--prefix", "vict0r"],
            "may not sign layers named",
        ),
        (vec!["keyring", "set", "layer", "--any-name", "--least-epoch", "9"], "from security epoch 9 on"),
    ] {
        repo(&world, &change).ok();
        published(&world);
        refused(&world, SIGNATURE, expected);
    }
    let line = repo(&world, &["certify", TARGET]).refused(SIGNATURE);
    assert!(line.contains("no layer key") && line.contains("keyring show"), "{line}");
    repo(&world, &["certify", "--all", "--epoch", "9"]).ok();
    world.target.pkg(&["update"]).ok();
    installs(&world);
}

#[test]
fn removed_and_revoked_keys_are_refused_and_the_publisher_is_told() {
    let (world, _) = with_victim();
    let ended = repo(&world, &["keyring", "remove", "layer"]).ok();
    assert!(ended.stderr.contains("plyos certify"), "{}", ended.stderr);
    published(&world);
    refused(&world, SIGNATURE, "no key of the keyring");
    repo(&world, &["keyring", "add", "layer"]).ok();
    published(&world);
    repo(&world, &["keyring", "revoke", "--key", "layer"]).ok();
    published(&world);
    refused(&world, SIGNATURE, "was revoked");
    let line = repo(&world, &["keyring", "revoke", "--key", "layer"]).refused(1);
    assert!(line.contains("revoked already"), "{line}");
}

#[test]
fn layer_of_another_machine_is_refused_with_its_own_code() {
    let (world, _) = with_victim();
    let tree = Tree::new().file("usr/share/board", "x");
    let manifest = world.target.beside("manifest.toml");
    std::fs::write(&manifest, "compatible = [\"acme,board-of-nobody\"]\n").unwrap();
    let board = Layer::package("board", "1").with("--arch", "any").with("--manifest", text(&manifest));
    world.offer(&tree, &board);
    let line = world.target.refuses(MACHINE, &["install", "board"]);
    assert!(line.contains("acme,board-of-nobody"), "{line}");
    for (option, value) in [("--arch", "riscv64"), ("--abi", "plyos-0")] {
        let name = format!("for-{value}");
        world.offer(&tree, &Layer::package(&name, "1").with(option, value));
        if value == "riscv64" {
            let line = world.target.refuses(MACHINE, &["install", &name]);
            assert!(line.contains("riscv64"), "{line}");
        } else {
            world.target.pkg(&["install", &name]).ok();
        }
    }
}

/// A repository of three root keys, two of which must sign; they lie in a folder of their own.
fn ceremony_world() -> (World, PathBuf) {
    let (world, _) = with_victim();
    let elsewhere = world.target.beside("roots");
    std::fs::create_dir(&elsewhere).unwrap();
    let proposal = world.target.beside("first.proposal");
    let mut args = vec!["ceremony", "propose", "--out", text(&proposal), "--threshold", "root=2"];
    let names: Vec<String> = (2..=3)
        .map(|number| {
            let name = format!("root-{number}");
            world.publisher.plyos(["keys", "new", &name, "--dir", text(&elsewhere), "--role", "root"]).ok();
            format!("root={}", text(&elsewhere.join(format!("{name}.pub"))))
        })
        .collect();
    names.iter().for_each(|name| args.extend(["--add", name]));
    repo(&world, &args).ok();
    let own = world.publisher.workspace().join("keys/root.key");
    for key in [own.clone(), elsewhere.join("root-2.key")] {
        sign(&world, &proposal, &key).ok();
    }
    repo(&world, &["ceremony", "commit", text(&proposal)]).ok();
    std::fs::rename(own, elsewhere.join("root-1.key")).unwrap();
    published(&world);
    (world, elsewhere)
}

fn sign(world: &World, proposal: &Path, key: &Path) -> Ended {
    world.publisher.plyos(["ceremony", "sign", text(proposal), "--key", text(key), "--yes"])
}

#[test]
fn threshold_ceremony_for_keyring_and_role_keys() {
    let (world, elsewhere) = ceremony_world();
    let key = |number: u32| elsewhere.join(format!("root-{number}.key"));
    // The keyring: alone the workspace can do nothing.
    new_key(&world, "layer-2", "layer");
    let line = repo(&world, &["keyring", "rotate", "layer", "layer-2"]).refused(SIGNATURE);
    assert!(line.contains("--propose"), "{line}");
    let ring = world.target.beside("ring.proposal");
    repo(&world, &["keyring", "rotate", "layer", "layer-2", "--propose", text(&ring)]).ok();
    let unasked = world.publisher.plyos(["ceremony", "sign", text(&ring), "--key", text(&key(1))]).refused(2);
    assert!(unasked.contains("--yes"), "{unasked}");
    sign(&world, &ring, &key(1)).ok();
    let line = repo(&world, &["ceremony", "commit", text(&ring)]).refused(SIGNATURE);
    assert!(line.contains("signed by 1 of the root keys and 2 are needed"), "{line}");
    sign(&world, &ring, &key(3)).ok();
    let shown: Value = world.publisher.plyos(["--json", "ceremony", "show", text(&ring)]).json();
    assert_eq!(shown["signed"][0]["signatures"], 2, "{shown}");
    repo(&world, &["ceremony", "commit", text(&ring)]).ok();
    published(&world);
    installs(&world);

    // Every online key is replaced; two copies are signed by two holders.
    let root = world.target.beside("root.proposal");
    let mut args = vec!["ceremony".to_owned(), "propose".into(), "--out".into(), text(&root).into()];
    for role in ["targets", "snapshot", "timestamp"] {
        new_key(&world, &format!("{role}-2"), role);
        args.extend([
            "--add".into(),
            format!("{role}={role}-2"),
            "--remove".into(),
            format!("{role}={role}"),
        ]);
    }
    repo(&world, &args.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    let copies: Vec<PathBuf> = [2, 3]
        .map(|number| {
            let out = world.target.beside(&format!("{number}.proposal"));
            let (file, signer) = (text(&root).to_owned(), key(number));
            let args = ["ceremony", "sign", &file, "--key", text(&signer), "--out", text(&out), "--yes"];
            world.publisher.plyos(args).ok();
            out
        })
        .to_vec();
    repo(&world, &["ceremony", "commit", text(&copies[0]), text(&copies[1])]).ok();
    for role in ["targets", "snapshot", "timestamp"] {
        std::fs::remove_file(world.publisher.workspace().join(format!("keys/{role}.key"))).unwrap();
    }
    published(&world);
    let fresh = world.another_target();
    fresh.pkg(&["update"]).ok();
    fresh.pkg(&["install", "victim"]).ok();
    assert_eq!(world.target.cat("/usr/share/victim"), prose(1, 10));
}

#[test]
fn encrypted_keys_are_opened_by_file_or_environment_and_refused_without() {
    let (world, pushed) = with_victim();
    let layer = world.publisher.workspace().join("keys/layer.key");
    let secret = world.target.beside("passphrase");
    std::fs::write(&secret, "correct horse\nthe rest is not read\n").unwrap();
    let protect = ["keys", "protect", text(&layer), "--new-passphrase-file", text(&secret)];
    world.publisher.plyos(protect).ok();
    assert!(std::fs::read_to_string(&layer).unwrap().contains("BEGIN ENCRYPTED PRIVATE KEY"));
    let line = repo(&world, &["certify", &pushed.place]).refused(1);
    assert!(line.contains("--passphrase-file") && line.contains("PLYOS_PASSPHRASE"), "{line}");
    repo(&world, &["certify", &pushed.place, "--passphrase-file", text(&secret)]).ok();
    let workspace = world.publisher.workspace();
    let certify = |passphrase: &str| {
        let args = ["certify", TARGET, "--repo", text(&workspace)];
        run(command(built("plyos"), &world.target.beside("")).env("PLYOS_PASSPHRASE", passphrase).args(args))
    };
    certify("correct horse").ok();
    let line = certify("battery staple").refused(1);
    assert!(line.contains("passphrase is not the right one"), "{line}");
    world.target.pkg(&["update"]).ok();
    installs(&world);
}
