//! The result of an update: what a repository offers, verified.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::{
    Limits, ROOT, Root, SNAPSHOT, Snapshot, Step, TARGETS, TIMESTAMP, TargetFile, TargetName, Timestamp,
    TufError, Update,
};

/// Metadata that earlier updates verified and the caller kept; any of it may be missing. It is checked again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// `timestamp.json`.
    pub timestamp: Option<Vec<u8>>,
    /// `snapshot.json`.
    pub snapshot: Option<Vec<u8>>,
    /// `targets.json`.
    pub targets: Option<Vec<u8>>,
    /// The files of delegated roles, by the role's name.
    pub delegated: BTreeMap<String, Vec<u8>>,
}

impl Held {
    /// Sorts kept files by their roles; a root among them is left out, since it is given to [`Update::new`] itself.
    pub fn from_files(mut files: BTreeMap<String, Vec<u8>>) -> Self {
        files.remove(ROOT);
        Self {
            timestamp: files.remove(TIMESTAMP),
            snapshot: files.remove(SNAPSHOT),
            targets: files.remove(TARGETS),
            delegated: files,
        }
    }
}

/// What a repository offers, every byte of it signed and current at the time of the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// The newest root.
    pub root: Root,
    /// The newest timestamp.
    pub timestamp: Timestamp,
    /// The snapshot that it announces.
    pub snapshot: Snapshot,
    /// All targets, those of delegated roles included: what the search of step 5.6.7 would find for each name.
    pub targets: BTreeMap<TargetName, TargetFile>,
    /// When the timestamp was signed (seconds since 1970), if it says so: the floor of time.
    pub signed_at: Option<u64>,
    /// When the first file of it runs out (seconds since 1970).
    pub expires: u64,
    /// The exact bytes to keep, by role (`root`, `timestamp`, `snapshot`, `targets`, delegated ones).
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Catalog {
    /// Verifies again what an update left, without a network. `files` are the [`Catalog::files`] of then.
    ///
    /// # Errors
    /// As an update; [`TufError::Missing`] when a file is not among them.
    pub fn load(mut files: BTreeMap<String, Vec<u8>>, now: u64, limits: Limits) -> Result<Self, TufError> {
        let missing =
            |role: &str| TufError::Missing { path: alloc::format!("{role}.json among the kept files") };
        let root = files.remove(ROOT).ok_or_else(|| missing(ROOT))?;
        let mut held = Held::from_files(files);
        let timestamp = held.timestamp.take().ok_or_else(|| missing(TIMESTAMP))?;
        let mut update = Update::new(root, held, now, limits)?;
        update.supply(None)?;
        update.supply(Some(timestamp))?;
        match update.next() {
            Step::Done(catalog) => Ok(*catalog),
            Step::Fetch { path, .. } => Err(TufError::Missing { path }),
        }
    }

    /// What the catalog says of `name`.
    pub fn get(&self, name: &TargetName) -> Option<&TargetFile> {
        self.targets.get(name)
    }

    /// Where a target lies below the catalog's URL.
    pub fn path_of(&self, name: &TargetName, file: &TargetFile) -> String {
        if self.root.consistent_snapshot() { name.consistent_path(&file.sha256) } else { name.plain_path() }
    }
}
