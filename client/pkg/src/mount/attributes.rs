//! An entry of a layer as `stat` shows it.

use fuser::{FileAttr, FileType, INodeNo};
use plyos_layer_format::entry::{Entry, EntryKind};
use std::time::{Duration, UNIX_EPOCH};

/// Unit in which the kernel is told to read.
pub const BLOCK: u32 = 4096;

/// The attributes of node `number`. `entry` is a file's first path.
pub fn of(number: u64, entry: &Entry) -> FileAttr {
    let (kind, links, device) = match entry.kind {
        // One link says that nothing is known of the folders inside, so that `find` looks.
        EntryKind::Directory { .. } => (FileType::Directory, 1, 0),
        EntryKind::File { links, .. } => (FileType::RegularFile, links, 0),
        EntryKind::HardLink { .. } => (FileType::RegularFile, 1, 0),
        EntryKind::Symlink { .. } => (FileType::Symlink, 1, 0),
        EntryKind::CharDevice { major, minor } => (FileType::CharDevice, 1, device_number(major, minor)),
        EntryKind::BlockDevice { major, minor } => (FileType::BlockDevice, 1, device_number(major, minor)),
        EntryKind::Fifo => (FileType::NamedPipe, 1, 0),
    };
    let size = match &entry.kind {
        EntryKind::Symlink { target } => target.len() as u64,
        _ => entry.size(),
    };
    let time = UNIX_EPOCH + Duration::from_secs(entry.mtime.unsigned_abs());
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: entry.mode & 0o7777,
        nlink: links,
        uid: entry.uid,
        gid: entry.gid,
        rdev: device,
        blksize: BLOCK,
        flags: 0,
    }
}

/// A device's number as FUSE carries it: 12 bits of major, 20 of minor (Linux `new_encode_dev`).
const fn device_number(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xf_ff00) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: EntryKind) -> Entry {
        Entry { path: b"dev/x".to_vec(), kind, mode: 0o4751, uid: 3, gid: 4, mtime: 5, xattrs: Vec::new() }
    }

    #[test]
    fn devices_have_their_numbers() {
        // As `stat` shows /dev/vda1 and a minor above 255.
        assert_eq!(device_number(254, 1), 0xfe01);
        assert_eq!(device_number(1, 0x12345), (1 << 8) | 0x45 | (0x12300 << 12));
        assert_eq!(of(9, &entry(EntryKind::CharDevice { major: 1, minor: 3 })).rdev, 0x103);
    }

    #[test]
    fn everything_of_an_entry_is_there() {
        let found = of(9, &entry(EntryKind::File { size: 513, data_offset: 0, links: 3 }));
        assert_eq!((found.ino, found.size, found.blocks, found.nlink), (INodeNo(9), 513, 2, 3));
        assert_eq!((found.perm, found.uid, found.gid), (0o4751, 3, 4));
        assert_eq!(found.mtime, UNIX_EPOCH + Duration::from_secs(5));
        let link = of(9, &entry(EntryKind::Symlink { target: b"abc".to_vec() }));
        assert_eq!((link.kind, link.size), (FileType::Symlink, 3));
    }
}
