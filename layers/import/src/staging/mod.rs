//! The tree that an archive makes, while it is read: names, what stands at each, and which of them are one file.
//!
//! A later entry replaces an earlier one as `tar -x` would have it, with two exceptions where that is dangerous or readers
//! differ: nothing is put below a link, and a directory with content gives way to nothing. Links are looked up here and
//! never on disk. [`finish`] makes a [`plyos_layer_build::Tree`] of it.

mod finish;
mod path;

use std::collections::BTreeMap;
use std::io::Read;

use plyos_layer_build::{Spool, Spooled};
use plyos_layer_format::entry::Xattr;
use plyos_layer_format::stream::EPOCH;

use self::path::TreePath;
use crate::bounds::Meter;
use crate::error::{ImportError, Refusal, shown};
use crate::names::parent;

/// What an entry has besides its path and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Low 12 bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970; may be negative, which only kept times mind.
    pub mtime: i64,
    /// Sorted by name.
    pub xattrs: Vec<Xattr>,
}

impl Attributes {
    /// Those of a directory that an archive needs and does not have.
    pub(crate) const fn implied() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: EPOCH, xattrs: Vec::new() }
    }

    /// Bytes that they take.
    fn len(&self) -> usize {
        self.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len()).sum()
    }
}

/// What is neither a directory nor a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Special {
    Symlink { target: Vec<u8> },
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
}

/// What stands at a path.
#[derive(Debug, Clone)]
enum Node {
    Directory(Attributes),
    /// A name of the file with this number.
    File(usize),
    Special(Special, Attributes),
}

/// A file, by whatever names.
#[derive(Debug)]
struct Inode {
    attributes: Attributes,
    content: Spooled,
}

/// A node and the image layer that put it there.
#[derive(Debug)]
struct Placed {
    node: Node,
    layer: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Staging {
    nodes: BTreeMap<TreePath, Placed>,
    inodes: Vec<Inode>,
    spool: Spool,
    meter: Meter,
    /// Number of the layer that is being read; 0 where there is but one.
    layer: u32,
}

impl Staging {
    /// An empty tree; its content goes into a temporary file.
    pub(crate) fn new(meter: Meter) -> Result<Self, ImportError> {
        let file = tempfile::tempfile().map_err(|source| ImportError::Read {
            what: "a temporary file for the content".into(),
            source,
        })?;
        let root = Placed { node: Node::Directory(Attributes::implied()), layer: 0 };
        let nodes = BTreeMap::from([(TreePath::default(), root)]);
        Ok(Self { nodes, inodes: Vec::new(), spool: Spool::new(file), meter, layer: 0 })
    }

    /// What comes now is of the next layer, on top of what is there.
    pub(crate) fn next_layer(&mut self) {
        self.layer += 1;
    }

    /// Adds a directory. One that is there keeps its content and gets these attributes.
    pub(crate) fn directory(&mut self, path: &[u8], attributes: Attributes) -> Result<(), ImportError> {
        self.place(path, Node::Directory(attributes))
    }

    /// Adds a file with all that `content` yields, and returns its size.
    pub(crate) fn file(
        &mut self,
        path: &[u8],
        attributes: Attributes,
        content: impl Read,
    ) -> Result<u64, ImportError> {
        let content = self
            .spool
            .add(content)
            .map_err(|source| ImportError::read(&shown(path).display().to_string(), source))?;
        let inode = self.inodes.len();
        self.inodes.push(Inode { attributes, content });
        self.place(path, Node::File(inode))?;
        Ok(content.size())
    }

    /// Counts the bytes of a file's holes, which no reader counts.
    pub(crate) fn expand_holes(&self, bytes: u64) -> Result<(), Refusal> {
        self.meter.expand(bytes)
    }

    /// Adds a link, device or pipe.
    pub(crate) fn special(
        &mut self,
        path: &[u8],
        special: Special,
        attributes: Attributes,
    ) -> Result<(), ImportError> {
        self.place(path, Node::Special(special, attributes))
    }

