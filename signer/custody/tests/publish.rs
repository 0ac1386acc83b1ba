//! What a workspace publishes is what the client workflow accepts; the server is a map from path to bytes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeMap;

use plyos_custody::repository::{
    InitOptions, LayerTarget, PublishFile, RepositoryError, Standing, Workspace,
};
use plyos_ids::{Kind, LayerId};
use plyos_trust::{
    custom::{LayerCustom, Sizes},
    keyring::{self, Keyring, Refusal, Revocation},
    tuf::{Catalog, Held, Limits, Step, TargetName, TufError, Update},
};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

type Server = BTreeMap<String, Vec<u8>>;

fn upload(server: &mut Server, files: Vec<PublishFile>) -> Vec<String> {
    let paths = files.iter().map(|file| file.path.clone()).collect();
    server.extend(files.into_iter().map(|file| (file.path, file.bytes)));
    paths
}

/// Runs an update; returns the catalog and what was fetched and found.
fn update(server: &Server, root: &[u8], held: Held, now: u64) -> Result<(Catalog, Vec<String>), TufError> {
    let mut update = Update::new(root.to_vec(), held, now, Limits::default())?;
    let mut fetched = Vec::new();
    loop {
        match update.next() {
            Step::Done(catalog) => return Ok((*catalog, fetched)),
            Step::Fetch { path, max_len, .. } => {
                let file = server.get(&path).cloned();
                assert!(file.as_ref().is_none_or(|file| file.len() as u64 <= max_len), "{path}");
                if file.is_some() {
                    fetched.push(path);
                }
                update.supply(file)?;
            }
        }
    }
}

fn layer(kind: Kind, name: &str, version: &str) -> LayerTarget {
    LayerTarget {
        descriptor: json!({"arch": "amd64", "kind": kind.as_str(), "name": name, "version": version}),
        kind,
        name: name.into(),
        version: version.into(),
        arch: "amd64".into(),
        layer: LayerId::from_bytes([version.len() as u8; 32]),
        manifest: format!("manifest of {name} {version}").into_bytes(),
        sizes: Sizes { blob: 10, index: 5, content: 100 },
        channels: vec!["stable".into()],
        epoch: 3,
        registry: None,
    }
}

fn started(dir: &std::path::Path) -> (Workspace, Server, Vec<u8>) {
    let mut workspace = Workspace::init(dir, &InitOptions::new(NOW)).unwrap();
    let mut server = Server::new();
    upload(&mut server, workspace.publish(NOW).unwrap());
    let root = server["metadata/1.root.json"].clone();
    (workspace, server, root)
}

#[test]
fn a_layer_goes_from_publisher_to_client() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    let name = workspace.add_layer(layer(Kind::Package, "openssl", "3.0"), NOW).unwrap();
    assert_eq!(name.as_str(), "package/openssl/3.0/amd64");
    upload(&mut server, workspace.publish(NOW + 1).unwrap());

    let (catalog, _) = update(&server, &root, Held::default(), NOW + 2).unwrap();
    assert_eq!(catalog.signed_at, Some(NOW + 1));
    let file = catalog.get(&name).unwrap();
    let manifest = &server[&catalog.path_of(&name, file)];
    file.check(&name, manifest).unwrap();
    assert_eq!(manifest, b"manifest of openssl 3.0");
    let custom = LayerCustom::parse(&file.custom).unwrap();
    assert_eq!(custom.descriptor["name"], "openssl");

    // The keyring that the catalog offers accepts the certificate that it offers, and not for another name.
    let (key_name, ring) = catalog.targets.iter().find(|(name, _)| name.as_str() == "keyring").unwrap();
    let keyring = Keyring::parse(&server[&catalog.path_of(key_name, ring)]).unwrap();
    let root = catalog.root.root();
    let keyring = keyring::verify(&keyring, &root.keys(), root.threshold()).unwrap();
    let accepted = keyring.accept(&custom.certificate, custom.layer, Kind::Package, "openssl", 3).unwrap();
    assert_eq!(accepted.epoch, 3);
    let refused = keyring.accept(&custom.certificate, custom.layer, Kind::Config, "openssl", 3);
    assert!(matches!(refused, Err(Refusal::WrongKind { kind: Kind::Config, .. })), "{refused:?}");
}

