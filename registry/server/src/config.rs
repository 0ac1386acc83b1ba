//! What an operator decides: where things lie, who may push, and how much is taken from one client.

use std::path::PathBuf;
use std::time::Duration;

/// How the registry is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory that everything lies in; made if missing.
    pub storage: PathBuf,
    /// Whether anyone may push and publish. Without it every write is refused.
    pub anonymous_push: bool,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
}

impl Config {
    /// A read-only registry over `storage` with the usual limits.
    pub fn new(storage: impl Into<PathBuf>) -> Self {
        Self { storage: storage.into(), anonymous_push: false, limits: Limits::default() }
    }
}

/// Bounds on what clients may ask for, each of which would otherwise be theirs to choose.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a manifest, which is held in memory while it is checked.
    pub manifest_bytes: usize,
    /// Descriptors in a manifest, each of which is looked up.
    pub manifest_references: usize,
    /// Bytes of a blob, which fill the disk.
    pub blob_bytes: u64,
    /// Bytes of a catalog file, which is hashed when first asked for.
    pub catalog_file_bytes: u64,
    /// Ranges in one request, each of which opens the object.
    pub ranges: usize,
    /// Tags in one answer, which are sorted in memory.
    pub tags: usize,
    /// Upload sessions open at a time, each of which keeps a file.
    pub open_uploads: usize,
    /// How long an upload may send nothing before its request ends; what came is kept.
    pub upload_idle: Duration,
    /// How long a session is kept that nobody writes to.
    pub upload_expiry: Duration,
    /// How long requests may go on after the server was asked to stop.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // What the specification asks registries to take at least.
            manifest_bytes: 4 * 1024 * 1024,
            manifest_references: 4096,
            // The largest single files of published models are some tens of gigabytes.
            blob_bytes: 256 * 1024 * 1024 * 1024,
            catalog_file_bytes: 64 * 1024 * 1024,
            ranges: 1024,
            tags: 1000,
            open_uploads: 4096,
            upload_idle: Duration::from_secs(60),
            upload_expiry: Duration::from_secs(24 * 3600),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}
