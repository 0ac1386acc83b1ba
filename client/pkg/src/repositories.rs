//! The repositories that this machine trusts: their names, and the metadata that was verified and kept.

use crate::target::{key_of, record};
use plyos_ids::Kind;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::RecordType;
use plyos_storefile::Store;
use serde_json::{Value, json};

/// A repository as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What this machine calls it.
    pub name: String,
    /// Address of its catalog.
    pub url: String,
    /// Line that is followed.
    pub channel: String,
}

impl Repository {
    /// Key of its record and of its keyring.
    pub fn key(&self) -> [u8; 32] {
        key_of(&self.name)
    }

    /// Key of the kept metadata of a role.
    pub fn role_key(&self, role: &str) -> [u8; 32] {
        key_of(&format!("{}/{role}", self.name))
    }

    /// The record.
    pub fn emit(&self) -> Vec<u8> {
        json!({"channel": self.channel, "name": self.name, "priority": 0, "url": self.url})
            .to_string()
            .into_bytes()
    }

    /// Reads the record.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let value: Value =
            serde_json::from_slice(bytes).or_fail(ExitCode::Store, "reading a repository's record")?;
        let text = |name: &str| {
            let found = value.get(name).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| {
                Failure::new(ExitCode::Store, format!("a repository's record has no '{name}'"))
            })
        };
        Ok(Self { name: text("name")?, url: text("url")?, channel: text("channel")? })
    }
}

/// All repositories, by name.
pub fn list(store: &Store) -> Result<Vec<Repository>, Failure> {
    let mut found = Vec::new();
    for key in store.records(RecordType::Repository).map(|entry| entry.key) {
        if let Some(bytes) = record(store, RecordType::Repository, &key)? {
            found.push(Repository::parse(&bytes)?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The roles whose metadata may be kept, beside the root.
pub fn roles() -> impl Iterator<Item = &'static str> {
    ["timestamp", "snapshot", "targets"].into_iter().chain(Kind::ALL.into_iter().map(Kind::as_str))
}

/// The kept bytes of a role.
pub fn kept(store: &Store, repository: &Repository, role: &str) -> Result<Option<Vec<u8>>, Failure> {
    record(store, RecordType::TufMetadata, &repository.role_key(role))
}
