//! A layer of names and contents, as its publisher would emit it.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use plyos_ids::{ChunkId, Kind};
use plyos_layer_format::{
    descriptor::Descriptor,
    entry::{Entry, EntryKind, Xattr, compare_paths},
    index::{Chunk, IndexInput, MtimeRule, emit},
    stream::{END, EPOCH, header, padding},
};

/// What stands at a path of a fake layer.
pub(super) enum Node {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    HardLink(&'static [u8]),
    Device(u32, u32),
    Fifo,
}

/// A layer: its open index over bytes that live as long as the tests, and its stream.
pub(super) struct FakeLayer {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) index: &'static [u8],
    pub(super) stream: Vec<u8>,
}

/// A layer of these nodes; directories above them must be named, the root need not.
pub(super) fn layer(kind: Kind, name: &str, nodes: Vec<(&[u8], Node)>) -> FakeLayer {
    let mut nodes: Vec<(Vec<u8>, Node)> =
        nodes.into_iter().map(|(path, node)| (path.to_vec(), node)).collect();
    nodes.push((Vec::new(), Node::Directory));
    nodes.sort_by(|a, b| compare_paths(&a.0, &b.0));
    let paths: Vec<Vec<u8>> = nodes.iter().map(|(path, _)| path.clone()).collect();
    let (mut entries, mut header_offsets, mut stream) = (Vec::new(), Vec::new(), Vec::<u8>::new());
    for (path, node) in &nodes {
        let below = |other: &&Vec<u8>| {
            path.is_empty() && !other.is_empty()
                || other.strip_prefix(path.as_slice()).is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        let mut content: &[u8] = &[];
        let mut first = None;
        let mut xattrs = Vec::new();
        let kind = match node {
            Node::Directory => {
                EntryKind::Directory { descendants: paths.iter().filter(below).count() as u64 }
            }
            Node::File(bytes) => {
                content = bytes;
                let names = nodes.iter().filter(|(_, node)| matches!(node, Node::HardLink(to) if to == path));
                xattrs.push(Xattr { name: b"user.a b".to_vec(), value: b"\0x".to_vec() });
                EntryKind::File { size: bytes.len() as u64, data_offset: 0, links: 1 + names.count() as u32 }
            }
            Node::Symlink(target) => EntryKind::Symlink { target: target.clone() },
            Node::HardLink(to) => {
                first = Some(*to);
                EntryKind::HardLink { target: paths.iter().position(|path| path == to).unwrap() as u64 }
            }
            Node::Device(major, minor) => EntryKind::CharDevice { major: *major, minor: *minor },
            Node::Fifo => EntryKind::Fifo,
        };
        let mode = if matches!(kind, EntryKind::Directory { .. }) { 0o755 } else { 0o4644 };
        let mut entry = Entry { path: path.clone(), kind, mode, uid: 7, gid: 8, mtime: EPOCH, xattrs };
        header_offsets.push(stream.len() as u64);
        stream.extend(header(&entry, first));
        if let EntryKind::File { data_offset, .. } = &mut entry.kind {
            *data_offset = stream.len() as u64;
        }
        entries.push(entry);
        stream.extend(content);
        stream.resize(stream.len() + padding(content.len() as u64), 0);
    }
    stream.extend(END);
    let chunks = stream.chunks(1 << 16).map(|piece| Chunk {
        id: ChunkId::from_bytes(*blake3::hash(piece).as_bytes()),
        length: piece.len() as u32,
    });
    let input = IndexInput {
        descriptor: Descriptor::new(kind, name, "1", "any").unwrap(),
        entries,
        header_offsets,
        chunks: chunks.collect(),
        stream_len: stream.len() as u64,
        mtime_rule: MtimeRule::Kept,
    };
    FakeLayer {
        kind,
        name: name.to_string(),
        index: Box::leak(emit(&input).unwrap().into_boxed_slice()),
        stream,
    }
}
