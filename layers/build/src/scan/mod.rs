//! From a directory to a [`Tree`]: all entries in stream order, with their attributes, content not yet read.
//!
//! The walk holds a handle of each directory on its way down and names entries relative to it, so links are never followed
//! and paths may be as long as the format allows.

mod attributes;
mod options;
mod walk;

pub(crate) use self::walk::{identity, shown};

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

pub use self::options::{Owner, ScanOptions};
use crate::error::BuildError;
use crate::tree::{Origin, Tree};

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
    Ok(Tree { entries, mtime_rule: options.mtime, origin: Origin::Directory { root, identities } })
}
