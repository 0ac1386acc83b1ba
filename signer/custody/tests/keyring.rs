//! Keys that come, change and go: rotation with overlap, new certificates, ceremonies with root keys elsewhere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::{collections::BTreeMap, fs, path::Path};

use plyos_custody::{
    Signer as _,
    keys::{self, Role},
    repository::{
        EditError, InitOptions, KeyringEdit, LayerTarget, Powers, Proposal, ProposalError, PublishFile,
        RepositoryError, RootEdit, Workspace,
    },
};
use plyos_ids::{KeyId, Kind, KindSet, LayerId};
use plyos_trust::{
    custom::{LayerCustom, Sizes},
    keyring::{self, Keyring, LayerKey, Refusal},
    tuf::{Catalog, Held, Limits, Step, TargetName, Update},
};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const NAME: &str = "package/openssl/3.0/amd64";

type Server = BTreeMap<String, Vec<u8>>;

fn upload(server: &mut Server, files: Vec<PublishFile>) {
    server.extend(files.into_iter().map(|file| (file.path, file.bytes)));
}

fn update(server: &Server, held: BTreeMap<String, Vec<u8>>) -> Catalog {
    let root = held.get("root").unwrap_or(&server["metadata/1.root.json"]).clone();
    let mut update = Update::new(root, Held::from_files(held), NOW, Limits::default()).unwrap();
    loop {
        match update.next() {
            Step::Done(catalog) => return *catalog,
            Step::Fetch { path, .. } => update.supply(server.get(&path).cloned()).unwrap(),
        }
    }
}

/// What a client says of the layer on offer.
fn verdict(server: &Server, catalog: &Catalog) -> Result<u32, Refusal> {
    let ring = TargetName::parse("keyring").unwrap();
    let bytes = &server[&catalog.path_of(&ring, catalog.get(&ring).unwrap())];
    let role = catalog.root.root();
    let keyring = keyring::verify(&Keyring::parse(bytes).unwrap(), &role.keys(), role.threshold())?;
    let custom = LayerCustom::parse(&catalog.get(&TargetName::parse(NAME).unwrap()).unwrap().custom).unwrap();
    keyring.accept(&custom.certificate, custom.layer, Kind::Package, "openssl", 0).map(|good| good.epoch)
}

fn layer() -> LayerTarget {
    LayerTarget {
        descriptor: json!({"arch": "amd64", "kind": "package", "name": "openssl", "version": "3.0"}),
        kind: Kind::Package,
        name: "openssl".into(),
        version: "3.0".into(),
        arch: "amd64".into(),
        layer: LayerId::from_bytes([3; 32]),
        manifest: b"manifest".to_vec(),
        sizes: Sizes::default(),
        channels: vec!["stable".into()],
        epoch: 1,
        registry: None,
    }
}

fn started(dir: &Path, root_keys: u32, root_threshold: u32) -> (Workspace, Server) {
    let options = InitOptions { root_keys, root_threshold, ..InitOptions::new(NOW) };
    let mut workspace = Workspace::init(dir, &options).unwrap();
    workspace.add_layer(layer(), NOW).unwrap();
    let mut server = Server::new();
    let files = workspace.publish(NOW).unwrap();
    workspace.mark_published(&files).unwrap();
    upload(&mut server, files);
    (workspace, server)
}

fn id_of(dir: &Path, name: &str) -> KeyId {
    keys::public(&dir.join(format!("keys/{name}.pub"))).unwrap().public.key_id()
}

fn certify(workspace: &mut Workspace, epoch: Option<u32>) -> Result<u16, RepositoryError> {
    let name = TargetName::parse(NAME).unwrap();
    workspace.certify(&name, epoch, &[], NOW).map(|done| done.signatures)
}

