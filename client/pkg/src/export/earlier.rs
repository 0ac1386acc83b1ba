//! The files that earlier exports left in the folder, and which of them the next tree may take.
//!
//! A file is looked for by where its bytes come from (chunks and ranges, which the index tells without a byte of content being
//! read), and then by its path: two layers may cut the same small file into different chunks. A file on which
//! nothing happened since it was exported is taken as it is; any other is compared with the store first.

use super::ledger::{self, Row, changed};
use crate::content::View;
use plyos_layer_build::export::{Content, Earlier, Standing, Stat, Way};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_namespace::namespace::NamespaceError;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files up to this size are compared with what stands at their path though their chunks are others. Larger ones begin and
/// end a chunk, so that their chunks are the same if they are.
const SMALL: u64 = 64 << 10;
/// Paths of changed files that are kept, to be shown.
const SHOWN: usize = 3;

/// What of an earlier tree may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Further names of files that have the same attributes.
    pub links: bool,
    /// Files that share blocks.
    pub clones: bool,
    /// Compare each file with the store, whatever its ledger says.
    pub compare: bool,
}

/// What a file is, by its layer's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    content: blake3::Hash,
    attributes: blake3::Hash,
}

/// A file that an earlier export left.
struct Candidate {
    row: Row,
    tree: usize,
    /// Each becomes one file of the new tree, so that two files are not made one.
    used: bool,
}

/// Files of earlier exports.
#[derive(Default)]
pub struct Known {
    trees: Vec<PathBuf>,
    candidates: Vec<Candidate>,
    by_content: HashMap<blake3::Hash, Vec<usize>>,
    by_path: HashMap<Vec<u8>, usize>,
}

impl Known {
    /// Of trees and their ledgers, the newest first: where two tell of one file, the newer is right.
    pub fn read(trees: impl IntoIterator<Item = (PathBuf, PathBuf)>) -> Self {
        let mut known = Self::default();
        let mut inodes = HashSet::new();
        for (tree, ledger) in trees {
            for row in ledger::read(&ledger) {
                if !inodes.insert(row.inode) {
                    continue;
                }
                let number = known.candidates.len();
                known.by_content.entry(row.content).or_default().push(number);
                known.by_path.entry(row.path.clone()).or_insert(number);
                known.candidates.push(Candidate { row, tree: known.trees.len(), used: false });
            }
            known.trees.push(tree);
        }
        known
    }

    /// The file that is most like this one: the same in everything, the same in content, or perhaps that.
    fn best(&self, keys: &Keys, entry: &Entry, size: u64) -> Option<usize> {
        let free = |number: &usize| self.candidates.get(*number).filter(|candidate| !candidate.used);
        let is_like = |number: &usize| {
            free(number).is_some_and(|candidate| candidate.row.attributes == keys.attributes)
        };
        let same = self.by_content.get(&keys.content).into_iter().flatten().copied();
        (same.clone().find(is_like)).or_else(|| same.clone().find(|number| free(number).is_some())).or_else(
            || self.by_path.get(&entry.path).copied().filter(|number| size <= SMALL && is_like(number)),
        )
    }
}

/// What an export finds of earlier ones, and what the next one will find of it.
pub struct Beside<'a> {
    view: &'a View,
    /// The layer of the entry that is just written.
    layer: &'a Cell<usize>,
    allowed: Use,
    known: Known,
    /// Of the entry that is just written: its keys, and the candidate whose content should be its own.
    now: Option<(Keys, Option<usize>)>,
    /// The new tree's ledger.
    pub rows: Vec<Row>,
    /// Files of earlier trees that are not any more what was exported.
    pub changed: u64,
    /// The first of them.
    pub shown: Vec<PathBuf>,
    /// Files that could have been further names of earlier ones, and their bytes.
    pub alike: (u64, u64),
}

impl<'a> Beside<'a> {
    /// Beside the trees of `known`; `layer` tells of which layer the entry is that comes next.
    pub fn new(view: &'a View, layer: &'a Cell<usize>, known: Known, allowed: Use) -> Self {
        let (now, rows, shown) = (None, Vec::new(), Vec::new());
        Self { view, layer, allowed, known, now, rows, changed: 0, shown, alike: (0, 0) }
    }

