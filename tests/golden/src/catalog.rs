//! TUF metadata as `plyos-custody` publishes it, from keys of fixed seeds.
//!
//! A workspace makes random keys when it begins, so this module lays down the state directory of one that has begun with
//! fixed ones: keys, the first root, an empty catalog of version 1. All else is the work of custody: it opens that
//! directory, certifies a layer, revises the keyring and publishes. That the first root is spelled as custody spells
//! it, a test shows with the keys of a workspace that custody began itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use plyos_custody::keys::Role;
use plyos_custody::repository::{Expiries, LayerTarget, Workspace};
use plyos_custody::{SecretKey, Signer};
use plyos_ids::{Kind, KindSet};
use plyos_layer_format::index::layer_id;
use plyos_trust::custom::Sizes;
use plyos_trust::key::to_hex;
use plyos_trust::keyring::{Keyring, LayerKey, Statement};
use plyos_trust::signatures::Signatures;
use plyos_trust::tuf::{Envelope, SIGNED_AT, SPEC_VERSION};
use plyos_trust::{canonical, time};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::fixed::{NOW, key};
use crate::layer::{descriptor, small};
use crate::{Again, Golden, blob};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "tuf-root.json",
        section: "TUF catalog",
        what: "metadata/1.root.json: keys of seeds 1 (root), 3 (targets), 4 (snapshot), 5 (timestamp)",
        make: || published_file("metadata/1.root.json"),
        again: Again::Emit(|bytes| again("root", bytes)),
    },
    Golden {
        name: "tuf-timestamp.json",
        section: "TUF catalog",
        what: "metadata/timestamp.json, version 2",
        make: || published_file("metadata/timestamp.json"),
        again: Again::Emit(|bytes| again("timestamp", bytes)),
    },
    Golden {
        name: "tuf-snapshot.json",
        section: "TUF catalog",
        what: "metadata/2.snapshot.json",
        make: || published_file("metadata/2.snapshot.json"),
        again: Again::Emit(|bytes| again("snapshot", bytes)),
    },
    Golden {
        name: "tuf-targets.json",
        section: "TUF catalog",
        what: "metadata/2.targets.json: the keyring, and the delegation to role package",
        make: || published_file("metadata/2.targets.json"),
        again: Again::Emit(|bytes| again("targets", bytes)),
    },
    Golden {
        name: "tuf-package.json",
        section: "TUF catalog",
        what: "metadata/1.package.json: the small layer, whose manifest is oci-manifest.json, with its custom object",
        make: || published_file("metadata/1.package.json"),
        again: Again::Emit(|bytes| again("package", bytes)),
    },
];

const YEAR: u64 = 365 * 86_400;

/// The keys of the roles.
#[derive(Debug)]
pub struct Keys {
    /// Signs root and keyring.
    pub root: SecretKey,
    /// Signs targets and kinds.
    pub targets: SecretKey,
    /// Signs snapshots.
    pub snapshot: SecretKey,
    /// Signs timestamps.
    pub timestamp: SecretKey,
}

impl Keys {
    fn fixed() -> Result<Self> {
        Ok(Self { root: key(1)?, targets: key(3)?, snapshot: key(4)?, timestamp: key(5)? })
    }
}

/// The published files by path.
pub fn published() -> Result<BTreeMap<String, Vec<u8>>> {
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    lay_down(root)?;
    let mut workspace = Workspace::open(root)?;
    workspace.revise_keyring(NOW, |_| {})?;
    workspace.add_layer(target()?, NOW)?;
    workspace.publish(NOW + 60)?;
    Ok(workspace.files()?.into_iter().map(|file| (file.path, file.bytes)).collect())
}

fn published_file(path: &str) -> Result<Vec<u8>> {
    published()?.remove(path).with_context(|| format!("{path} was not published"))
}

fn target() -> Result<LayerTarget> {
    let descriptor = descriptor()?;
    Ok(LayerTarget {
        descriptor: descriptor.to_json(),
        kind: descriptor.kind(),
        name: descriptor.name().into(),
        version: descriptor.version().into(),
        arch: descriptor.arch().into(),
        layer: layer_id(&small()?.index),
        manifest: blob::image()?.manifest,
        sizes: Sizes { blob: 3_000_000, index: 20_000, content: 9_000_000 },
        channels: vec!["stable".into(), "nightly".into()],
        epoch: 3,
        registry: None,
    })
}

