//! Metadata files as they are written: the signed objects of TUF 1.0.34, section 4, and their signatures.

use std::{collections::BTreeMap, rc::Rc};

use plyos_ids::Kind;
use plyos_trust::{
    canonical,
    key::{PublicKey, Signature, to_hex},
    time,
    tuf::{RoleKeys, Root, SIGNED_AT, SPEC_VERSION, TargetFile},
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::RepositoryError;
use crate::{SecretKey, Signer as _, keys::Role};

/// A signed object before version and expiry: what is compared to see whether a role must be signed again.
pub(super) type Body = Map<String, Value>;

/// Members that every signing sets anew.
const VOLATILE: [&str; 3] = ["version", "expires", SIGNED_AT];

/// The parts of a signed object that say something, without those that each signing sets.
pub(super) fn body_of(signed: &Value) -> Body {
    let mut body = signed.as_object().cloned().unwrap_or_default();
    body.retain(|name, _| !VOLATILE.contains(&name.as_str()));
    body
}

/// The signed object: `body` with version and expiry.
pub(super) fn signed(mut body: Body, version: u64, expires: u64) -> Value {
    body.insert("version".into(), json!(version));
    body.insert("expires".into(), json!(time::print(expires)));
    Value::Object(body)
}

/// The whole file: `body` with version and expiry, signed by `keys`.
pub(super) fn sign(
    body: Body,
    version: u64,
    expires: u64,
    keys: &[Rc<SecretKey>],
) -> Result<Vec<u8>, RepositoryError> {
    let signed = signed(body, version, expires);
    let message = canonical::to_vec(&signed)?;
    let signatures: Vec<Signature> = keys.iter().map(|key| key.sign(&message)).collect::<Result<_, _>>()?;
    Ok(file(&signed, &signatures))
}

/// The whole file of a signed object and its signatures.
pub(super) fn file(signed: &Value, signatures: &[Signature]) -> Vec<u8> {
    let entry = |made: &Signature| json!({"keyid": made.key_id.to_hex(), "sig": to_hex(&made.bytes)});
    let signatures: Vec<Value> = signatures.iter().map(entry).collect();
    format!("{}", json!({"signatures": signatures, "signed": signed})).into_bytes()
}

fn body(role_type: &str, members: impl IntoIterator<Item = (&'static str, Value)>) -> Body {
    let common = [("_type", json!(role_type)), ("spec_version", json!(SPEC_VERSION))];
    common.into_iter().chain(members).map(|(name, value)| (name.into(), value)).collect()
}

fn key_objects<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Value {
    let object = |key: &PublicKey| {
        let public = to_hex(key.as_bytes());
        let value = json!({"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"});
        (key.key_id().to_hex(), value)
    };
    Value::Object(keys.into_iter().map(object).collect())
}

fn role(holders: &Holders) -> Value {
    let ids: Vec<String> = holders.keys.iter().map(|key| key.key_id().to_hex()).collect();
    json!({"keyids": ids, "threshold": holders.threshold})
}

/// Who signs for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holders {
    pub keys: Vec<PublicKey>,
    pub threshold: u32,
}

impl Holders {
    pub fn one(key: &PublicKey) -> Self {
        Self { keys: vec![*key], threshold: 1 }
    }

    pub fn of(role: &RoleKeys) -> Self {
        Self { keys: role.keys(), threshold: role.threshold() }
    }
}

/// Who signs for the top-level roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopLevel {
    pub root: Holders,
    pub targets: Holders,
    pub snapshot: Holders,
    pub timestamp: Holders,
}

impl TopLevel {
    pub fn of(root: &Root) -> Self {
        Self {
            root: Holders::of(root.root()),
            targets: Holders::of(root.targets()),
            snapshot: Holders::of(root.snapshot()),
            timestamp: Holders::of(root.timestamp()),
        }
    }

    pub fn roles(&self) -> [(Role, &Holders); 4] {
        [
            (Role::Root, &self.root),
            (Role::Targets, &self.targets),
            (Role::Snapshot, &self.snapshot),
            (Role::Timestamp, &self.timestamp),
        ]
    }

    /// The holders of a role; layer keys stand in the keyring.
    pub const fn role_mut(&mut self, role: Role) -> Option<&mut Holders> {
        match role {
            Role::Root => Some(&mut self.root),
            Role::Targets => Some(&mut self.targets),
            Role::Snapshot => Some(&mut self.snapshot),
            Role::Timestamp => Some(&mut self.timestamp),
            Role::Layer => None,
        }
    }
}

/// Root, section 4.3.
pub(super) fn root(holders: &TopLevel) -> Body {
    let all = holders.roles().into_iter().flat_map(|(_, holders)| &holders.keys);
    let roles = holders.roles().into_iter().map(|(name, holders)| (name.to_string(), role(holders)));
    let members = [
        ("consistent_snapshot", json!(true)),
        ("keys", key_objects(all)),
        ("roles", Value::Object(roles.collect())),
    ];
    body("root", members)
}

/// Targets, section 4.5, with delegations to the roles of `kinds`.
pub(super) fn targets(files: &BTreeMap<String, TargetFile>, kinds: &[Kind], holders: &Holders) -> Body {
    let mut body = kind_targets(files);
    if !kinds.is_empty() {
        let roles: Vec<Value> = kinds
            .iter()
            .map(|kind| {
                let mut entry = role(holders);
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("name".into(), json!(kind.as_str()));
                    entry.insert("paths".into(), json!([format!("{kind}/*/*/*")]));
                    // Nobody else may speak of this kind.
                    entry.insert("terminating".into(), json!(true));
                }
                entry
            })
            .collect();
        body.insert("delegations".into(), json!({"keys": key_objects(&holders.keys), "roles": roles}));
    }
    body
}

/// The targets of a delegated role.
pub(super) fn kind_targets(files: &BTreeMap<String, TargetFile>) -> Body {
    let entries = files.iter().map(|(name, file)| (name.clone(), target_entry(file)));
    body("targets", [("targets", Value::Object(entries.collect()))])
}

fn target_entry(file: &TargetFile) -> Value {
    let mut entry = json!({"hashes": {"sha256": file.sha256.to_hex()}, "length": file.length});
    if let (Some(entry), false) = (entry.as_object_mut(), file.custom.is_null()) {
        entry.insert("custom".into(), file.custom.clone());
    }
    entry
}

/// Snapshot, section 4.4, of targets files with their versions.
pub(super) fn snapshot(files: &BTreeMap<String, (u64, Vec<u8>)>) -> Body {
    let meta = files.iter().map(|(role, (version, bytes))| (format!("{role}.json"), meta(*version, bytes)));
    body("snapshot", [("meta", Value::Object(meta.collect()))])
}

/// Timestamp, section 4.6.
pub(super) fn timestamp(snapshot_version: u64, snapshot: &[u8], now: u64) -> Body {
    let meta = json!({"snapshot.json": meta(snapshot_version, snapshot)});
    body("timestamp", [("meta", meta), (SIGNED_AT, json!(time::print(now)))])
}

fn meta(version: u64, bytes: &[u8]) -> Value {
    json!({"hashes": {"sha256": to_hex(&Sha256::digest(bytes))}, "length": bytes.len(), "version": version})
}