#[test]
fn nothing_is_fetched_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    workspace.add_layer(layer(Kind::Package, "a", "1"), NOW).unwrap();
    workspace.add_layer(layer(Kind::Site, "b", "1"), NOW).unwrap();
    upload(&mut server, workspace.publish(NOW).unwrap());
    let (first, fetched) = update(&server, &root, Held::default(), NOW).unwrap();
    assert_eq!(fetched.len(), 5, "timestamp, snapshot, targets, package, site: {fetched:?}");
    let held = || Held::from_files(first.files.clone());
    let (second, fetched) = update(&server, &root, held(), NOW).unwrap();
    assert_eq!(fetched, ["metadata/timestamp.json"]);
    assert_eq!(second.files, first.files);

    // A new site changes neither the packages nor the list of roles.
    workspace.add_layer(layer(Kind::Site, "b", "22"), NOW).unwrap();
    upload(&mut server, workspace.publish(NOW).unwrap());
    let (third, fetched) = update(&server, &root, held(), NOW).unwrap();
    assert_eq!(fetched, ["metadata/timestamp.json", "metadata/3.snapshot.json", "metadata/2.site.json"]);
    assert_eq!(third.targets.len(), 4);
    assert_eq!(Catalog::load(third.files.clone(), NOW, Limits::default()).unwrap(), third);
}

#[test]
fn upload_order_ends_with_the_timestamp_and_only_new_files_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, _, _) = started(dir.path());
    workspace.add_layer(layer(Kind::Package, "a", "1"), NOW).unwrap();
    let files = workspace.publish(NOW).unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let rank = |path: &&str| {
        let order =
            ["targets/", "root.json", "package.json", "targets.json", "snapshot.json", "timestamp.json"];
        order.iter().position(|part| path.contains(part)).unwrap()
    };
    assert!(paths.iter().map(rank).is_sorted(), "{paths:?}");
    assert_eq!(*paths.last().unwrap(), "metadata/timestamp.json");
    assert_eq!(workspace.files().unwrap(), files, "all of it is new to the server");

    // An upload that failed is listed again, one that was confirmed is not.
    assert_eq!(workspace.publish(NOW).unwrap().len(), files.len());
    let confirmed = workspace.publish(NOW).unwrap();
    workspace.mark_published(&confirmed).unwrap();
    drop(workspace);
    let mut workspace = Workspace::open(dir.path()).unwrap();
    let paths: Vec<String> = workspace.publish(NOW).unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["metadata/timestamp.json"]);
}

#[test]
fn confirming_an_old_timestamp_does_not_hide_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, _, _) = started(dir.path());
    let old = workspace.publish(NOW).unwrap();
    workspace.publish(NOW + 1).unwrap();
    workspace.mark_published(&old).unwrap();
    let paths: Vec<String> = workspace.publish(NOW + 2).unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["metadata/timestamp.json"]);
}

#[test]
fn removed_layer_disappears_and_its_role_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    let name = workspace.add_layer(layer(Kind::Model, "m", "1"), NOW).unwrap();
    upload(&mut server, workspace.publish(NOW).unwrap());
    let (first, _) = update(&server, &root, Held::default(), NOW).unwrap();
    assert!(workspace.remove_target(&name).unwrap());
    assert!(!workspace.remove_target(&name).unwrap());
    upload(&mut server, workspace.publish(NOW).unwrap());
    let (second, _) = update(&server, &root, Held::from_files(first.files), NOW).unwrap();
    assert!(second.get(&name).is_none());
    assert!(second.files.contains_key("model"), "a role that was listed stays listed");
}

#[test]
fn what_grows_old_is_signed_again_and_the_root_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    upload(&mut server, workspace.publish(NOW + 25 * DAY).unwrap());
    assert!(server.contains_key("metadata/2.snapshot.json"));
    assert!(!server.contains_key("metadata/2.targets.json"), "65 of 90 days are left");
    update(&server, &root, Held::default(), NOW + 31 * DAY).unwrap();

    let late = NOW + 300 * DAY;
    workspace.publish(late).unwrap();
    assert!(!dir.path().join("metadata/2.root.json").exists());
    upload(&mut server, workspace.resign(late).unwrap());
    let (catalog, _) = update(&server, &root, Held::default(), late).unwrap();
    assert_eq!(catalog.root.header().version, 2);
    assert_eq!(catalog.root.header().expires, late + 365 * DAY);
}

