//! From a staging tree to one that is ready to be built, by the same rules as a directory that is scanned.

use std::collections::HashMap;

use plyos_layer_build::{BuildError, ScanOptions, Spooled, Tree, belongs};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::MtimeRule;
use plyos_layer_format::stream::EPOCH;

use super::path::TreePath;
use super::{Attributes, Inode, Node, Placed, Special, Staging};
use crate::error::{ImportError, shown};

/// An entry and, for a file, its content.
type Whole = (Entry, Option<Spooled>);

impl Staging {
    /// The tree, with `rules` applied.
    pub(crate) fn finish(self, rules: &ScanOptions) -> Result<Tree, ImportError> {
        let Self { nodes, inodes, spool, .. } = self;
        let mut kept: Vec<(TreePath, Placed)> = Vec::with_capacity(nodes.len());
        let mut left_out: Option<TreePath> = None;
        for (path, placed) in nodes {
            if left_out.as_ref().is_some_and(|directory| path.is_below(directory)) {
                continue;
            }
            let is_directory = matches!(placed.node, Node::Directory(_));
            if !path.bytes().is_empty() && rules.exclude.matches(path.bytes(), is_directory) {
                left_out = Some(path);
            } else {
                kept.push((path, placed));
            }
        }
        let above = strip(&mut kept, rules.strip)?;
        let mut maker = Maker { rules, inodes: &inodes, first_names: HashMap::new(), out: Vec::new() };
        for (path, placed) in kept {
            maker.add(path.bytes().get(above..).unwrap_or_default(), placed.node)?;
        }
        let mut entries = maker.out;
        count_descendants(&mut entries);
        Ok(Tree::from_spool(spool, entries, rules.mtime)?)
    }
}

/// Makes the directory `levels` down the root. Returns how many bytes of the paths that are left lead to it.
fn strip(kept: &mut Vec<(TreePath, Placed)>, levels: usize) -> Result<usize, BuildError> {
    let mut root = TreePath::default();
    for level in 0..levels {
        // In stream order the first entry below a directory is its first child.
        let only = kept.get(level + 1).filter(|(_, placed)| matches!(placed.node, Node::Directory(_)));
        let inside = |path: &TreePath, only: &TreePath| path == only || path.is_below(only);
        match only {
            Some((only, _)) if kept.iter().skip(level + 1).all(|(path, _)| inside(path, only)) => {
                root = only.clone();
            }
            _ => {
                let depth = |path: &TreePath| path.bytes().iter().filter(|byte| **byte == b'/').count();
                let children = kept.iter().skip(level + 1).filter(|(path, _)| depth(path) == level);
                let found = children.map(|(path, _)| shown(path.bytes())).collect();
                return Err(BuildError::Strip { levels, found });
            }
        }
    }
    kept.drain(..levels);
    Ok(if levels == 0 { 0 } else { root.bytes().len() + 1 })
}

/// Makes entries one after the other.
struct Maker<'a> {
    rules: &'a ScanOptions,
    inodes: &'a [Inode],
    /// Ordinal of the first name of each file.
    first_names: HashMap<usize, usize>,
    out: Vec<Whole>,
}

impl Maker<'_> {
    fn add(&mut self, path: &[u8], node: Node) -> Result<(), BuildError> {
        let (kind, attributes, content) = match node {
            Node::Directory(attributes) => (EntryKind::Directory { descendants: 0 }, attributes, None),
            Node::Special(special, attributes) => (special.into(), attributes, None),
            Node::File(number) => match self.first_names.get(&number) {
                Some(first) => return self.add_name(path, *first),
                None => {
                    self.first_names.insert(number, self.out.len());
                    let Some(inode) = self.inodes.get(number) else {
                        return Err(BuildError::Changed { path: shown(path) });
                    };
                    let size = inode.content.size();
                    let kind = EntryKind::File { size, data_offset: 0, links: 1 };
                    (kind, inode.attributes.clone(), Some(inode.content))
                }
            },
        };
        let Attributes { mode, uid, gid, mtime, mut xattrs } = attributes;
        let (uid, gid) =
            self.rules.owner.apply(uid, gid).map_err(|id| BuildError::Owner { path: shown(path), id })?;
        xattrs.retain(|xattr| belongs(&xattr.name));
        // What systems say of a symbolic link's mode differs and means nothing; Linux always says this.
        let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { mode };
        let mtime = match self.rules.mtime {
            MtimeRule::Content => EPOCH,
            MtimeRule::Kept => mtime,
        };
        self.out.push((Entry { path: path.to_vec(), kind, mode, uid, gid, mtime, xattrs }, content));
        Ok(())
    }

    /// Adds another name of the file whose first name is entry number `first`.
    fn add_name(&mut self, path: &[u8], first: usize) -> Result<(), BuildError> {
        let Some((entry, _)) = self.out.get_mut(first) else {
            return Err(BuildError::Changed { path: shown(path) });
        };
        if let EntryKind::File { links, .. } = &mut entry.kind {
            *links += 1;
        }
        let kind = EntryKind::HardLink { target: first as u64 };
        let (mode, uid, gid, mtime) = (entry.mode, entry.uid, entry.gid, entry.mtime);
        let name = Entry { path: path.to_vec(), kind, mode, uid, gid, mtime, xattrs: Vec::new() };
        self.out.push((name, None));
        Ok(())
    }
}

impl From<Special> for EntryKind {
    fn from(special: Special) -> Self {
        match special {
            Special::Symlink { target } => Self::Symlink { target },
            Special::CharDevice { major, minor } => Self::CharDevice { major, minor },
            Special::BlockDevice { major, minor } => Self::BlockDevice { major, minor },
            Special::Fifo => Self::Fifo,
        }
    }
}

/// Fills in how many entries lie below each directory.
fn count_descendants(entries: &mut [Whole]) {
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut counts = Vec::new();
    for (ordinal, (entry, _)) in entries.iter().enumerate() {
        // Components: the root has none.
        let depth = match entry.path.len() {
            0 => 0,
            _ => 1 + entry.path.iter().filter(|byte| **byte == b'/').count(),
        };
        while let Some((directory, _)) = open.pop_if(|(_, above)| *above >= depth) {
            counts.push((directory, ordinal - directory - 1));
        }
        if entry.is_directory() {
            open.push((ordinal, depth));
        }
    }
    let end = entries.len();
    counts.extend(open.into_iter().map(|(directory, _)| (directory, end - directory - 1)));
    for (directory, count) in counts {
        if let Some((Entry { kind: EntryKind::Directory { descendants }, .. }, _)) =
            entries.get_mut(directory)
        {
            *descendants = count as u64;
        }
    }
}