    /// Adds another name for what stands at `target`. Only files have several names in a layer; what else an archive links
    /// to (GNU tar does so with symbolic links) is there twice, as when a directory is scanned.
    pub(crate) fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), ImportError> {
        match self.nodes.get(&TreePath::new(target)).map(|placed| &placed.node) {
            None | Some(Node::Directory(_)) => {
                Err(ImportError::entry(path, Refusal::HardLink(shown(target))))
            }
            Some(node) => {
                let node = node.clone();
                self.place(path, node)
            }
        }
    }

    /// Takes away what lower layers have at `path` and below. Called before anything of the own layer is added.
    pub(crate) fn remove(&mut self, path: &[u8]) {
        if !path.is_empty() {
            self.nodes.remove(&TreePath::new(path));
            self.empty(path);
        }
    }

    /// Takes away all below `path`.
    pub(crate) fn empty(&mut self, path: &[u8]) {
        let below: Vec<TreePath> = self.below(path).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// Whether something stands at `path` or above it that is no directory, so that nothing can be in it.
    pub(crate) fn is_blocked(&self, path: &[u8]) -> Option<Refusal> {
        let mut above = Some(path);
        while let Some(directory) = above {
            if let Some(placed) = self.nodes.get(&TreePath::new(directory))
                && let Some(refusal) = blocks(directory, &placed.node)
            {
                return Some(refusal);
            }
            above = parent(directory);
        }
        None
    }

    fn below(&self, path: &[u8]) -> impl Iterator<Item = (&TreePath, &Placed)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = TreePath::new(path);
        let first = start.clone();
        self.nodes.range((Excluded(start), Unbounded)).take_while(move |(path, _)| path.is_below(&first))
    }

    /// Puts `node` at `path`, with directories on the way to it.
    fn place(&mut self, path: &[u8], node: Node) -> Result<(), ImportError> {
        let refused = |refusal| ImportError::entry(path, refusal);
        let attributes = match &node {
            Node::Directory(attributes) | Node::Special(_, attributes) => attributes.len(),
            Node::File(inode) => self.inodes.get(*inode).map_or(0, |inode| inode.attributes.len()),
        };
        let target = match &node {
            Node::Special(Special::Symlink { target }, _) => target.len(),
            _ => 0,
        };
        self.meter.entry(path.len() + target + attributes).map_err(refused)?;
        let is_directory = matches!(node, Node::Directory(_));
        if path.is_empty() && !is_directory {
            return Err(refused(Refusal::Root));
        }
        self.make_parents(path)?;
        if !is_directory
            && matches!(self.nodes.get(&TreePath::new(path)), Some(Placed { node: Node::Directory(_), .. }))
        {
            // A lower layer's directory vanishes with all in it; one of the same archive only when it is empty.
            if self.below(path).any(|(_, placed)| placed.layer == self.layer) {
                return Err(refused(Refusal::DirectoryInTheWay));
            }
            self.empty(path);
        }
        self.nodes.insert(TreePath::new(path), Placed { node, layer: self.layer });
        Ok(())
    }

    fn make_parents(&mut self, path: &[u8]) -> Result<(), ImportError> {
        let mut missing = Vec::new();
        let mut above = parent(path);
        while let Some(directory) = above {
            match self.nodes.get(&TreePath::new(directory)) {
                None => missing.push(directory),
                Some(placed) => match blocks(directory, &placed.node) {
                    Some(refusal) => return Err(ImportError::entry(path, refusal)),
                    None => break,
                },
            }
            above = parent(directory);
        }
        for directory in missing {
            self.meter.entry(directory.len()).map_err(|refusal| ImportError::entry(path, refusal))?;
            let node = Node::Directory(Attributes::implied());
            self.nodes.insert(TreePath::new(directory), Placed { node, layer: self.layer });
        }
        Ok(())
    }
}

/// Why nothing can lie below `node`, if so.
fn blocks(path: &[u8], node: &Node) -> Option<Refusal> {
    match node {
        Node::Directory(_) => None,
        Node::Special(Special::Symlink { .. }, _) => Some(Refusal::BelowLink(shown(path))),
        Node::File(_) | Node::Special(..) => Some(Refusal::BelowFile(shown(path))),
    }
}

#[cfg(test)]
mod tests;