#[test]
fn rotation_with_overlap_never_leaves_a_layer_without_a_good_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server) = started(dir.path(), 1, 1);
    let good = |server: &Server| verdict(server, &update(server, BTreeMap::new()));
    let new = keys::new(&dir.path().join("keys"), "layer-2", Role::Layer).unwrap();
    let old = id_of(dir.path(), "layer");
    workspace.edit_keyring(&[KeyringEdit::Rotate { old, new: *new.public() }], NOW).unwrap();
    upload(&mut server, workspace.publish(NOW).unwrap());
    assert_eq!(good(&server), Ok(1), "the old key is still good");
    assert_eq!(certify(&mut workspace, None).unwrap(), 2, "both sign");
    upload(&mut server, workspace.publish(NOW).unwrap());
    workspace.edit_keyring(&[KeyringEdit::RevokeKey(old)], NOW).unwrap();
    assert!(workspace.refused_offers().unwrap().is_empty());
    upload(&mut server, workspace.publish(NOW).unwrap());
    assert_eq!(good(&server), Ok(1), "the new key stands alone");
    assert_eq!(certify(&mut workspace, None).unwrap(), 1, "the revoked key signs no more");
    let back = workspace.edit_keyring(
        &[KeyringEdit::Rotate {
            old: new.public().key_id(),
            new: *keys::open(&dir.path().join("keys/layer.key"), Role::Layer).unwrap().public(),
        }],
        NOW,
    );
    assert!(matches!(back, Err(RepositoryError::Edit(EditError::WasRevoked(id))) if id == old), "{back:?}");
}

#[test]
fn certifying_again_changes_the_certificate_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, mut server) = started(dir.path(), 1, 1);
    let name = TargetName::parse(NAME).unwrap();
    let before = workspace.offered()[&name].clone();
    assert_eq!(certify(&mut workspace, Some(4)).unwrap(), 1);
    let after = workspace.offered()[&name].clone();
    assert_eq!((before.length, before.sha256), (after.length, after.sha256), "the manifest is the same");
    let custom = |file: &plyos_trust::tuf::TargetFile| LayerCustom::parse(&file.custom).unwrap();
    let (old, mut new) = (custom(&before), custom(&after));
    assert_eq!((old.certificate.statement.epoch, new.certificate.statement.epoch), (1, 4));
    new.certificate = old.certificate.clone();
    assert_eq!(old, new);
    let files = workspace.publish(NOW).unwrap();
    assert!(files.iter().all(|file| file.path.starts_with("metadata/")), "no target is uploaded again");
    upload(&mut server, files);
    assert_eq!(verdict(&server, &update(&server, BTreeMap::new())), Ok(4));
    let fallen = certify(&mut workspace, Some(3));
    assert!(matches!(fallen, Err(RepositoryError::Layer { .. })), "{fallen:?}");
}

#[test]
fn keys_sign_only_what_the_keyring_lets_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, _) = started(dir.path(), 1, 1);
    let id = id_of(dir.path(), "layer");
    let set = |powers| KeyringEdit::Set(id, powers);
    workspace.edit_keyring(&[set(Powers { least_epoch: Some(5), ..Powers::default() })], NOW).unwrap();
    let refused = workspace.refused_offers().unwrap();
    assert!(matches!(refused[0].1, Refusal::BelowLeastEpoch { least: 5, .. }), "{refused:?}");
    assert!(matches!(certify(&mut workspace, None), Err(RepositoryError::NoLayerKey { .. })));
    let named = [dir.path().join("keys/layer.key")];
    let name = TargetName::parse(NAME).unwrap();
    let refused = workspace.certify(&name, None, &named, NOW);
    assert!(matches!(refused, Err(RepositoryError::LayerRefused { .. })), "{refused:?}");
    assert_eq!(certify(&mut workspace, Some(5)).unwrap(), 1);
    let only_sites = Powers { kinds: Some(KindSet::default().with(Kind::Site)), ..Powers::default() };
    workspace.edit_keyring(&[set(only_sites)], NOW).unwrap();
    assert!(matches!(certify(&mut workspace, None), Err(RepositoryError::NoLayerKey { .. })));
    let unknown = workspace.edit_keyring(&[KeyringEdit::Remove(KeyId::default())], NOW);
    assert!(matches!(unknown, Err(RepositoryError::Edit(EditError::NoKey(_)))), "{unknown:?}");
    assert_eq!(workspace.keyring().version(), 3, "a refused change is none");
}

/// Takes the root keys out of the workspace, as their holders do.
fn take_root_keys(dir: &Path, elsewhere: &Path) {
    for number in 1..=3 {
        fs::rename(dir.join(format!("keys/root-{number}.key")), elsewhere.join(format!("{number}.key")))
            .unwrap();
    }
}

