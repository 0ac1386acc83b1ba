//! Metadata files as they are written: the signed objects of TUF 1.0.34, section 4, and their signatures.

use std::collections::BTreeMap;

use plyos_ids::Kind;
use plyos_trust::{
    canonical,
    key::{PublicKey, to_hex},
    time,
    tuf::{SIGNED_AT, SPEC_VERSION, TargetFile},
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::RepositoryError;
use crate::{SecretKey, Signer as _};

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

/// The whole file: `body` with version and expiry, signed by `keys`.
pub(super) fn sign(
    mut body: Body,
    version: u64,
    expires: u64,
    keys: &[&SecretKey],
) -> Result<Vec<u8>, RepositoryError> {
    body.insert("version".into(), json!(version));
    body.insert("expires".into(), json!(time::print(expires)));
    let signed = Value::Object(body);
    let message = canonical::to_vec(&signed)?;
    let signatures = keys
        .iter()
        .map(|key| {
            let signature = key.sign(&message)?;
            Ok(json!({"keyid": signature.key_id.to_hex(), "sig": to_hex(&signature.bytes)}))
        })
        .collect::<Result<Vec<Value>, RepositoryError>>()?;
    Ok(format!("{}", json!({"signatures": signatures, "signed": signed})).into_bytes())
}

fn body(role_type: &str, members: impl IntoIterator<Item = (&'static str, Value)>) -> Body {
    let common = [("_type", json!(role_type)), ("spec_version", json!(SPEC_VERSION))];
    common.into_iter().chain(members).map(|(name, value)| (name.into(), value)).collect()
}

fn key_objects(keys: &[&PublicKey]) -> Value {
    let object = |key: &&PublicKey| {
        let public = to_hex(key.as_bytes());
        let value = json!({"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"});
        (key.key_id().to_hex(), value)
    };
    Value::Object(keys.iter().map(object).collect())
}

fn role(keys: &[&PublicKey], threshold: u32) -> Value {
    let ids: Vec<String> = keys.iter().map(|key| key.key_id().to_hex()).collect();
    json!({"keyids": ids, "threshold": threshold})
}

/// The keys of the top-level roles.
pub(super) struct RootKeys<'a> {
    pub root: Vec<&'a PublicKey>,
    pub root_threshold: u32,
    pub targets: &'a PublicKey,
    pub snapshot: &'a PublicKey,
    pub timestamp: &'a PublicKey,
}

/// Root, section 4.3.
pub(super) fn root(keys: &RootKeys<'_>) -> Body {
    let mut all = keys.root.clone();
    all.extend([keys.targets, keys.snapshot, keys.timestamp]);
    let roles = json!({
        "root": role(&keys.root, keys.root_threshold),
        "snapshot": role(&[keys.snapshot], 1),
        "targets": role(&[keys.targets], 1),
        "timestamp": role(&[keys.timestamp], 1),
    });
    body("root", [("consistent_snapshot", json!(true)), ("keys", key_objects(&all)), ("roles", roles)])
}

/// Targets, section 4.5, with delegations to the roles of `kinds`.
pub(super) fn targets(files: &BTreeMap<String, TargetFile>, kinds: &[Kind], key: &PublicKey) -> Body {
    let mut body = kind_targets(files);
    if !kinds.is_empty() {
        let roles: Vec<Value> = kinds
            .iter()
            .map(|kind| {
                let mut entry = role(&[key], 1);
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("name".into(), json!(kind.as_str()));
                    entry.insert("paths".into(), json!([format!("{kind}/*/*/*")]));
                    // Nobody else may speak of this kind.
                    entry.insert("terminating".into(), json!(true));
                }
                entry
            })
            .collect();
        body.insert("delegations".into(), json!({"keys": key_objects(&[key]), "roles": roles}));
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
