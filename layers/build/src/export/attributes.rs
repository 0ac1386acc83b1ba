//! Owner, mode, times and extended attributes of what was written.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use plyos_layer_format::entry::{Entry, EntryKind};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{Exported, Owners};

const SET_USER_ID: u16 = 0o4000;
const SET_GROUP_ID: u16 = 0o2000;

/// Whoever runs the export: what belongs to them needs no set-id bits taken away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ourselves {
    pub uid: u32,
    pub gid: u32,
}

/// Puts an entry's owner on `name` in `parent`. Returns the mode it may have then: without the set-id bits that would
/// give the rights of a user or group that the layer did not mean.
pub(super) fn set_owner(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    owners: Owners,
    ourselves: Ourselves,
    done: &mut Exported,
) -> io::Result<u16> {
    let (mut uid, mut gid) = (ourselves.uid, ourselves.gid);
    if owners == Owners::Keep {
        let (to_uid, to_gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        match rustix::fs::chownat(parent, name, Some(to_uid), Some(to_gid), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) => (uid, gid) = (entry.uid, entry.gid),
            // A number that the user namespace does not know is invalid there.
            Err(Errno::PERM | Errno::INVAL) => done.owners_lost += 1,
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut mode = entry.mode;
    if matches!(entry.kind, EntryKind::File { .. }) {
        mode &= if uid == entry.uid { mode } else { !SET_USER_ID };
        mode &= if gid == entry.gid { mode } else { !SET_GROUP_ID };
        done.set_ids_dropped += u64::from(mode != entry.mode);
    }
    Ok(mode)
}

/// Puts the extended attributes on. After the owner, since a change of owner clears capabilities, and before the mode, which
/// may take away the right to.
pub(super) fn set_attributes(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    done: &mut Exported,
) -> io::Result<()> {
    if entry.xattrs.is_empty() {
        return Ok(());
    }
    // By way of /proc a name below a directory handle is a path: see the scan of attributes.
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let path = PathBuf::from(OsString::from_vec(path));
    for attribute in &entry.xattrs {
        match xattr::set(&path, OsStr::from_bytes(&attribute.name), &attribute.value) {
            Ok(()) => {}
            Err(error) if is_refusal(&error) => done.attributes_lost += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the system does not have or not allow such an attribute here, as opposed to failing.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::PERM, Errno::ACCESS, Errno::OPNOTSUPP, Errno::INVAL];
    refusals.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// The permission bits as the system takes them.
pub(super) fn mode(bits: u16) -> Mode {
    Mode::from_raw_mode(bits.into())
}

/// Both times of an entry: it was neither read nor changed since it was published.
pub(super) fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