fn root_key(elsewhere: &Path, number: u32) -> plyos_custody::SecretKey {
    keys::open(&elsewhere.join(format!("{number}.key")), Role::Root).unwrap()
}

#[test]
fn keyring_ceremony_needs_its_threshold() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut workspace, mut server) = started(dir.path(), 3, 2);
    take_root_keys(dir.path(), elsewhere.path());
    let id = id_of(dir.path(), "layer");
    let alone = workspace.edit_keyring(&[KeyringEdit::Remove(id)], NOW);
    let none = Refusal::TooFewRootSignatures { found: 0, needed: 2 };
    assert!(matches!(&alone, Err(RepositoryError::KeyringRefused(found)) if *found == none), "{alone:?}");
    let new = keys::new(&dir.path().join("keys"), "site", Role::Layer).unwrap();
    let add = KeyringEdit::Add(LayerKey::new(new.public(), KindSet::default().with(Kind::Site)));
    let proposal = workspace.propose(None, &[add], NOW).unwrap();
    assert!(proposal.changes().unwrap().iter().any(|line| line.contains(&new.public().key_id().to_hex())));
    let outcome = proposal.outcome().unwrap().join("\n");
    for id in [id, new.public().key_id()] {
        assert!(outcome.contains(&id.to_hex()), "all that will hold is shown, changed or not: {outcome}");
    }
    let file = proposal.emit().unwrap();

    // Two copies go to two holders.
    let signed_by = |number| {
        let mut copy = Proposal::parse(&file).unwrap();
        copy.sign(&root_key(elsewhere.path(), number)).unwrap();
        Proposal::parse(&copy.emit().unwrap()).unwrap()
    };
    let mut proposal = signed_by(1);
    let too_few = workspace.commit(&proposal, NOW);
    let expected = Refusal::TooFewRootSignatures { found: 1, needed: 2 };
    assert!(
        matches!(&too_few, Err(RepositoryError::KeyringRefused(found)) if *found == expected),
        "{too_few:?}"
    );
    let mut twice = proposal.clone();
    twice.merge(signed_by(1)).unwrap();
    assert!(workspace.commit(&twice, NOW).is_err(), "one holder who signs twice counts once");
    assert_eq!(workspace.keyring().version(), 1);

    proposal.merge(signed_by(3)).unwrap();
    workspace.commit(&proposal, NOW).unwrap();
    assert_eq!(workspace.keyring().version(), 2);
    let again = workspace.commit(&proposal, NOW);
    assert!(matches!(again, Err(RepositoryError::Proposal(ProposalError::Outdated { .. }))), "{again:?}");
    upload(&mut server, workspace.publish(NOW).unwrap());
    assert_eq!(verdict(&server, &update(&server, BTreeMap::new())), Ok(1));
}

#[test]
fn proposals_that_are_not_what_was_signed_are_refused() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut workspace, _) = started(dir.path(), 3, 2);
    take_root_keys(dir.path(), elsewhere.path());
    let threshold = RootEdit::Threshold(Role::Root, 3);
    let mut proposal = workspace.propose(Some(&[threshold]), &[], NOW).unwrap();
    for number in 1..=3 {
        proposal.sign(&root_key(elsewhere.path(), number)).unwrap();
    }
    let stranger = plyos_custody::SecretKey::generate().unwrap();
    assert!(matches!(proposal.sign(&stranger), Err(ProposalError::NotARoot(_))));
    let text = String::from_utf8(proposal.emit().unwrap()).unwrap();
    let altered = text.replace("\"threshold\": 3", "\"threshold\": 2");
    assert_ne!(altered, text);
    let altered = Proposal::parse(altered.as_bytes()).unwrap();
    assert!(matches!(workspace.commit(&altered, NOW), Err(RepositoryError::Refused(_))));
    let other = Proposal::parse(text.as_bytes()).unwrap();
    let mut different =
        workspace.propose(None, &[KeyringEdit::RevokeLayer(LayerId::from_bytes([1; 32]))], NOW).unwrap();
    assert!(matches!(different.merge(other), Err(ProposalError::Different)));

    let second = tempfile::tempdir().unwrap();
    let (mut stranger, _) = started(second.path(), 1, 1);
    let refused = stranger.commit(&proposal, NOW);
    assert!(matches!(refused, Err(RepositoryError::Proposal(ProposalError::OtherRepository { .. }))));
    for bytes in [&b"{}"[..], b"", b"[]", &vec![b' '; 9 << 20]] {
        assert!(matches!(Proposal::parse(bytes), Err(ProposalError::Malformed(_))));
    }
    workspace.commit(&proposal, NOW).unwrap();
    assert_eq!(workspace.root().unwrap().root().threshold(), 3);
}

