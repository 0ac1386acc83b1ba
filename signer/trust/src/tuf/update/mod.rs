//! The client workflow (specification 1.0.34, section 5) as a state machine without I/O.
//!
//! [`Update::next`] says which file is wanted, [`Update::supply`] takes it (or that there is none), until `next` hands
//! out the [`Catalog`]. The steps stand in the modules [`root`](self), `timestamp`, `snapshot` and `targets`, numbered as
//! in the specification.
//!
//! Off-spec: the steps "Persist …" (5.3.8, 5.4.5, 5.5.7, 5.6.6) are the caller's, because nothing is written here. It may
//! keep [`Update::trusted_files`] at any time, after a failure too, and [`Catalog::files`] at the end.

mod root;
mod snapshot;
mod targets;
mod timestamp;

use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec::Vec};

use super::{
    Catalog, Envelope, Held, Limits, METADATA_DIR, MetaFile, ROOT, Root, SNAPSHOT, Snapshot, TARGETS,
    TIMESTAMP, Targets, Timestamp, TufError,
};

/// What an update wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Fetch a file and [`Update::supply`] it.
    Fetch {
        /// Path below the catalog's URL.
        path: String,
        /// Read no more than this many bytes; a longer file is refused.
        max_len: u64,
        /// Whether the file may be absent: `supply(None)` is then no error. A file that cannot be fetched for another
        /// reason is not absent; the update is then over.
        optional: bool,
    },
    /// The update has ended well.
    Done(Box<Catalog>),
}

/// A parsed file with its bytes, verified.
#[derive(Debug, Clone)]
struct Trusted<T> {
    value: T,
    bytes: Vec<u8>,
}

/// Which file is wanted.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Root,
    Timestamp,
    Snapshot(MetaFile),
    Targets(MetaFile),
    /// The delegation's place in the list, and what the snapshot says of it.
    Delegated(usize, MetaFile),
    Done,
}

/// One run of the client workflow.
#[derive(Debug)]
pub struct Update {
    now: u64,
    limits: Limits,
    held: Held,
    root: Trusted<Root>,
    roots_followed: u32,
    /// Whether a root on the way changed the keys of timestamp or snapshot (5.3.11).
    rotated: bool,
    timestamp: Option<Trusted<Timestamp>>,
    snapshot: Option<Trusted<Snapshot>>,
    targets: Option<Trusted<Targets>>,
    delegated: Vec<Trusted<Targets>>,
    stage: Stage,
}

impl Update {
    /// Begins an update from a root that is trusted (pinned, or kept from the last one) and what else was kept.
    ///
    /// # Errors
    /// When the root is not a root file that its own keys signed.
    pub fn new(trusted_root: Vec<u8>, held: Held, now: u64, limits: Limits) -> Result<Self, TufError> {
        // 5.1. Record fixed update start time: `now`, for the whole update.
        // 5.2. Load trusted root metadata. Its expiry does not matter yet.
        // Off-spec: it must be signed by its own keys, so that a damaged file is found here and not by its effects.
        let envelope = Envelope::parse(ROOT, &trusted_root)?;
        let root = Root::parse(&envelope)?;
        root.root().verify(&envelope)?;
        Ok(Self {
            now,
            limits,
            held,
            root: Trusted { value: root, bytes: trusted_root },
            roots_followed: 0,
            rotated: false,
            timestamp: None,
            snapshot: None,
            targets: None,
            delegated: Vec::new(),
            stage: Stage::Root,
        })
    }