/// Writes the state directory of a workspace that began with fixed keys and offers nothing.
fn lay_down(dir: &Path) -> Result<()> {
    let keys = Keys::fixed()?;
    let layer = 11;
    for (name, role, seed) in [
        ("root", Role::Root, 1),
        ("targets", Role::Targets, 3),
        ("snapshot", Role::Snapshot, 4),
        ("timestamp", Role::Timestamp, 5),
        ("layer", Role::Layer, layer),
    ] {
        write_key(&dir.join("keys").join(format!("{name}.key")), role, seed)?;
    }
    let settings =
        json!({"plyos": "repository", "version": 1, "root_keys": 1, "expiries": Expiries::default()});
    write(&dir.join("repository.json"), &settings)?;
    write(&dir.join("offer.json"), &json!({"plyos": "offer", "version": 1, "targets": {}}))?;
    write(&dir.join("unsent.json"), &json!([]))?;
    fs::write(dir.join("keyring"), first_keyring(&keys.root, layer)?)?;
    fs::create_dir(dir.join("metadata"))?;
    let save = |name: &str, bytes: &[u8]| fs::write(dir.join("metadata").join(name), bytes);
    save("1.root.json", &first_root(&keys)?)?;
    let targets = sign("targets", json!({"targets": {}}), &keys.targets, NOW + YEAR)?;
    save("1.targets.json", &targets)?;
    let meta = json!({"meta": {"targets.json": meta(&targets)}});
    let snapshot = sign("snapshot", meta, &keys.snapshot, NOW + YEAR)?;
    save("1.snapshot.json", &snapshot)?;
    let mut said = json!({"meta": {"snapshot.json": self::meta(&snapshot)}});
    if let Some(said) = said.as_object_mut() {
        said.insert(SIGNED_AT.into(), json!(time::print(NOW)));
    }
    Ok(save("timestamp.json", &sign("timestamp", said, &keys.timestamp, NOW + YEAR)?)?)
}

fn write(path: &Path, value: &Value) -> Result<()> {
    Ok(fs::write(path, value.to_string())?)
}

fn write_key(path: &Path, role: Role, seed: u8) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    let (public, secret) = (to_hex(key(seed)?.public().as_bytes()), to_hex(&[seed; 32]));
    let value = json!({
        "plyos": "secret-key", "version": 1, "role": role.as_str(), "algorithm": "ed25519",
        "public": public, "secret": secret, "encryption": null,
    });
    write(path, &value)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

fn first_keyring(root: &SecretKey, layer: u8) -> Result<Vec<u8>> {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Config);
    let key = LayerKey::new(key(layer)?.public(), kinds.fold(KindSet::default(), KindSet::with));
    let statement = Statement { version: 1, issued_at: NOW, keys: vec![key], revocations: Vec::new() };
    let signature = root.sign(&statement.message()?)?;
    Ok(Keyring::new(statement, Signatures::new(vec![signature])?)?.emit()?)
}

/// The first root of a repository with these keys, one for each role, made at [`NOW`].
pub fn first_root(keys: &Keys) -> Result<Vec<u8>> {
    let roles = [
        ("root", &keys.root),
        ("targets", &keys.targets),
        ("snapshot", &keys.snapshot),
        ("timestamp", &keys.timestamp),
    ];
    let id = |key: &SecretKey| key.public().key_id().to_hex();
    let objects = roles.iter().map(|(_, key)| Ok((id(key), serde_json::from_str(&key.public().to_json())?)));
    let objects: Map<String, Value> = objects.collect::<Result<_>>()?;
    let role = |key: &SecretKey| json!({"keyids": [id(key)], "threshold": 1});
    let roles: Map<String, Value> = roles.iter().map(|(name, key)| ((*name).into(), role(key))).collect();
    let members = json!({"consistent_snapshot": true, "keys": objects, "roles": roles});
    sign("root", members, &keys.root, NOW + YEAR)
}

/// Version 1 of a role's file.
fn sign(role_type: &str, mut signed: Value, key: &SecretKey, expires: u64) -> Result<Vec<u8>> {
    let common = json!({
        "_type": role_type, "spec_version": SPEC_VERSION, "version": 1, "expires": time::print(expires),
    });
    if let (Value::Object(signed), Value::Object(common)) = (&mut signed, common) {
        signed.extend(common);
    }
    let signature = key.sign(&canonical::to_vec(&signed)?)?;
    let entry = json!({"keyid": signature.key_id.to_hex(), "sig": to_hex(&signature.bytes)});
    Ok(json!({"signatures": [entry], "signed": signed}).to_string().into_bytes())
}

fn meta(bytes: &[u8]) -> Value {
    json!({"hashes": {"sha256": to_hex(&Sha256::digest(bytes))}, "length": bytes.len(), "version": 1})
}

/// The file written again of what a client takes out of it.
fn again(role: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let envelope = Envelope::parse(role, bytes)?;
    let signature =
        |(id, bytes): &(plyos_ids::KeyId, [u8; 64])| json!({"keyid": id.to_hex(), "sig": to_hex(bytes)});
    let signatures: Vec<Value> = envelope.signatures().iter().map(signature).collect();
    Ok(json!({"signatures": signatures, "signed": envelope.signed()}).to_string().into_bytes())
}
