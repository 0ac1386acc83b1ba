//! Small layers for tests: entries with their counts, offsets and stream, made the naive way.

use alloc::vec;
use alloc::vec::Vec;

use plyos_ids::{ChunkId, Kind};

use crate::descriptor::Descriptor;
use crate::entry::{Entry, EntryKind, Xattr, compare_paths};
use crate::index::{Chunk, IndexInput, MtimeRule};
use crate::stream::{self, EPOCH};

/// An entry before its layer is put together. Sizes of directories and places of files are filled in by [`layer`].
pub(crate) fn entry(path: impl AsRef<[u8]>, kind: EntryKind) -> Entry {
    Entry {
        path: path.as_ref().to_vec(),
        mode: if matches!(kind, EntryKind::Directory { .. }) { 0o755 } else { 0o644 },
        kind,
        uid: 0,
        gid: 0,
        mtime: EPOCH,
        xattrs: Vec::new(),
    }
}

pub(crate) fn dir(path: impl AsRef<[u8]>) -> Entry {
    entry(path, EntryKind::Directory { descendants: 0 })
}

pub(crate) fn file(path: impl AsRef<[u8]>, size: u64) -> Entry {
    entry(path, EntryKind::File { size, data_offset: 0, links: 1 })
}

pub(crate) fn symlink(path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    entry(path, EntryKind::Symlink { target: target.as_ref().to_vec() })
}

pub(crate) fn hard_link(path: impl AsRef<[u8]>, target: u64) -> Entry {
    entry(path, EntryKind::HardLink { target })
}

pub(crate) fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.as_bytes().to_vec(), value: value.to_vec() }
}

/// A layer of these entries, which must be sorted and start with the root: counts and places filled in, links counted.
pub(crate) fn layer(mut entries: Vec<Entry>) -> IndexInput {
    let paths: Vec<Vec<u8>> = entries.iter().map(|entry| entry.path.clone()).collect();
    let targets: Vec<u64> = entries
        .iter()
        .filter_map(|entry| if let EntryKind::HardLink { target } = entry.kind { Some(target) } else { None })
        .collect();
    let mut offset = 0;
    let mut header_offsets = Vec::new();
    for (ordinal, entry) in entries.iter_mut().enumerate() {
        header_offsets.push(offset);
        let link = match entry.kind {
            EntryKind::HardLink { target } => paths.get(target as usize).cloned(),
            _ => None,
        };
        offset += stream::header_len(entry, link.as_deref());
        match &mut entry.kind {
            EntryKind::Directory { descendants } => {
                let base = [&paths[ordinal][..], if ordinal == 0 { b"" } else { b"/" }].concat();
                *descendants =
                    paths[ordinal + 1..].iter().filter(|path| path.starts_with(&base)).count() as u64;
            }
            EntryKind::File { size, data_offset, links } => {
                *data_offset = offset;
                *links = 1 + targets.iter().filter(|target| **target == ordinal as u64).count() as u32;
                offset += *size + stream::padding(*size) as u64;
            }
            _ => {}
        }
    }
    let stream_len = offset + stream::END.len() as u64;
    let mut chunks = Vec::new();
    let mut left = stream_len;
    while left > 0 {
        let length = left.min(1_000 + (left % 7) * 300) as u32;
        let id = ChunkId::from_bytes(*blake3::hash(&left.to_le_bytes()).as_bytes());
        chunks.push(Chunk { id, length });
        left -= u64::from(length);
    }
    let descriptor = Descriptor::new(Kind::Package, "sample", "1.0", "any").unwrap();
    IndexInput { descriptor, entries, header_offsets, chunks, stream_len, mtime_rule: MtimeRule::Content }
}

/// The stream of a layer; file contents are the byte `c`.
pub(crate) fn stream(input: &IndexInput) -> Vec<u8> {
    let mut out = Vec::new();
    for (entry, offset) in input.entries.iter().zip(&input.header_offsets) {
        assert_eq!(out.len() as u64, *offset);
        let link = match entry.kind {
            EntryKind::HardLink { target } => Some(input.entries[target as usize].path.as_slice()),
            _ => None,
        };
        let header = stream::header(entry, link);
        assert_eq!(header.len() as u64, stream::header_len(entry, link), "{entry:?}");
        out.extend_from_slice(&header);
        out.resize(out.len() + entry.size() as usize, b'c');
        out.resize(out.len() + stream::padding(entry.size()), 0);
    }
    out.extend_from_slice(&stream::END);
    assert_eq!(out.len() as u64, input.stream_len);
    out
}

/// A layer with every kind of entry and every reason for a pax record that a test can afford.
pub(crate) fn everything() -> IndexInput {
    let long = [b'l'; 101];
    // The hundredth byte of the path, the last that the ustar field holds, is a `/`.
    let slash_at_100 = [&[b's'; 99][..], b"/x"].concat();
    let mut entries = vec![
        dir(""),
        dir("bin"),
        file("bin/sh", 3),
        entry("dev-c", EntryKind::CharDevice { major: 1, minor: 5 }),
        entry("dev-b", EntryKind::BlockDevice { major: 259, minor: 1_048_575 }),
        entry("fifo", EntryKind::Fifo),
        file("empty", 0),
        file("block", 512),
        Entry { mode: 0o4755, ..file("setuid", 1) },
        Entry { uid: 2_097_151, gid: 2_097_151, ..file("ids-fit", 1) },
        Entry { uid: 2_097_152, gid: u32::MAX, ..file("ids-big", 1) },
        Entry { uid: u32::MAX, gid: 2_097_152, ..file("ids-edge", 1) },
        file(long, 700),
        dir([&long[..99], b"d"].concat()),
        file([b'n'; 100], 1),
        dir([b's'; 99]),
        file(slash_at_100, 5),
        symlink("link", "bin/sh"),
        symlink("link-long", long),
        file(b"raw-\xff\xfe", 2),
        file("utf8-\u{e9}", 2),
        symlink("link-raw", b"\xff"),
        Entry {
            xattrs: vec![xattr("security.capability", b"\x01\x00\n=\xff"), xattr("user.empty", b"")],
            ..file("with-xattrs", 1)
        },
        Entry { mtime: EPOCH + 12_345, ..file("with-mtime", 9) },
        dir("z"),
    ];
    entries.sort_by(|a, b| compare_paths(&a.path, &b.path));
    let sh = entries.iter().position(|entry| entry.path == b"bin/sh").unwrap();
    let far = entries.iter().position(|entry| entry.path == long).unwrap();
    entries.extend([
        hard_link("z/sh", sh as u64),
        hard_link("z/sh2", sh as u64),
        hard_link("z/to-long", far as u64),
    ]);
    layer(entries)
}

/// A layer of `count` files in directories of `width`, as a package might have.
pub(crate) fn many(count: usize, width: usize) -> IndexInput {
    let mut entries = vec![dir("")];
    for number in 0..count {
        if number % width == 0 {
            entries.push(dir(alloc::format!("directory-{:06}", number / width)));
        }
        entries.push(file(
            alloc::format!("directory-{:06}/file-{number:08}.txt", number / width),
            number as u64 % 900,
        ));
    }
    entries.sort_by(|a, b| compare_paths(&a.path, &b.path));
    layer(entries)
}
