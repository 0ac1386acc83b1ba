//! What is decided when a repository begins, and kept in `repository.json`.

use serde::{Deserialize, Serialize};

use crate::keys::Passphrase;

const DAY: u64 = 86_400;

/// How long what is signed lives, in seconds. The defaults are those of docs/formats.md, "TUF catalog".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expiries {
    /// Root metadata: 365 days.
    pub root: u64,
    /// Targets and the roles of the kinds: 90 days.
    pub targets: u64,
    /// Snapshots: 30 days.
    pub snapshot: u64,
    /// Timestamps: 7 days.
    pub timestamp: u64,
}

impl Default for Expiries {
    fn default() -> Self {
        Self { root: 365 * DAY, targets: 90 * DAY, snapshot: 30 * DAY, timestamp: 7 * DAY }
    }
}

/// How a repository begins.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Root keys to be made: 1 to 16. One is `keys/root.key`, several are `keys/root-1.key` and so on.
    pub root_keys: u32,
    /// How many of them must sign: 1 to `root_keys`.
    pub root_threshold: u32,
    /// How long what is signed lives.
    pub expiries: Expiries,
    /// What the keys are encrypted with; none: they stand in the clear.
    pub passphrase: Option<Passphrase>,
    /// The time: seconds since 1970.
    pub now: u64,
}

impl InitOptions {
    /// One root key and the usual lifetimes.
    pub fn new(now: u64) -> Self {
        Self { root_keys: 1, root_threshold: 1, expiries: Expiries::default(), passphrase: None, now }
    }
}

/// `repository.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub plyos: String,
    pub version: u32,
    pub root_keys: u32,
    pub expiries: Expiries,
}

impl Settings {
    /// What `plyos` says in `repository.json`.
    pub(super) const KIND: &'static str = "repository";
    /// The version that is written and read.
    pub(super) const VERSION: u32 = 1;

    /// Names of the root key files.
    pub(super) fn root_key_names(&self) -> Vec<String> {
        match self.root_keys {
            1 => vec!["root".into()],
            many => (1..=many).map(|number| format!("root-{number}")).collect(),
        }
    }
}
