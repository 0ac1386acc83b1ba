//! From a directory to a [`Tree`]: all entries in stream order, with their attributes, content not yet read.
//!
//! Directories are opened one below the other and entries named relative to their handles, so links are never followed
//! and paths may be as long as the format allows. Several threads look ([`look`]), one puts together ([`walk`]). What each entry was seen as is kept, and compared again when all was read.

mod attributes;
mod exclude;
mod look;
mod options;
mod owner;
mod seen;
mod walk;

pub use self::attributes::belongs;
pub use self::exclude::Exclusions;
pub use self::options::ScanOptions;
pub use self::owner::{IdMap, IdRange, Others, Owner};
pub(crate) use self::seen::{Seen, check_unchanged};
pub(crate) use self::walk::shown;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::BuildError;
use crate::tree::{Origin, Tree};

/// Most threads that look: more of them only wait for each other in the system.
const MOST_THREADS: usize = 4;

/// Threads that look at a tree where nobody says otherwise.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

/// By whom a directory is scanned. The result must not depend on it.
pub(crate) struct Manner<'a> {
    /// Threads that look.
    pub threads: usize,
    /// A say in the order in which names come from the system.
    pub arrange: &'a (dyn Fn(&mut Vec<Vec<u8>>) + Sync),
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Self { threads: threads(), arrange: &|_| {} }
    }
}

/// Walks `dir`. Nothing is written and no file's content is read.
pub fn scan(dir: &Path, options: &ScanOptions) -> Result<Tree, BuildError> {
    scan_by(dir, options, Manner::default())
}

/// [`scan`] in a given manner.
pub(crate) fn scan_by(dir: &Path, options: &ScanOptions, manner: Manner<'_>) -> Result<Tree, BuildError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(dir, flags, Mode::empty())
        .map_err(|errno| BuildError::Root { path: PathBuf::from(dir), source: errno.into() })?;
    let mut walk = walk::Walk {
        options,
        manner,
        above: Vec::new(),
        entries: Vec::new(),
        seen: Vec::new(),
        first_paths: HashMap::new(),
    };
    let root = walk.descend(top)?;
    walk.root(&root)?;
    let walk::Walk { entries, seen, .. } = walk;
    seen::settle(&seen);
    Ok(Tree { entries, mtime_rule: options.mtime, origin: Origin::Directory { root, seen } })
}
