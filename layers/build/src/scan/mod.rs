//! From a directory to a [`Tree`]: all entries in stream order, with their attributes, content not yet read.
//!
//! The walk holds a handle of each directory on its way down and names entries relative to it, so links are never followed
//! and paths may be as long as the format allows. What each entry was seen as is kept, and compared again when all was read.

mod attributes;
mod exclude;
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
    let top = rustix::fs::open(dir, flags, Mode::empty())
        .map_err(|errno| BuildError::Root { path: PathBuf::from(dir), source: errno.into() })?;
    let mut walk = walk::Walk {
        options,
        above: Vec::new(),
        arrange,
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
