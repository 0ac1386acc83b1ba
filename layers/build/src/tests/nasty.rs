//! A tree with everything that is hard about trees.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, Mode, mknodat};

use super::noise;

/// Whether we may give files to others, which some of the tree is about.
pub(super) fn is_root(dir: &Path) -> bool {
    let probe = dir.join("probe-owner");
    fs::write(&probe, b"").unwrap();
    let may = chown(&probe, Some(1), Some(1)).is_ok();
    fs::remove_file(probe).unwrap();
    may
}

/// Makes the tree in the empty directory `root`.
pub(super) fn make(root: &Path) {
    let path = |name: &[u8]| root.join(OsStr::from_bytes(name));
    let is_root = is_root(root);

    // Sizes around the limits of blocks, of large files, of chunks.
    for size in [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 3 << 20] {
        fs::write(path(format!("size-{size}").as_bytes()), noise(size as u64, size)).unwrap();
    }
    fs::write(path(b"text"), "a line that repeats\n".repeat(40_000)).unwrap();
    let mut sparse = File::create(path(b"sparse")).unwrap();
    sparse.seek(SeekFrom::Start(5 << 20)).unwrap();
    sparse.write_all(b"after a hole").unwrap();

    // Order: by component, not by the bytes of the whole path.
    fs::create_dir(path(b"order")).unwrap();
    fs::create_dir(path(b"order/a")).unwrap();
    for name in ["order/a/z", "order/a-b", "order/a!", "order/ab", "order/A"] {
        fs::write(root.join(name), name).unwrap();
    }

    // Names.
    for name in [&b"not utf-8 \xff\xfe"[..], b"new\nline", b"blank ", b"-rf", b"caf\xc3\xa9", &[b'n'; 255]] {
        fs::write(path(name), name).unwrap();
    }
    let mut deep = root.to_path_buf();
    for level in 0..12 {
        deep.push(format!("{level:02}{}", "d".repeat(98)));
        fs::create_dir(&deep).unwrap();
    }
    fs::write(deep.join("bottom"), b"far down").unwrap();
    // Just around 100 bytes, with and without the final slash of a directory.
    for len in [99, 100, 101] {
        fs::write(path(&vec![b'f'; len]), b"").unwrap();
        fs::create_dir(path(&vec![b'e'; len])).unwrap();
    }

    // Links.
    fs::create_dir(path(b"links")).unwrap();
    fs::write(path(b"links/zz-first"), noise(9, 70_000)).unwrap();
    fs::hard_link(path(b"links/zz-first"), path(b"links/aa-second")).unwrap();
    fs::hard_link(path(b"links/zz-first"), path(b"order/third")).unwrap();
    fs::hard_link(path(b"size-0"), path(b"links/empty")).unwrap();
    for (name, target) in [
        (&b"links/dangling"[..], &b"nowhere"[..]),
        (b"links/absolute", b"/usr/../etc/passwd"),
        (b"links/up", b"../../../.."),
        (b"links/directory", b"../order"),
        (b"links/bytes", b"\xfftarget"),
        (b"links/long", &[b't'; 1000]),
    ] {
        symlink(OsStr::from_bytes(target), path(name)).unwrap();
    }
    // A hard link whose first path is long needs a record of its own.
    fs::hard_link(deep.join("bottom"), path(b"zz-to-the-bottom")).unwrap();

    // Attributes.
    fs::write(path(b"attributes"), b"x").unwrap();
    for (name, value) in [("user.empty", &b""[..]), ("user.bytes", b"\0\n=\xff"), ("user.long", &[7; 500])] {
        xattr::set(path(b"attributes"), name, value).unwrap();
    }
    xattr::set(path(b"order"), "user.directory", b"yes").unwrap();
    // Access control lists: owner rw, user 1234 r, group r, mask r, others nothing.
    fs::write(path(b"listed"), b"x").unwrap();
    xattr::set(path(b"listed"), "system.posix_acl_access", &access_list(6)).unwrap();
    fs::create_dir(path(b"listed-directory")).unwrap();
    fs::write(path(b"listed-directory/before"), b"x").unwrap();
    xattr::set(path(b"listed-directory"), "system.posix_acl_default", &access_list(7)).unwrap();
    fs::write(path(b"listed-directory/inherited"), b"x").unwrap();
    if is_root {
        // A capability set of version 2 with one bit: cap_net_raw.
        let mut capability = [0; 20];
        capability[..8].copy_from_slice(&[1, 0, 0, 2, 0, 0x20, 0, 0]);
        fs::write(path(b"capable"), b"x").unwrap();
        xattr::set(path(b"capable"), "security.capability", &capability).unwrap();
    }

    // Types, owners, modes.
    mknodat(rustix::fs::CWD, path(b"fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    if is_root {
        for (name, uid, gid) in [("owned", 1234, 5678), ("owned-far", 3_000_000, 4_000_000_000)] {
            fs::write(root.join(name), name).unwrap();
            chown(root.join(name), Some(uid), Some(gid)).unwrap();
        }
    }
    for (name, mode) in [
        ("size-512", 0o4755),
        ("size-513", 0o2711),
        // Only root can read what nobody may.
        ("size-511", if is_root { 0o000 } else { 0o400 }),
        ("order/a", 0o1777),
        ("links", 0o555),
        ("fifo", 0o622),
    ] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 987_654_321);
    for name in ["text", "size-65536"] {
        File::options().write(true).open(root.join(name)).unwrap().set_modified(then).unwrap();
    }
    File::open(path(b"order")).unwrap().set_modified(then).unwrap();
}

/// An access control list as the kernel has it: version 2, then tag, rights and id of each entry.
fn access_list(owner: u16) -> Vec<u8> {
    let mut list = vec![2, 0, 0, 0];
    for (tag, rights, id) in
        [(1, owner, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend_from_slice(&u16::to_le_bytes(tag));
        list.extend_from_slice(&rights.to_le_bytes());
        list.extend_from_slice(&id.to_le_bytes());
    }
    list
}