#[test]
fn expired_root_is_not_published_under() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, _, _) = started(dir.path());
    let late = NOW + 366 * DAY;
    let before = std::fs::read(dir.path().join("metadata/timestamp.json")).unwrap();
    let error = workspace.publish(late).unwrap_err();
    assert!(matches!(error, RepositoryError::Refused(TufError::Expired { .. })), "{error}");
    assert_eq!(std::fs::read(dir.path().join("metadata/timestamp.json")).unwrap(), before);
    workspace.resign(late).unwrap();
}

#[test]
fn revoked_layer_is_refused_by_the_next_keyring() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    let target = layer(Kind::Package, "a", "1");
    let id = target.layer;
    let name = workspace.add_layer(target, NOW).unwrap();
    workspace.revise_keyring(NOW, |statement| statement.revocations.push(Revocation::Layer(id))).unwrap();
    assert_eq!(workspace.keyring().version(), 2);
    upload(&mut server, workspace.publish(NOW).unwrap());
    let (catalog, _) = update(&server, &root, Held::default(), NOW).unwrap();
    let ring_name = TargetName::parse("keyring").unwrap();
    let keyring =
        Keyring::parse(&server[&catalog.path_of(&ring_name, catalog.get(&ring_name).unwrap())]).unwrap();
    let role = catalog.root.root();
    let keyring = keyring::verify(&keyring, &role.keys(), role.threshold()).unwrap().at_least(2).unwrap();
    let custom = LayerCustom::parse(&catalog.get(&name).unwrap().custom).unwrap();
    assert_eq!(
        keyring.accept(&custom.certificate, id, Kind::Package, "a", 0),
        Err(Refusal::RevokedLayer(id))
    );
    assert_eq!(keyring.at_least(3), Err(Refusal::KeyringRollback { offered: 2, held: 3 }));
}

#[test]
fn several_root_keys_sign_together() {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions { root_keys: 3, root_threshold: 2, ..InitOptions::new(NOW) };
    let mut workspace = Workspace::init(dir.path(), &options).unwrap();
    let root = workspace.root().unwrap();
    assert_eq!((root.root().keys().len(), root.root().threshold()), (3, 2));
    // Two of three are enough, one is not.
    std::fs::remove_file(dir.path().join("keys/root-3.key")).unwrap();
    workspace.revise_keyring(NOW, |_| {}).unwrap();
    std::fs::remove_file(dir.path().join("keys/root-1.key")).unwrap();
    let error = workspace.revise_keyring(NOW, |_| {}).unwrap_err();
    let expected = Refusal::TooFewRootSignatures { found: 1, needed: 2 };
    assert!(matches!(&error, RepositoryError::KeyringRefused(refusal) if *refusal == expected), "{error}");
    assert_eq!(workspace.keyring().version(), 2);
    for (root_keys, root_threshold) in [(0, 0), (1, 0), (1, 2), (17, 1)] {
        let options = InitOptions { root_keys, root_threshold, ..InitOptions::new(NOW) };
        let error = Workspace::init(&dir.path().join("other"), &options).unwrap_err();
        assert!(matches!(error, RepositoryError::Options(_)), "{error}");
    }
}

#[test]
fn a_workspace_has_one_user_and_begins_once() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Workspace::open(dir.path()), Err(RepositoryError::NoRepository(_))));
    let workspace = Workspace::init(dir.path(), &InitOptions::new(NOW)).unwrap();
    assert!(matches!(Workspace::open(dir.path()), Err(RepositoryError::Locked(_))));
    let pinned = workspace.root_sha256().unwrap();
    drop(workspace);
    let workspace = Workspace::open(dir.path()).unwrap();
    assert_eq!(workspace.root_sha256().unwrap(), pinned);
    drop(workspace);
    assert!(matches!(Workspace::init(dir.path(), &InitOptions::new(NOW)), Err(RepositoryError::Exists(_))));
}

