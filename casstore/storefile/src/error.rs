//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use plyos_blockstore::{CommitError, OpenError, ReadError};
use plyos_ids::GenerationId;

/// The answer of everything here.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What can go wrong with a store. Each message says what was being done, to what, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file system below the store is full, or its file may not become larger.
    #[error(
        "{doing} {path}: {source}; the store is as it was: make room on the file system that holds it and try again"
    )]
    NoSpace {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is something at the path where a store was to be made.
    #[error("cannot make a store at {path}: {what}; choose another path or remove it first")]
    Exists {
        /// Where.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// There is no valid store, or it was written by a newer program.
    #[error("cannot open the store {path}: {why}")]
    NotOpened {
        /// The store.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody else holds a lock.
    #[error(
        "the store {path} is busy: another program holds {lock} (waited {} s); let it finish, `lslocks` names it",
        waited.as_secs()
    )]
    Busy {
        /// The store.
        path: PathBuf,
        /// Which lock.
        lock: &'static str,
        /// How long was waited.
        waited: Duration,
    },
    /// There is no room.
    #[error(
        "the store {path} is full: {needed} bytes are needed together and {free} are free; clean it up or make it larger"
    )]
    Full {
        /// The store.
        path: PathBuf,
        /// Bytes that were needed together.
        needed: u64,
        /// Bytes that are free in all.
        free: u64,
    },
    /// The active generation or the slots changed since the plan was made. Nothing was changed.
    #[error("the store {path} changed meanwhile ({why}); plan again")]
    Changed {
        /// The store.
        path: PathBuf,
        /// What changed.
        why: String,
        /// The generation that is active now, where that is what changed.
        active: Option<GenerationId>,
    },
    /// The store must not be written by this program.
    #[error("the store {path} must not be written: {why}")]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What was read does not verify.
    #[error("the store {path} is damaged: {what}; fetch or install it again")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What, and how it was noticed.
        what: String,
    },
    /// The caller asked for what a store cannot do.
    #[error("the store {path} cannot take this: {what}")]
    Invalid {
        /// The store.
        path: PathBuf,
        /// What, and why not.
        what: String,
    },
}

impl StoreError {
    /// For `map_err`: the operating system refused.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::of_io(doing, path, source)
    }

    fn of_io(doing: &'static str, path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { doing, path, source }
            }
            _ => Self::Io { doing, path, source },
        }
    }

    pub(crate) fn opening(path: impl Into<PathBuf>, error: OpenError<io::Error>) -> Self {
        let path = path.into();
        match error {
            OpenError::Io(source) => Self::Io { doing: "reading the store", path, source },
            OpenError::TooNew(_) => Self::NotOpened { path, why: format!("{error}; update this program") },
            OpenError::NoValidCopy(_) => Self::NotOpened {
                path,
                why: format!("{error}; is it a store? Make one, or restore this one"),
            },
            OpenError::Truncated { .. } => {
                Self::NotOpened { path, why: format!("{error}; restore the whole store") }
            }
            OpenError::DirectoryTooLong { .. } => Self::NotOpened { path, why: error.to_string() },
        }
    }

    /// A record or map that could not be read, or is damaged; `what` names it.
    pub(crate) fn unreadable(path: impl Into<PathBuf>, what: &str, error: ReadError<io::Error>) -> Self {
        let path = path.into();
        match error {
            ReadError::Io(source) => Self::Io { doing: "reading the store", path, source },
            other => Self::Damaged { path, what: format!("{what}: {other}") },
        }
    }

    pub(crate) fn committing(path: impl Into<PathBuf>, error: CommitError<io::Error>) -> Self {
        let path = path.into();
        let why = error.to_string();
        match error {
            CommitError::Open(error) => Self::opening(path, error),
            CommitError::Append(source) => {
                Self::of_io("writing new data (nothing has changed) to", path, source)
            }
            CommitError::Flip(source) => {
                Self::Io { doing: "writing the superblock (look before trying again) of", path, source }
            }
            CommitError::Unreadable | CommitError::ReadOnly(_) => Self::ReadOnly { path, why },
            CommitError::ActiveChanged(active) => Self::Changed { path, why, active },
            CommitError::SlotsChanged | CommitError::RecordChanged(_) => {
                Self::Changed { path, why, active: None }
            }
            CommitError::MissingGeneration(_)
            | CommitError::BadSlots
            | CommitError::Limits
            | CommitError::Size { .. } => Self::Invalid { path, what: why },
            CommitError::Full { needed, free } => Self::Full { path, needed, free },
        }
    }
}
