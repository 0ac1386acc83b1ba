//! Writing a tree of entries to a fresh directory.
//!
//! The entries may come from outside, so nothing is believed of them: each is checked, each is made by one name inside a
//! directory that this export made and holds open, nothing that exists is opened or replaced, and no symbolic link
//! is followed. Until a directory is complete only its owner may enter it; its mode and times are set last.
//!
//! [`export_beside`] does the same beside an earlier export, whose files it takes where they are the same ([`Earlier`]).

mod attributes;
mod directories;
mod files;
mod nodes;
mod standing;

use std::io;
use std::path::{Path, PathBuf};

use plyos_layer_format::entry::Entry;
use plyos_layer_format::stream::EntryError;

pub use rustix::fs::Stat;
pub use standing::{Content, Earlier, Standing, Way, can_clone};

/// Where the content of files comes from.
pub trait ContentSource {
    /// Fills `out` with the stream's bytes at `offset`: verified ones, or an error.
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl<F: FnMut(u64, &mut [u8]) -> io::Result<()>> ContentSource for F {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self(offset, out)
    }
}

/// Whose the written files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owners {
    /// As the layer says, where the system lets us.
    Keep,
    /// Whoever runs the export.
    #[default]
    Current,
}

/// How to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportOptions {
    /// Whose the files are.
    pub owners: Owners,
}

/// What was written, and what the system did not let us keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Entries written, the root included.
    pub entries: u64,
    /// Files written.
    pub files: u64,
    /// Bytes of content written.
    pub content_len: u64,
    /// Files that are further names of earlier ones, and their bytes.
    pub linked: Taken,
    /// Files that share the blocks of earlier ones, and their bytes.
    pub cloned: Taken,
    /// Entries that belong to someone else than the layer says, though [`Owners::Keep`] was asked for.
    pub owners_lost: u64,
    /// Files that were written without set-user-id or set-group-id, because they belong to another user or group than in the layer.
    pub set_ids_dropped: u64,
    /// Extended attributes that the file system or our rights do not allow.
    pub attributes_lost: u64,
    /// Device nodes left out for lack of rights.
    pub devices_skipped: u64,
}

/// Files that were taken as they stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// How many.
    pub files: u64,
    /// Bytes of their content.
    pub len: u64,
}

/// Why an export failed. What was written so far is left where it is, for the caller to remove. Paths are relative to the
/// destination.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The destination could not be made.
    #[error("cannot make the directory {path:?}: {source}; export to a path that does not exist yet")]
    Destination {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something could not be written.
    #[error("cannot write {path:?}: {source}")]
    Write {
        /// The entry.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file's content could not be had.
    #[error("cannot read the content of {path:?}: {source}")]
    Content {
        /// The entry.
        path: PathBuf,
        /// What the content source said.
        source: io::Error,
    },
    /// An entry breaks a rule of the format, alone or towards those before it.
    #[error("{path:?} is refused: {source}; ask the layer's publisher for a correct one")]
    Refused {
        /// The entry.
        path: PathBuf,
        /// The rule.
        source: EntryError,
    },
    /// The entries could not be read.
    #[error("cannot read the layer's entries: {0}")]
    Entries(Box<dyn std::error::Error + Send + Sync>),
}

/// Writes `entries` (in stream order, the root first) to `dest`, which must not exist yet; its parent must. Content is
/// read from `content` in stream order, in bounded pieces.
pub fn export<E: std::error::Error + Send + Sync + 'static>(
    entries: impl IntoIterator<Item = Result<Entry, E>>,
    content: &mut dyn ContentSource,
    dest: &Path,
    options: &ExportOptions,
) -> Result<Exported, ExportError> {
    export_beside(entries, content, dest, options, &mut standing::Nothing)
}

/// As [`export`], but takes files of an earlier export where `earlier` has them.
pub fn export_beside<E: std::error::Error + Send + Sync + 'static>(
    entries: impl IntoIterator<Item = Result<Entry, E>>,
    content: &mut dyn ContentSource,
    dest: &Path,
    options: &ExportOptions,
    earlier: &mut dyn Earlier,
) -> Result<Exported, ExportError> {
    let mut writer = nodes::Writer::new(dest, content, *options, earlier)?;
    for entry in entries {
        writer.write(entry.map_err(|error| ExportError::Entries(Box::new(error)))?)?;
    }
    writer.finish()
}
