//! What an entry was seen as, by which a change while it is read is noticed.
//!
//! Content is read long after the walk, and one file after the other. A tree is shipped only if at the end everything still is
//! what the walk saw: then all that was read belongs to one state of the tree.

use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime};

use plyos_layer_format::entry::Entry;
use rustix::fs::{AtFlags, Stat};

use super::{shown, threads};
use crate::error::BuildError;

/// Older kernels stamp times by a clock that ticks this slowly (100 Hz), so that two changes within a tick look like one.
const TICK: Duration = Duration::from_millis(20);

/// By which a file is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub device: u64,
    pub inode: u64,
}

/// All of an entry that tells of a change. The time of the last change of attributes or content (ctime) cannot be set back
/// by a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub identity: Identity,
    size: i64,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u64),
    ctime: (i64, u64),
}

impl Seen {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            identity: Identity { device: stat.st_dev, inode: stat.st_ino },
            size: stat.st_size,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: (stat.st_mtime, stat.st_mtime_nsec),
            ctime: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// Lets a tick pass if anything was changed within the last one: whatever changes from now on has a later ctime.
pub(super) fn settle(seen: &[Seen]) {
    let newest = seen.iter().map(|seen| seen.ctime).max().unwrap_or_default();
    let newest = Duration::new(u64::try_from(newest.0).unwrap_or_default(), newest.1 as u32);
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + newest);
    // A time in the future says that clocks differ, so nothing of what is older than a tick.
    if age.map_or(true, |age| age < TICK) {
        std::thread::sleep(TICK);
    }
}

/// Entries that are worth a thread.
const MANY: usize = 1000;

/// Fails at the first entry that is not what it was seen as: content, attributes, or what a directory holds.
pub(crate) fn check_unchanged(
    root: BorrowedFd<'_>,
    entries: &[Entry],
    seen: &[Seen],
) -> Result<(), BuildError> {
    let part = entries.len().div_ceil(threads()).max(MANY);
    std::thread::scope(|scope| {
        let parts = entries.chunks(part).zip(seen.chunks(part));
        let checks: Vec<_> =
            parts.map(|(entries, seen)| scope.spawn(move || check_part(root, entries, seen))).collect();
        let stopped = |_| Err(BuildError::Changed { path: shown(b"") });
        checks.into_iter().try_for_each(|check| check.join().unwrap_or_else(stopped))
    })
}

fn check_part(root: BorrowedFd<'_>, entries: &[Entry], seen: &[Seen]) -> Result<(), BuildError> {
    for (entry, seen) in entries.iter().zip(seen) {
        let stat = if entry.path.is_empty() {
            rustix::fs::fstat(root)
        } else {
            rustix::fs::statat(root, &entry.path[..], AtFlags::SYMLINK_NOFOLLOW)
        };
        if !stat.is_ok_and(|stat| Seen::of(&stat) == *seen) {
            return Err(BuildError::Changed { path: shown(&entry.path) });
        }
    }
    Ok(())
}
