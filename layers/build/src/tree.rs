//! A tree that is ready to be built: its entries in stream order, and where the content of its files lies.
//!
//! [`crate::scan`] makes one from a directory, whose files are read where they are; [`Tree::from_spool`] takes one that was put
//! together from archives, whose content lies in a [`Spool`].

use std::os::fd::{AsFd, OwnedFd};

use plyos_layer_format::entry::{Entry, compare_paths};
use plyos_layer_format::index::MtimeRule;
use plyos_layer_format::stream;

use crate::error::BuildError;
use crate::scan::{Seen, check_unchanged, shown};
use crate::spool::{Spool, Spooled};

/// Entries in stream order with a source of content.
#[derive(Debug)]
pub struct Tree {
    /// In stream order. Offsets, and times that come of content, are filled in by [`crate::build`].
    pub(crate) entries: Vec<Entry>,
    pub(crate) mtime_rule: MtimeRule,
    pub(crate) origin: Origin,
}

/// Where the content of a tree's files lies.
#[derive(Debug)]
pub(crate) enum Origin {
    /// In the directory that was scanned.
    Directory {
        /// Handle of the directory: entries are opened relative to it.
        root: OwnedFd,
        /// For each entry what it was seen as.
        seen: Vec<Seen>,
    },
    /// In a spool.
    Spool {
        spool: Spool,
        /// For each entry its content; none for what is no file.
        contents: Vec<Option<Spooled>>,
    },
}

impl Tree {
    /// A tree whose files' content lies in `spool`. The entries must be in stream order, directories with their descendants,
    /// hard links with the ordinal of their first path, each file with its content's size; times are kept under
    /// [`MtimeRule::Kept`] and made from content otherwise. Each entry is checked, the whole by the index when it is emitted.
    pub fn from_spool(
        spool: Spool,
        entries: Vec<(Entry, Option<Spooled>)>,
        mtime_rule: MtimeRule,
    ) -> Result<Self, BuildError> {
        for (entry, _) in &entries {
            stream::check_entry(entry)
                .map_err(|source| BuildError::Refused { path: shown(&entry.path), source })?;
        }
        for pair in entries.windows(2) {
            if let [(a, _), (b, _)] = pair
                && compare_paths(&a.path, &b.path).is_ge()
            {
                return Err(BuildError::Twice { path: shown(&b.path) });
            }
        }
        let (entries, contents) = entries.into_iter().unzip();
        Ok(Self { entries, mtime_rule, origin: Origin::Spool { spool, contents } })
    }

    /// The entries in stream order, the root first. Data offsets are zero and, under [`MtimeRule::Content`], so far all
    /// times the fixed epoch.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Fails if anything in a scanned directory is not what it was when it was scanned: then what was read may be of two
    /// states of it.
    pub(crate) fn check_unchanged(&self) -> Result<(), BuildError> {
        match &self.origin {
            Origin::Directory { root, seen } => check_unchanged(root.as_fd(), &self.entries, seen),
            Origin::Spool { .. } => Ok(()),
        }
    }

    /// Bytes of all files' content, each inode once.
    pub fn content_len(&self) -> u64 {
        self.entries.iter().map(Entry::size).sum()
    }
}