    /// Keys of a file: content by the chunks and ranges of which it consists, attributes with who exports, for who is not
    /// root cannot give files their owners.
    fn keys(&self, entry: &Entry, size: u64) -> Result<Keys, NamespaceError> {
        let mut content = blake3::Hasher::new_derive_key("plyos export content 1");
        content.update(&size.to_le_bytes());
        for slice in self.view.namespace.slices(self.layer.get(), entry)? {
            let slice = slice?;
            content.update(slice.chunk.id.as_bytes());
            content.update(&slice.range.start.to_le_bytes()).update(&slice.range.end.to_le_bytes());
        }
        let mut attributes = blake3::Hasher::new_derive_key("plyos export attributes 1");
        attributes.update(&size.to_le_bytes());
        attributes.update(&nix::unistd::geteuid().as_raw().to_le_bytes());
        attributes.update(&nix::unistd::getegid().as_raw().to_le_bytes());
        attributes.update(&entry.uid.to_le_bytes()).update(&entry.gid.to_le_bytes());
        attributes.update(&entry.mode.to_le_bytes()).update(&entry.mtime.to_le_bytes());
        for xattr in &entry.xattrs {
            for part in [&xattr.name, &xattr.value] {
                attributes.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        Ok(Keys { content: content.finalize(), attributes: attributes.finalize() })
    }

    fn note_change(&mut self, path: PathBuf) {
        self.changed += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(path);
        }
    }
}

impl Earlier for Beside<'_> {
    fn find(&mut self, entry: &Entry) -> io::Result<Option<Standing>> {
        let EntryKind::File { size, .. } = entry.kind else { return Ok(None) };
        let keys = self.keys(entry, size).map_err(io::Error::other)?;
        self.now = Some((keys, None));
        // An empty file shares nothing.
        let best = self.known.best(&keys, entry, size).filter(|_| size > 0);
        let Some(number) = best else { return Ok(None) };
        let Some(candidate) = self.known.candidates.get_mut(number) else { return Ok(None) };
        let is_same = candidate.row.content == keys.content;
        let is_alike = candidate.row.attributes == keys.attributes;
        let way = match self.allowed {
            Use { links: true, .. } if is_alike => Way::Link,
            Use { clones: true, .. } => Way::Clone,
            _ => {
                if is_same && is_alike {
                    candidate.used = true;
                    self.alike = (self.alike.0 + 1, self.alike.1 + size);
                }
                return Ok(None);
            }
        };
        candidate.used = true;
        let tree = self.known.trees.get(candidate.tree).map_or(Path::new(""), PathBuf::as_path);
        let path = tree.join(OsStr::from_bytes(&candidate.row.path));
        if is_same {
            self.now = Some((keys, Some(number)));
        }
        let (file, stat) = match open(&path) {
            Ok(found) => found,
            Err(error) => {
                if is_same {
                    self.note_change(path);
                }
                return Err(error);
            }
        };
        let is_known = is_same && !self.allowed.compare && candidate.row.is_untouched(&stat);
        let content = if is_known { Content::Known } else { Content::Unknown };
        Ok(Some(Standing { file, way, content }))
    }

    fn differs(&mut self, _: &Entry) {
        let number = self.now.and_then(|(_, number)| number);
        let Some(candidate) = number.and_then(|number| self.known.candidates.get(number)) else { return };
        let tree = self.known.trees.get(candidate.tree).map_or(Path::new(""), PathBuf::as_path);
        self.note_change(tree.join(OsStr::from_bytes(&candidate.row.path)));
    }

    fn stands(&mut self, entry: &Entry, stat: &Stat) {
        let Some((Keys { content, attributes }, _)) = self.now.take() else { return };
        let (inode, changed, path) = (stat.st_ino, changed(stat), entry.path.clone());
        self.rows.push(Row { content, attributes, inode, changed, path });
    }
}

/// Opens what should be a file, without waiting for anybody at the other end of what is none.
fn open(path: &Path) -> io::Result<(File, Stat)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let stat = rustix::fs::fstat(&file)?;
    if file.metadata()?.is_file() {
        Ok((file, stat))
    } else {
        Err(io::Error::from(io::ErrorKind::InvalidInput))
    }
}
