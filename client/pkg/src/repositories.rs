//! The repositories that this machine trusts: their names, and the metadata that was verified and kept.

use crate::target::{key_of, record};
use plyos_ids::Kind;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::RecordType;
use plyos_storefile::Store;
use plyos_transfer::Authorities;
use plyos_transfer::authorities::LONGEST;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a repository is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is updated, and what it offers is taken.
    Enabled,
    /// It rests: nothing is fetched and nothing taken, what came from it is used.
    Disabled,
    /// It was removed while layers from it are in generations: root and keyring stay, by which those are judged.
    Removed,
}

impl State {
    const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::Removed];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }
}

/// A repository as it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What this machine calls it.
    pub name: String,
    /// Address of its catalog.
    pub url: String,
    /// Line that is followed.
    pub channel: String,
    /// Of a name that several repositories offer, only those of the greatest priority count.
    pub priority: i64,
    /// What it is used for.
    pub state: State,
    /// PEM text of the authorities that vouch for its servers' names beside the public ones.
    pub ca: Option<String>,
}

impl Repository {
    /// The authorities of [`Repository::ca`].
    pub fn authorities(&self) -> Result<Authorities, Failure> {
        let read = |pem: &String| {
            let doing = format!("reading the certificate authority of '{}'", self.name);
            Authorities::of_pem(pem.as_bytes()).or_fail(ExitCode::Store, doing)
        };
        self.ca.as_ref().map_or_else(|| Ok(Authorities::default()), read)
    }

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
        let mut record =
            json!({"channel": self.channel, "name": self.name, "priority": self.priority, "url": self.url});
        if let (Some(members), true) = (record.as_object_mut(), self.state != State::Enabled) {
            members.insert("state".to_owned(), json!(self.state.as_str()));
        }
        if let (Some(members), Some(pem)) = (record.as_object_mut(), &self.ca) {
            members.insert("ca".to_owned(), json!(pem));
        }
        record.to_string().into_bytes()
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
        let priority = value.get("priority").and_then(Value::as_i64).unwrap_or_default();
        let state = match value.get("state") {
            None => State::Enabled,
            // A word that is not known here is a use that is not known here: none.
            Some(word) => {
                let known = State::ALL.into_iter().find(|state| word.as_str() == Some(state.as_str()));
                known.unwrap_or(State::Disabled)
            }
        };
        let ca = value.get("ca").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { name: text("name")?, url: text("url")?, channel: text("channel")?, priority, state, ca })
    }
}

/// PEM text of a file with authorities, checked.
pub fn read_ca(path: &Path) -> Result<String, Failure> {
    let doing = format!("reading the certificate authority {}", path.display());
    let mut pem = Vec::new();
    let file = File::open(path).or_fail(ExitCode::NotFound, &doing)?;
    file.take(LONGEST as u64 + 1).read_to_end(&mut pem).or_fail(ExitCode::NotFound, &doing)?;
    Authorities::of_pem(&pem).or_fail(ExitCode::Usage, &doing)?;
    String::from_utf8(pem).or_fail(ExitCode::Usage, &doing)
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

/// The repository of a name.
pub fn find(store: &Store, name: &str) -> Result<Repository, Failure> {
    let all = list(store)?;
    let names: Vec<&str> = all.iter().map(|repository| repository.name.as_str()).collect();
    let line = match names.as_slice() {
        [] => format!(
            "no repository is called '{name}', and none is known; `pkg repo add URL --root FILE` adds one"
        ),
        names => format!("no repository is called '{name}'; there are {}", names.join(", ")),
    };
    all.into_iter().find(|known| known.name == name).ok_or_else(|| Failure::new(ExitCode::NotFound, line))
}

/// The roles whose metadata may be kept, beside the root.
pub fn roles() -> impl Iterator<Item = &'static str> {
    ["timestamp", "snapshot", "targets"].into_iter().chain(Kind::ALL.into_iter().map(Kind::as_str))
}

/// The kept bytes of a role.
pub fn kept(store: &Store, repository: &Repository, role: &str) -> Result<Option<Vec<u8>>, Failure> {
    record(store, RecordType::TufMetadata, &repository.role_key(role))
}
