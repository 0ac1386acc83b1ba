//! One entry of a layer's tree, and the order in which entries stand.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// An entry as index and stream describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path without leading or trailing `/`; the root's is empty.
    pub path: Vec<u8>,
    /// What it is, with what only this kind has.
    pub kind: EntryKind,
    /// Low 12 bits of the mode (permissions, set-id, sticky).
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970-01-01 UTC, never negative.
    pub mtime: i64,
    /// Extended attributes, sorted by name; a hard link has none (its first path has them).
    pub xattrs: Vec<Xattr>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory {
        /// Entries below it at any depth.
        descendants: u64,
    },
    /// A regular file, at the first of its paths.
    File {
        /// Bytes of content.
        size: u64,
        /// Stream offset of the first content byte (also when there is none).
        data_offset: u64,
        /// Number of its names, 1 and up.
        links: u32,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to, as written.
        target: Vec<u8>,
    },
    /// Another name of a file.
    HardLink {
        /// Ordinal of the file's first path.
        target: u64,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl EntryKind {
    /// The letter by which `ls -l` tells it: `-dlcbp`. Every name of a file is a file.
    pub const fn letter(&self) -> char {
        match self {
            Self::Directory { .. } => 'd',
            Self::File { .. } | Self::HardLink { .. } => '-',
            Self::Symlink { .. } => 'l',
            Self::CharDevice { .. } => 'c',
            Self::BlockDevice { .. } => 'b',
            Self::Fifo => 'p',
        }
    }
}

impl Entry {
    /// Whether it is a directory.
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory { .. })
    }

    /// Bytes of content; 0 for all but regular files.
    pub const fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// Last component of the path; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or(&[])
    }
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// Full name (`security.capability`, `user.x`).
    pub name: Vec<u8>,
    /// Value, any bytes.
    pub value: Vec<u8>,
}

/// Order of entries: component by component as unsigned bytes, so a directory stands directly before what it contains.
pub fn compare_paths(a: &[u8], b: &[u8]) -> Ordering {
    let shared = shared_prefix(a, b);
    compare_after(a, b, shared)
}

/// Bytes that `a` and `b` start with alike.
pub(crate) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// [`compare_paths`] when the first `shared` bytes are known to be all that `a` and `b` have in common: constant time.
pub(crate) fn compare_after(a: &[u8], b: &[u8], shared: usize) -> Ordering {
    // A component that ends sorts before one that goes on; names hold no NUL, so `/` can rank as 0.
    let rank = |path: &[u8]| path.get(shared).map(|byte| if *byte == b'/' { 0 } else { *byte });
    rank(a).cmp(&rank(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_directory_stands_before_its_content_and_that_before_longer_names() {
        let sorted: [&[u8]; 8] = [b"", b"a", b"a/b", b"a/b/c", b"a/b-", b"a!", b"a-b", b"ab"];
        for (i, x) in sorted.iter().enumerate() {
            for (j, y) in sorted.iter().enumerate() {
                assert_eq!(compare_paths(x, y), i.cmp(&j), "{x:?} {y:?}");
            }
        }
        assert_eq!(compare_paths(b"\x01", b"\xff"), Ordering::Less, "bytes are unsigned");
    }

    proptest! {
        #[test]
        fn is_the_order_of_component_lists(a in "[a!/\u{1}\u{7f}]{0,6}", b in "[a!/\u{1}\u{7f}]{0,6}") {
            // `split` sees one empty component in an empty path; only a path equal to the root has that.
            let parts = |path: &str| {
                path.split('/').map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>()
            };
            prop_assert_eq!(compare_paths(a.as_bytes(), b.as_bytes()), parts(&a).cmp(&parts(&b)));
        }
    }

    #[test]
    fn names() {
        let entry = |path: &[u8]| Entry {
            path: path.to_vec(),
            kind: EntryKind::Fifo,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
        };
        assert_eq!(entry(b"").name(), b"");
        assert_eq!(entry(b"a").name(), b"a");
        assert_eq!(entry(b"a/b").name(), b"b");
    }
}
