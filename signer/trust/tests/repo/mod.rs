//! A small TUF repository for the tests: each role can be edited before it is signed, each file after.
#![allow(dead_code, unused_macros, reason = "each test file uses its own part")]

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use plyos_trust::{
    canonical,
    key::{PublicKey, to_hex},
    time,
    tuf::{Catalog, Held, Limits, SPEC_VERSION, Step, TargetName, TufError, Update},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const NOW: u64 = 1_800_000_000;
pub const DAY: u64 = 86_400;
pub const HELLO: &str = "package/hello/1/amd64";

type Edit = Box<dyn Fn(&mut Value)>;

pub struct Repo {
    /// Seeds of the keys of each role.
    pub seeds: BTreeMap<&'static str, Vec<u8>>,
    pub thresholds: BTreeMap<&'static str, u32>,
    pub versions: BTreeMap<&'static str, u64>,
    pub expires: BTreeMap<&'static str, u64>,
    pub edits: BTreeMap<&'static str, Edit>,
    pub files: BTreeMap<String, Vec<u8>>,
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn public(seed: u8) -> PublicKey {
    PublicKey::ed25519(key(seed).verifying_key().as_bytes()).unwrap()
}

pub fn key_object(seed: u8) -> (String, Value) {
    let public = public(seed);
    (public.key_id().to_hex(), serde_json::from_str(&public.to_json()).unwrap())
}

pub fn signature(signed: &Value, seed: u8) -> Value {
    let bytes = key(seed).sign(&canonical::to_vec(signed).unwrap()).to_bytes();
    json!({"keyid": public(seed).key_id().to_hex(), "sig": to_hex(&bytes)})
}

pub fn sign(signed: &Value, seeds: &[u8]) -> Vec<u8> {
    let signatures: Vec<Value> = seeds.iter().map(|seed| signature(signed, *seed)).collect();
    serde_json::to_vec(&json!({"signatures": signatures, "signed": signed})).unwrap()
}

pub fn target(bytes: &[u8]) -> Value {
    json!({"length": bytes.len(), "hashes": {"sha256": to_hex(&Sha256::digest(bytes))}})
}

fn meta(bytes: &[u8], version: u64) -> Value {
    let mut meta = target(bytes);
    meta["version"] = json!(version);
    meta
}

impl Repo {
    pub fn new() -> Self {
        let roles = ["root", "timestamp", "snapshot", "targets", "package"];
        let mut repo = Self {
            seeds: roles.iter().zip(1u8..).map(|(role, seed)| (*role, vec![seed])).collect(),
            thresholds: roles.iter().map(|role| (*role, 1)).collect(),
            versions: roles.iter().map(|role| (*role, 1)).collect(),
            expires: roles.iter().map(|role| (*role, NOW + DAY)).collect(),
            edits: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        repo.publish_root(&[]);
        repo.publish();
        repo
    }

    /// Changes what a role signs, and publishes all anew.
    pub fn edited(role: &'static str, edit: impl Fn(&mut Value) + 'static) -> Self {
        let mut repo = Self::new();
        repo.edits.insert(role, Box::new(edit));
        if role == "root" {
            repo.publish_root(&[]);
        }
        repo.publish();
        repo
    }

    fn signed(&self, role: &'static str, role_type: &str, members: Value) -> Value {
        let mut signed = json!({
            "_type": role_type,
            "spec_version": SPEC_VERSION,
            "version": self.versions[role],
            "expires": time::print(self.expires[role]),
        });
        for (name, value) in members.as_object().unwrap() {
            signed[name] = value.clone();
        }
        if let Some(edit) = self.edits.get(role) {
            edit(&mut signed);
        }
        signed
    }

    pub fn role(&self, role: &str) -> Value {
        let ids: Vec<String> = self.seeds[role].iter().map(|seed| key_object(*seed).0).collect();
        json!({"keyids": ids, "threshold": self.thresholds[role]})
    }

    pub fn root(&self) -> Value {
        let top = ["root", "timestamp", "snapshot", "targets"];
        let keys: serde_json::Map<String, Value> =
            top.iter().flat_map(|role| &self.seeds[role]).map(|seed| key_object(*seed)).collect();
        let roles: serde_json::Map<String, Value> =
            top.iter().map(|role| ((*role).into(), self.role(role))).collect();
        self.signed("root", "root", json!({"consistent_snapshot": true, "keys": keys, "roles": roles}))
    }

    /// Writes the root of this version, signed by its own keys and by `others`.
    pub fn publish_root(&mut self, others: &[u8]) {
        let signers = [&self.seeds["root"][..], others].concat();
        let path = format!("metadata/{}.root.json", self.versions["root"]);
        let file = sign(&self.root(), &signers);
        self.files.insert(path, file);
    }

    /// The next root, signed by the keys of the one before and by its own.
    pub fn rotate(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.seeds["root"].clone();
        change(self);
        *self.versions.get_mut("root").unwrap() += 1;
        self.publish_root(&before);
    }

    /// Writes all roles but the root.
    pub fn publish(&mut self) {
        let package = json!({"targets": {HELLO: target(b"hello")}});
        let package = self.file("package", "targets", package);
        let mut delegation = self.role("package");
        delegation["name"] = json!("package");
        delegation["paths"] = json!(["package/*/*/*"]);
        delegation["terminating"] = json!(true);
        let keys: serde_json::Map<String, Value> =
            self.seeds["package"].iter().map(|seed| key_object(*seed)).collect();
        let targets = json!({
            "targets": {"keyring": target(b"keyring")},
            "delegations": {"keys": keys, "roles": [delegation]},
        });
        let targets = self.file("targets", "targets", targets);
        let listed = json!({"meta": {
            "package.json": meta(&package, self.versions["package"]),
            "targets.json": meta(&targets, self.versions["targets"]),
        }});
        let snapshot = self.file("snapshot", "snapshot", listed);
        let listed = json!({"meta": {"snapshot.json": meta(&snapshot, self.versions["snapshot"])}});
        let timestamp = sign(&self.signed("timestamp", "timestamp", listed), &self.seeds["timestamp"]);
        self.files.insert("metadata/timestamp.json".into(), timestamp);
    }

    fn file(&mut self, role: &'static str, role_type: &str, members: Value) -> Vec<u8> {
        let file = sign(&self.signed(role, role_type, members), &self.seeds[role]);
        let path = format!("metadata/{}.{role}.json", self.versions[role]);
        self.files.insert(path, file.clone());
        file
    }

    /// Raises the versions of these roles and publishes.
    pub fn raise(&mut self, roles: &[&'static str]) {
        for role in roles {
            *self.versions.get_mut(role).unwrap() += 1;
        }
        self.publish();
    }

    pub fn first_root(&self) -> Vec<u8> {
        self.files["metadata/1.root.json"].clone()
    }

    /// A first update.
    pub fn update(&self) -> Result<Catalog, TufError> {
        self.update_from(self.first_root(), Held::default())
    }

    /// An update from what an earlier one left.
    pub fn update_again(&self, before: &Catalog) -> Result<Catalog, TufError> {
        let root = before.files["root"].clone();
        self.update_from(root, Held::from_files(before.files.clone()))
    }

    pub fn update_from(&self, root: Vec<u8>, held: Held) -> Result<Catalog, TufError> {
        run(&mut Update::new(root, held, NOW, Limits::default())?, &self.files)
    }
}

/// Answers an update from `files` until it ends.
pub fn run(update: &mut Update, files: &BTreeMap<String, Vec<u8>>) -> Result<Catalog, TufError> {
    loop {
        match update.next() {
            Step::Done(catalog) => return Ok(*catalog),
            Step::Fetch { path, .. } => update.supply(files.get(&path).cloned())?,
        }
    }
}

pub fn hello() -> TargetName {
    TargetName::parse(HELLO).unwrap()
}

pub fn role_of(error: &TufError) -> &str {
    match error {
        TufError::Expired { role, .. }
        | TufError::Rollback { role, .. }
        | TufError::Threshold { role, .. }
        | TufError::WrongVersion { role, .. }
        | TufError::WrongHash { role }
        | TufError::WrongLength { role, .. }
        | TufError::WrongType { role, .. }
        | TufError::SpecVersion { role, .. }
        | TufError::TooLong { role, .. } => role,
        _ => "",
    }
}

/// The result is an error of this variant, about this role.
macro_rules! refused {
    ($result:expr, $role:expr, $variant:pat) => {
        match $result {
            Err(error @ $variant) => assert_eq!($crate::repo::role_of(&error), $role, "{error}"),
            other => panic!("{other:?}"),
        }
    };
}
