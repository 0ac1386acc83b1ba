//! What every command works on: the store, the time, the way to speak.

use crate::repositories::Repository;
use crate::settings::Settings;
use plyos_report::{ExitCode, Failure, Progress, Verbosity};
use plyos_storefile::RecordType;
use plyos_storefile::{CreateOptions, Store, StoreError, Writer};
use plyos_transfer::{Http, Limit};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Size of a store file that is made because none was there. It is sparse: only what is used takes room.
const USUAL_SIZE: u64 = 8 << 30;
/// How long to wait for another `pkg` that writes.
const WAIT: Duration = Duration::from_secs(30);

/// ABIs that a Linux host runs.
pub const ABIS: &[&str] = &["linux", "plyos-0"];

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// It may.
    Allowed,
    /// No socket is opened (`--offline`).
    Offline,
}

/// Whether to do what a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Do it.
    Now,
    /// Only say what would happen (`--dry-run`).
    DryRun,
}

/// The machine's store and how to speak about it.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    network: Network,
    /// Of the command line; the setting counts without it.
    limit: Option<NonZeroU64>,
    /// What the clients of all repositories share, and those that were made.
    clients: Mutex<Clients>,
    /// Steps and results.
    pub progress: Progress,
}

/// A client for each repository, and the limit that all of them share.
#[derive(Debug, Default)]
struct Clients {
    limit: Option<Limit>,
    made: BTreeMap<String, Http>,
}

impl Target {
    /// The store at `path`.
    pub fn new(path: &Path, network: Network, progress: Progress) -> Self {
        Self { path: path.to_owned(), network, limit: None, clients: Mutex::default(), progress }
    }

    /// The same, with a limit on how fast layers come, in bytes a second, instead of the setting.
    #[must_use]
    pub fn limited(self, limit: Option<NonZeroU64>) -> Self {
        Self { limit, ..self }
    }

    /// The same, which says nothing.
    pub fn quiet(&self) -> Self {
        let quiet = Progress::new(Verbosity::Quiet, false);
        Self::new(&self.path, self.network, quiet).limited(self.limit)
    }

    /// The client for a repository's servers: it believes the authority that was given for it, and is the same each time. Opens nothing.
    pub fn client(&self, store: &Store, repository: &Repository) -> Result<Http, Failure> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = clients.made.get(&repository.name) {
            return Ok(made.clone());
        }
        if clients.limit.is_none() {
            // Settings that cannot be read limit nothing; `pkg verify` tells of them.
            let set = Settings::load(store).ok().and_then(|settings| settings.download_limit);
            clients.limit = self.limit.or(set).map(Limit::new);
        }
        let http = Http::trusting(&repository.authorities()?)?.limited(clients.limit.clone());
        clients.made.insert(repository.name.clone(), http.clone());
        Ok(http)
    }

    /// Whether the network may be used.
    pub fn is_online(&self) -> bool {
        self.network == Network::Allowed
    }

    /// Refuses when the network may not be used.
    pub fn need_network(&self, doing: &str) -> Result<(), Failure> {
        if self.is_online() {
            return Ok(());
        }
        let line =
            format!("{doing}: this needs the network, and --offline keeps from it; run it again without");
        Err(Failure::new(ExitCode::Network, line))
    }

    /// Path of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the store for reading.
    pub fn store(&self) -> Result<Store, Failure> {
        self.need()?;
        Store::open(&self.path).map_err(|error| self.fail(&error))
    }

    /// Opens the store for writing; waits for another writer for a while.
    pub fn writer(&self) -> Result<Writer, Failure> {
        self.need()?;
        Store::writer(&self.path, WAIT).map_err(|error| self.fail(&error))
    }

    /// Opens the store for writing, if that can be done at once.
    pub fn writer_at_once(&self) -> Option<Writer> {
        Store::writer(&self.path, Duration::ZERO).ok()
    }

    /// Opens the store for repairing it.
    pub fn repairer(&self) -> Result<Writer, Failure> {
        self.need()?;
        Store::repairer(&self.path, WAIT).map_err(|error| self.fail(&error))
    }

    /// Makes a new store.
    pub fn create(&self, size: Option<u64>) -> Result<(), Failure> {
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| {
                Failure::new(ExitCode::Store, format!("making the folder {}: {error}", parent.display()))
            })?;
        }
        // A device is used whole.
        let is_device = std::fs::metadata(&self.path).is_ok_and(|about| about.file_type().is_block_device());
        let usual = if is_device { 0 } else { USUAL_SIZE };
        let options = CreateOptions { size: size.unwrap_or(usual), boots: false };
        Store::create(&self.path, &options).map(|_| ()).map_err(|error| self.fail(&error))
    }

    /// Opens the store for writing and makes it when it is missing.
    pub fn writer_or_new(&self) -> Result<Writer, Failure> {
        if !self.path.exists() {
            self.create(None)?;
            self.progress.step(&format!("Made a new store: {}", self.path.display()));
        }
        self.writer()
    }

    /// Time of judgement: the later of the clock and the newest signed time that the store has seen.
    pub fn now(&self, store: &Store) -> u64 {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        clock.max(store.superblock().time_floor)
    }

    /// A failure of the store.
    pub fn fail(&self, error: &StoreError) -> Failure {
        Failure::new(ExitCode::Store, format!("store {}: {error}", self.path.display()))
    }

    fn need(&self) -> Result<(), Failure> {
        if self.path.exists() {
            return Ok(());
        }
        let line = format!(
            "there is no store at {}; `pkg repo add URL --root FILE` makes one, or name another with --store",
            self.path.display()
        );
        Err(Failure::new(ExitCode::Store, line))
    }
}

/// Reads a record.
pub fn record(store: &Store, record_type: RecordType, key: &[u8; 32]) -> Result<Option<Vec<u8>>, Failure> {
    store
        .record(record_type, key)
        .map_err(|error| Failure::new(ExitCode::Store, format!("reading a {record_type:?} record: {error}")))
}

/// Key of a record that is called by a text.
pub fn key_of(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

/// Key of a record of which a store has one.
pub const ONLY: [u8; 32] = [0; 32];