    /// What is wanted now; asking again changes nothing.
    // Not an iterator: the answer to one step decides the next.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Step {
        match self.wanted() {
            Some((path, max_len)) => {
                let optional = matches!(self.stage, Stage::Root);
                Step::Fetch { path, max_len, optional }
            }
            None => match self.catalog() {
                Some(catalog) => Step::Done(Box::new(catalog)),
                // Cannot be: `wanted` is None only when all files are there. Asking for the timestamp again is harmless.
                None => Step::Fetch {
                    path: format!("{METADATA_DIR}/{TIMESTAMP}.json"),
                    max_len: self.limits.timestamp_len,
                    optional: false,
                },
            },
        }
    }

    /// Takes the file that was wanted, or `None` when the repository says that there is none.
    ///
    /// # Errors
    /// The file was refused and nothing of it is trusted: the update is over. Begin another one later, or supply the
    /// same file from another mirror.
    pub fn supply(&mut self, file: Option<Vec<u8>>) -> Result<(), TufError> {
        let Some((path, limit)) = self.wanted() else {
            return Err(TufError::NotAsked);
        };
        let Some(bytes) = file else {
            return match self.stage {
                Stage::Root => self.end_of_roots(),
                _ => Err(TufError::Missing { path }),
            };
        };
        self.check_length(&bytes, limit)?;
        match self.stage {
            Stage::Root => self.take_root(bytes),
            Stage::Timestamp => self.take_timestamp(bytes),
            Stage::Snapshot(meta) => self.take_snapshot(bytes, meta),
            Stage::Targets(meta) => self.take_targets(bytes, meta),
            Stage::Delegated(at, meta) => self.take_delegated(bytes, at, meta),
            Stage::Done => Err(TufError::NotAsked),
        }
    }

    /// What is trusted at this moment, by role: what a caller keeps when the update failed half-way. A timestamp and
    /// snapshot that step 5.3.11 deleted are not among them.
    pub fn trusted_files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::from([(ROOT.into(), self.root.bytes.clone())]);
        let mut keep = |role: &str, bytes: Option<&Vec<u8>>| {
            if let Some(bytes) = bytes {
                files.insert(role.into(), bytes.clone());
            }
        };
        let (held_timestamp, held_snapshot) = if self.rotated {
            (None, None)
        } else {
            (self.held.timestamp.as_ref(), self.held.snapshot.as_ref())
        };
        keep(TIMESTAMP, self.timestamp.as_ref().map(|file| &file.bytes).or(held_timestamp));
        keep(SNAPSHOT, self.snapshot.as_ref().map(|file| &file.bytes).or(held_snapshot));
        keep(TARGETS, self.targets.as_ref().map(|file| &file.bytes).or(self.held.targets.as_ref()));
        for (role, bytes) in &self.held.delegated {
            keep(role, Some(bytes));
        }
        if let Some(targets) = &self.targets {
            for (delegation, file) in targets.value.delegations().iter().zip(&self.delegated) {
                keep(&delegation.name, Some(&file.bytes));
            }
        }
        files
    }

    /// Path and most bytes of the file that the stage waits for.
    fn wanted(&self) -> Option<(String, u64)> {
        let limits = &self.limits;
        let (name, limit) = match self.stage {
            Stage::Root => {
                let next = self.root.value.header().version.saturating_add(1);
                (format!("{next}.{ROOT}"), limits.root_len)
            }
            Stage::Timestamp => (TIMESTAMP.into(), limits.timestamp_len),
            Stage::Snapshot(meta) => {
                (self.named(SNAPSHOT, meta), meta.max_len(limits.snapshot_len, limits.unhashed_len))
            }
            Stage::Targets(meta) => {
                (self.named(TARGETS, meta), meta.max_len(limits.targets_len, limits.unhashed_len))
            }
            Stage::Delegated(at, meta) => {
                let role = self.targets.as_ref()?.value.delegations().get(at)?;
                (self.named(&role.name, meta), meta.max_len(limits.targets_len, limits.unhashed_len))
            }
            Stage::Done => return None,
        };
        Some((format!("{METADATA_DIR}/{name}.json"), limit))
    }

    /// The file's name: with consistent snapshots (5.3.12) the version stands before it.
    fn named(&self, role: &str, meta: MetaFile) -> String {
        if self.root.value.consistent_snapshot() { format!("{}.{role}", meta.version) } else { role.into() }
    }

    /// Checks for an endless data attack.
    fn check_length(&self, bytes: &[u8], limit: u64) -> Result<(), TufError> {
        if bytes.len() as u64 <= limit {
            return Ok(());
        }
        Err(TufError::TooLong { role: self.role().into(), limit })
    }

    fn role(&self) -> &str {
        match self.stage {
            Stage::Root => ROOT,
            Stage::Timestamp | Stage::Done => TIMESTAMP,
            Stage::Snapshot(_) => SNAPSHOT,
            Stage::Targets(_) => TARGETS,
            Stage::Delegated(at, _) => self
                .targets
                .as_ref()
                .and_then(|targets| targets.value.delegations().get(at))
                .map_or(TARGETS, |delegation| &delegation.name),
        }
    }
}
