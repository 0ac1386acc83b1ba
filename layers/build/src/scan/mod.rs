//! From a directory to a [`Tree`]: all entries in stream order, with their attributes, content not yet read.
//!
//! The walk holds a handle of each directory on its way down and names entries relative to it, so links are never followed
//! and paths may be as long as the format allows.

mod attributes;
mod options;
mod walk;

pub(crate) use self::walk::{identity, shown};

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use plyos_layer_format::entry::Entry;
use plyos_layer_format::index::MtimeRule;
use rustix::fs::{Mode, OFlags};

pub use self::options::{Owner, ScanOptions};
use crate::error::BuildError;

/// What was found in a directory, ready to be built.
#[derive(Debug)]
pub struct Tree {
    /// Handle of the directory: entries are opened relative to it.
    pub(crate) root: OwnedFd,
    /// In stream order. Offsets, and times that come of content, are filled in by [`crate::build`].
    pub(crate) entries: Vec<Entry>,
    /// For each entry the device and inode number it was seen with.
    pub(crate) identities: Vec<Identity>,
    pub(crate) mtime_rule: MtimeRule,
}

/// By which a file is known again when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub device: u64,
    pub inode: u64,
}

impl Tree {
    /// The entries in stream order, the root first. Data offsets are zero and, under [`MtimeRule::Content`], so far all
    /// times the fixed epoch.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of all files' content, each inode once.
    pub fn content_len(&self) -> u64 {
        self.entries.iter().map(Entry::size).sum()
    }
}

/// Walks `dir`. Nothing is written and no file's content is read.
pub fn scan(dir: &Path, options: &ScanOptions) -> Result<Tree, BuildError> {
    scan_in_order(dir, options, &mut |_| {})
}

/// [`scan`] with a say in the order in which names come from the system: the result must not depend on it.
pub(crate) fn scan_in_order(
    dir: &Path,
    options: &ScanOptions,
    arrange: &mut dyn FnMut(&mut Vec<Vec<u8>>),
) -> Result<Tree, BuildError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(dir, flags, Mode::empty())
        .map_err(|errno| BuildError::Root { path: PathBuf::from(dir), source: errno.into() })?;
    let mut walk = walk::Walk {
        options,
        excluded: options::excluded_paths(options)?,
        arrange,
        entries: Vec::new(),
        identities: Vec::new(),
        first_paths: HashMap::new(),
    };
    walk.root(&root)?;
    let walk::Walk { entries, identities, .. } = walk;
    Ok(Tree { root, entries, identities, mtime_rule: options.mtime })
}