#[test]
fn descriptor_that_names_another_layer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, _, _) = started(dir.path());
    let mut other = layer(Kind::Package, "a", "1");
    other.name = "b".into();
    assert!(matches!(workspace.add_layer(other, NOW), Err(RepositoryError::Layer { .. })));
    let mut nested = layer(Kind::Package, "a", "1");
    nested.version = "1/x".into();
    nested.descriptor["version"] = json!("1/x");
    assert!(matches!(workspace.add_layer(nested, NOW), Err(RepositoryError::Layer { .. })));
    let mut outside = layer(Kind::Package, "a", "1");
    outside.version = "..".into();
    outside.descriptor["version"] = json!("..");
    assert!(matches!(workspace.add_layer(outside, NOW), Err(RepositoryError::Name(_))));
}

#[test]
fn signing_that_was_cut_off_is_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    workspace.add_layer(layer(Kind::Package, "a", "1"), NOW).unwrap();
    let timestamp = dir.path().join("metadata/timestamp.json");
    let before = std::fs::read(&timestamp).unwrap();
    workspace.publish(NOW).unwrap();
    drop(workspace);
    // All was written but the timestamp.
    std::fs::write(&timestamp, before).unwrap();
    let mut workspace = Workspace::open(dir.path()).unwrap();
    assert!(workspace.files().unwrap().iter().all(|file| !file.path.contains("package")));
    upload(&mut server, workspace.publish(NOW).unwrap());
    let (catalog, _) = update(&server, &root, Held::default(), NOW).unwrap();
    assert_eq!(catalog.targets.len(), 2);
}

#[test]
fn a_workspace_knows_what_it_published_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, server, _) = started(dir.path());
    assert_eq!(workspace.standing(None).unwrap(), Standing::Empty);
    let timestamp = |server: &Server| server["metadata/timestamp.json"].clone();

    // Signed last, and the answer to its upload lost: ours, and it stays so when the next one is signed and not sent.
    let first = timestamp(&server);
    assert_eq!(workspace.standing(Some(&first)).unwrap(), Standing::Ours);
    let second = workspace.publish(NOW + 1).unwrap();
    assert_eq!(workspace.standing(Some(&first)).unwrap(), Standing::Ours);
    workspace.mark_published(&second).unwrap();
    assert_eq!(workspace.standing(Some(&first)).unwrap(), Standing::Foreign, "the server was set back");

    // A copy of the workspace publishes.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let mut other = Workspace::open(copy.path()).unwrap();
    let theirs = other.publish(NOW + 2).unwrap().pop().unwrap().bytes;
    assert_eq!(workspace.standing(Some(&theirs)).unwrap(), Standing::Foreign);
    workspace.publish(NOW + 3).unwrap();
    assert_eq!(
        workspace.standing(Some(&theirs)).unwrap(),
        Standing::Foreign,
        "whatever is signed here meanwhile"
    );
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            let _ = std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_name_that_is_taken_is_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server, root) = started(dir.path());
    workspace.add_layer(layer(Kind::Package, "a", "1"), NOW).unwrap();
    let taken: Vec<_> = workspace.publish(NOW).unwrap().into_iter().map(|file| file.path).collect();
    assert!(taken.contains(&"metadata/1.package.json".to_owned()), "{taken:?}");
    let files = workspace.publish_anew(&["package", "root", "timestamp"], NOW).unwrap();
    let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
    assert!(
        paths.contains(&"metadata/2.package.json") && !paths.contains(&"metadata/1.package.json"),
        "{paths:?}"
    );
    assert!(!paths.contains(&"metadata/2.root.json"), "of the root no version may be left out");
    upload(&mut server, files);
    let (catalog, _) = update(&server, &root, Held::default(), NOW).unwrap();
    assert_eq!(catalog.targets.len(), 2);
    // Only this once.
    let paths: Vec<_> = workspace.publish(NOW).unwrap().into_iter().map(|file| file.path).collect();
    assert!(!paths.contains(&"metadata/3.package.json".to_owned()), "{paths:?}");
}