#[test]
fn every_role_gets_new_keys_and_a_client_follows() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut workspace, mut server) = started(dir.path(), 3, 2);
    let held = update(&server, BTreeMap::new()).files;
    take_root_keys(dir.path(), elsewhere.path());
    let new_root = keys::new(elsewhere.path(), "4", Role::Root).unwrap();
    let mut edits = vec![
        RootEdit::Add(Role::Root, *new_root.public()),
        RootEdit::Remove(Role::Root, root_key(elsewhere.path(), 1).public().key_id()),
        RootEdit::Remove(Role::Root, root_key(elsewhere.path(), 2).public().key_id()),
    ];
    for (role, name) in
        [(Role::Targets, "targets"), (Role::Snapshot, "snapshot"), (Role::Timestamp, "timestamp")]
    {
        let key = keys::new(&dir.path().join("keys"), &format!("{name}-2"), role).unwrap();
        edits.push(RootEdit::Add(role, *key.public()));
        edits.push(RootEdit::Remove(role, id_of(dir.path(), name)));
    }
    let mut proposal = workspace.propose(Some(&edits), &[], NOW).unwrap();
    let needed: Vec<_> = proposal.signed().unwrap().iter().map(|part| (part.found, part.needed)).collect();
    assert_eq!(needed, [(0, 2); 3], "root by the old keys, root by its own, the keyring by the new ones");
    for number in [1, 2, 3] {
        proposal.sign(&root_key(elsewhere.path(), number)).unwrap();
    }
    assert!(workspace.commit(&proposal, NOW).is_err(), "one of the new keys is not enough");
    assert_eq!(workspace.root().unwrap().header().version, 1);
    proposal.sign(&new_root).unwrap();
    workspace.commit(&proposal, NOW).unwrap();
    upload(&mut server, workspace.publish(NOW).unwrap());
    for catalog in [update(&server, BTreeMap::new()), update(&server, held)] {
        assert_eq!(catalog.root.header().version, 2);
        assert_eq!(verdict(&server, &catalog), Ok(1));
        assert_eq!(catalog.root.targets().keys().len(), 1);
    }
    // The old secrets are of no use any more, and nothing asks for them.
    for name in ["targets", "snapshot", "timestamp"] {
        fs::remove_file(dir.path().join(format!("keys/{name}.key"))).unwrap();
    }
    drop(workspace);
    let mut workspace = Workspace::open(dir.path()).unwrap();
    workspace.publish(NOW + 1).unwrap();
}

#[test]
fn a_role_without_its_key_is_named_and_nothing_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut workspace, _) = started(dir.path(), 1, 1);
    let elsewhere = plyos_custody::SecretKey::generate().unwrap();
    let edits = [
        RootEdit::Add(Role::Snapshot, *elsewhere.public()),
        RootEdit::Remove(Role::Snapshot, id_of(dir.path(), "snapshot")),
    ];
    let mut proposal = workspace.propose(Some(&edits), &[], NOW).unwrap();
    proposal.sign(&keys::open(&dir.path().join("keys/root.key"), Role::Root).unwrap()).unwrap();
    let refused = workspace.commit(&proposal, NOW);
    assert!(matches!(refused, Err(RepositoryError::TooFewKeys { role: Role::Snapshot, .. })), "{refused:?}");
    assert!(!dir.path().join("metadata/2.root.json").exists());
    workspace.publish(NOW).unwrap();
    let bare = [RootEdit::Remove(Role::Snapshot, id_of(dir.path(), "snapshot"))];
    let refused = workspace.propose(Some(&bare), &[], NOW);
    assert!(matches!(refused, Err(RepositoryError::Edit(EditError::Threshold { .. }))), "{refused:?}");
}
