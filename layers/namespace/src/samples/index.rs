//! Whole layers with their streams and indexes.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use plyos_ids::{ChunkId, Kind};
use plyos_layer_format::{
    chunks::LARGE_FILE,
    descriptor::Descriptor,
    entry::{Entry, EntryKind, Xattr, compare_paths},
    index::{Chunk, Index, IndexInput, MtimeRule, emit, layer_id},
    pages::{PAGE_SIZE, Page, PageHashes, PageSource},
    stream::{END, EPOCH, header, padding},
};

use crate::namespace::NamespaceLayer;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Directory,
    File(Vec<u8>),
    /// A file of 100,000 zero bytes with an extended attribute of this value.
    Tagged(Vec<u8>),
    Symlink(String),
    /// Another name of the file at this path, which sorts before.
    HardLink(String),
}

/// A file with a text in it.
pub fn text(content: &str) -> Node {
    Node::File(content.as_bytes().to_vec())
}

/// A symbolic link.
pub fn link(target: &str) -> Node {
    Node::Symlink(target.to_string())
}

/// An index in memory.
#[derive(Debug)]
pub struct Memory(pub Vec<u8>);

impl PageSource for Memory {
    type Error = &'static str;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), Self::Error> {
        let start = page as usize * PAGE_SIZE;
        out.copy_from_slice(self.0.get(start..start + PAGE_SIZE).ok_or("beyond the end")?);
        Ok(())
    }
}

/// A layer and its stream.
pub struct Built {
    pub index: Vec<u8>,
    pub stream: Vec<u8>,
}

impl Built {
    /// The layer with its index open.
    pub fn open(&self) -> NamespaceLayer<Memory> {
        let hashes = PageHashes::compute(&self.index);
        NamespaceLayer::new(Index::open(layer_id(&self.index), hashes, Memory(self.index.clone())).unwrap())
    }
}

/// Builds a layer; parents of the paths are added. Runs are cut into chunks of `cut` bytes.
pub fn build(kind: Kind, name: &str, replaces: &[&str], nodes: &[(&str, Node)], cut: usize) -> Built {
    let mut tree: BTreeMap<&str, &Node> = BTreeMap::from([("", &Node::Directory)]);
    for (path, node) in nodes {
        tree.extend(path.match_indices('/').map(|(at, _)| (&path[..at], &Node::Directory)));
        tree.insert(path, node);
    }
    let mut paths: Vec<&str> = tree.keys().copied().collect();
    paths.sort_by(|a, b| compare_paths(a.as_bytes(), b.as_bytes()));

    let (mut entries, mut header_offsets, mut stream) = (Vec::new(), Vec::new(), Vec::new());
    let mut runs = Vec::new();
    for path in &paths {
        let below = paths.iter().filter(|other| crate::rules::is_below(other.as_bytes(), path.as_bytes()));
        let links =
            1 + tree.values().filter(|node| matches!(node, Node::HardLink(first) if first == path)).count();
        let mut content: &[u8] = &[];
        let mut first_path = None;
        let mut xattrs = Vec::new();
        let kind = match tree[path] {
            Node::Directory => EntryKind::Directory { descendants: below.count() as u64 },
            Node::File(bytes) => {
                content = bytes;
                EntryKind::File { size: bytes.len() as u64, data_offset: 0, links: links as u32 }
            }
            Node::Tagged(value) => {
                content = &[0; 100_000];
                xattrs.push(Xattr { name: b"user.tag".to_vec(), value: value.clone() });
                EntryKind::File { size: content.len() as u64, data_offset: 0, links: links as u32 }
            }
            Node::Symlink(target) => EntryKind::Symlink { target: target.as_bytes().to_vec() },
            Node::HardLink(first) => {
                first_path = Some(first.as_bytes());
                EntryKind::HardLink { target: paths.iter().position(|path| path == first).unwrap() as u64 }
            }
        };
        let mode = if matches!(kind, EntryKind::Directory { .. }) { 0o755 } else { 0o644 };
        let path = path.as_bytes().to_vec();
        let mut entry = Entry { path, kind, mode, uid: 0, gid: 0, mtime: EPOCH, xattrs };
        header_offsets.push(stream.len() as u64);
        stream.extend(header(&entry, first_path));
        if let EntryKind::File { data_offset, .. } = &mut entry.kind {
            *data_offset = stream.len() as u64;
        }
        entries.push(entry);
        if content.len() as u64 >= LARGE_FILE {
            runs.extend([stream.len(), stream.len() + content.len()]);
        }
        stream.extend(content);
        stream.resize(stream.len() + padding(content.len() as u64), 0);
    }
    stream.extend(END);
    runs.push(stream.len());

    let mut chunks = Vec::new();
    let mut start = 0;
    for end in runs {
        for piece in stream[start..end].chunks(cut) {
            let id = ChunkId::from_bytes(*blake3::hash(piece).as_bytes());
            chunks.push(Chunk { id, length: piece.len() as u32 });
        }
        start = end;
    }
    let mut descriptor = Descriptor::new(kind, name, "1", "any").unwrap();
    descriptor.set_replaces(replaces.iter().map(ToString::to_string).collect()).unwrap();
    let stream_len = stream.len() as u64;
    let input =
        IndexInput { descriptor, entries, header_offsets, chunks, stream_len, mtime_rule: MtimeRule::Kept };
    Built { index: emit(&input).unwrap(), stream }
}
