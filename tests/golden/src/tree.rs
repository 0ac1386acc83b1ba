//! From a list of files to a layer, the plain way: headers and contents one after another, cut by rule 1.

use std::collections::BTreeMap;
use std::convert::Infallible;

use anyhow::{Context as _, Result};
use plyos_chunker::{Cutter, LARGE_FILE, Run};
use plyos_ids::ChunkId;
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::entry::{Entry, EntryKind, Xattr, compare_paths};
use plyos_layer_format::index::{self, Chunk, Index, IndexInput, Limits, MtimeRule};
use plyos_layer_format::pages::SlicePages;
use plyos_layer_format::stream::{self, END, EPOCH};

/// What a node is.
#[derive(Debug, Clone)]
pub enum What {
    /// A directory.
    Directory,
    /// A file with its content.
    File(Vec<u8>),
    /// Another name of the file of that path.
    HardLink(Vec<u8>),
    /// Anything that needs neither count nor place.
    Other(EntryKind),
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub struct Node {
    /// Path without leading or trailing `/`.
    pub path: Vec<u8>,
    /// What it is.
    pub what: What,
    /// Low 12 bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
}

impl Node {
    /// A node of 0:0 with the usual mode.
    pub fn new(path: impl AsRef<[u8]>, what: What) -> Self {
        let mode = match &what {
            What::Directory => 0o755,
            What::Other(EntryKind::Symlink { .. }) => 0o777,
            _ => 0o644,
        };
        Self { path: path.as_ref().to_vec(), what, mode, uid: 0, gid: 0, xattrs: Vec::new() }
    }

    /// A directory.
    pub fn directory(path: &str) -> Self {
        Self::new(path, What::Directory)
    }

    /// A file.
    pub fn file(path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(path, What::File(content.as_ref().to_vec()))
    }
}

/// A layer with its bytes.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The canonical stream.
    pub stream: Vec<u8>,
    /// Its chunks.
    pub chunks: Vec<Chunk>,
    /// The index.
    pub index: Vec<u8>,
}

/// Builds the layer of these nodes under mtime rule 1.
pub fn layer(mut nodes: Vec<Node>, descriptor: Descriptor) -> Result<Layer> {
    nodes.sort_by(|a, b| compare_paths(&a.path, &b.path));
    let ordinals: BTreeMap<Vec<u8>, u64> =
        (0..).zip(&nodes).map(|(at, node)| (node.path.clone(), at)).collect();
    let (mut stream, mut entries, mut header_offsets) = (Vec::new(), Vec::<Entry>::new(), Vec::new());
    let mut cutter = Cutter::new();
    let mut chunks = Vec::new();
    let mut sink = |bytes: &[u8]| -> Result<(), Infallible> {
        let id = ChunkId::from_bytes(*blake3::hash(bytes).as_bytes());
        chunks.push(Chunk { id, length: bytes.len() as u32 });
        Ok(())
    };
    for node in &nodes {
        let mut entry = entry_of(node, &nodes, &ordinals)?;
        let first = match &entry.kind {
            EntryKind::HardLink { target } => entries.get(*target as usize),
            _ => None,
        };
        entry.mtime = first.map_or(entry.mtime, |first| first.mtime);
        let header = stream::header(&entry, first.map(|first| &first.path[..]));
        header_offsets.push(stream.len() as u64);
        stream.extend_from_slice(&header);
        cutter.feed(&header, &mut sink)?;
        if let (EntryKind::File { data_offset, .. }, What::File(content)) = (&mut entry.kind, &node.what) {
            *data_offset = stream.len() as u64;
            let is_large = content.len() as u64 >= LARGE_FILE;
            if is_large {
                cutter.begin(Run::File, &mut sink)?;
            }
            cutter.feed(content, &mut sink)?;
            if is_large {
                cutter.begin(Run::Small, &mut sink)?;
            }
            let padding = vec![0; stream::padding(content.len() as u64)];
            cutter.feed(&padding, &mut sink)?;
            stream.extend_from_slice(content);
            stream.extend_from_slice(&padding);
        }
        entries.push(entry);
    }
    stream.extend_from_slice(&END);
    cutter.feed(&END, &mut sink)?;
    cutter.finish(&mut sink)?;
    let stream_len = stream.len() as u64;
    let input = IndexInput {
        descriptor,
        entries,
        header_offsets,
        chunks: chunks.clone(),
        stream_len,
        mtime_rule: MtimeRule::Content,
    };
    Ok(Layer { stream, chunks, index: index::emit(&input)? })
}

fn entry_of(node: &Node, nodes: &[Node], ordinals: &BTreeMap<Vec<u8>, u64>) -> Result<Entry> {
    let mut mtime = EPOCH;
    let kind = match &node.what {
        What::Directory => EntryKind::Directory { descendants: below(&node.path, nodes) },
        What::File(content) => {
            mtime = stream::content_mtime(blake3::hash(content).as_bytes());
            let is_name = |other: &&Node| matches!(&other.what, What::HardLink(path) if *path == node.path);
            let links = 1 + nodes.iter().filter(is_name).count() as u32;
            EntryKind::File { size: content.len() as u64, data_offset: 0, links }
        }
        What::HardLink(path) => {
            EntryKind::HardLink { target: *ordinals.get(path).context("a hard link to nothing")? }
        }
        What::Other(kind) => kind.clone(),
    };
    let Node { path, mode, uid, gid, xattrs, .. } = node.clone();
    Ok(Entry { path, kind, mode, uid, gid, mtime, xattrs })
}

fn below(path: &[u8], nodes: &[Node]) -> u64 {
    let is_below = |other: &&Node| match other.path.strip_prefix(path) {
        Some(rest) if path.is_empty() => !rest.is_empty(),
        Some(rest) => rest.starts_with(b"/"),
        None => false,
    };
    nodes.iter().filter(is_below).count() as u64
}

/// Checks an index and takes it apart. Header offsets, which no reader needs, are counted anew from the entries.
pub fn take_apart(bytes: &[u8]) -> Result<IndexInput> {
    let index = index::check(bytes, &Limits::default())?;
    let entries = index.entries().collect::<Result<Vec<Entry>, _>>()?;
    let mut header_offsets = Vec::new();
    let mut offset = 0;
    for entry in &entries {
        header_offsets.push(offset);
        offset += stream::header_len(entry, first_path(&entries, entry));
        offset += entry.size() + stream::padding(entry.size()) as u64;
    }
    Ok(IndexInput {
        descriptor: index.descriptor().clone(),
        header_offsets,
        chunks: index.chunks().collect::<Result<_, _>>()?,
        stream_len: index.header().stream_len,
        mtime_rule: index.header().mtime_rule,
        entries,
    })
}

/// The path to which a hard link points.
pub fn first_path<'a>(entries: &'a [Entry], entry: &Entry) -> Option<&'a [u8]> {
    match entry.kind {
        EntryKind::HardLink { target } => entries.get(target as usize).map(|first| &first.path[..]),
        _ => None,
    }
}

/// `emit(parse(x))` of an index.
pub fn index_again(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(index::emit(&take_apart(bytes)?)?)
}

/// Opens an index that is known to be sound.
pub fn open(bytes: &[u8]) -> Result<Index<SlicePages<'_>>> {
    Ok(index::check(bytes, &Limits::default())?)
}
