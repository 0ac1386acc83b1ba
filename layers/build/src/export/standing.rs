//! Files that stand already: taking one, as a further name or as a clone, instead of writing its bytes again.
//!
//! Who exports knows which files an earlier export left, and says so through [`Earlier`]. Nothing is believed of such a file but
//! what was found on it: the writer holds it open, and takes it only if it did not change from the first look to the last.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use plyos_layer_format::entry::Entry;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use xattr::FileExt;

use super::attributes::Ourselves;

/// How a file that stands is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Another name of it, for it has the same attributes too. Whoever writes to one name writes to both.
    Link,
    /// A file of its own that shares the blocks until one of both is written to (`FICLONE`: btrfs, xfs, bcachefs).
    Clone,
}

/// What is known of a standing file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It was verified when it was written, and nobody wrote to it since.
    Known,
    /// Anything may have happened to it: content is compared with the stream, byte by byte, and attributes with the entry's.
    Unknown,
}

/// A file that may be taken instead of writing one.
#[derive(Debug)]
pub struct Standing {
    /// The file, open for reading.
    pub file: File,
    /// How it may be taken. Where a link cannot be made a clone is tried.
    pub way: Way,
    /// What is known of its content.
    pub content: Content,
}

/// The files that an earlier export left, and what becomes of them.
pub trait Earlier {
    /// A file that has the content of this one or may have it; with [`Way::Link`], its attributes too.
    fn find(&mut self, entry: &Entry) -> io::Result<Option<Standing>>;

    /// What was found for this entry has another content, and was not taken.
    fn differs(&mut self, entry: &Entry);

    /// A file of the new tree is complete.
    fn stands(&mut self, entry: &Entry, stat: &Stat);
}

/// No earlier export.
pub(super) struct Nothing;

impl Earlier for Nothing {
    fn find(&mut self, _: &Entry) -> io::Result<Option<Standing>> {
        Ok(None)
    }

    fn differs(&mut self, _: &Entry) {}

    fn stands(&mut self, _: &Entry, _: &Stat) {}
}

/// Whether a file gives these bytes next. `buffer` has at least as many.
pub(super) fn gives(file: &mut File, bytes: &[u8], buffer: &mut [u8]) -> io::Result<bool> {
    let Some(buffer) = buffer.get_mut(..bytes.len()) else { return Ok(false) };
    match file.read_exact(buffer) {
        Ok(()) => Ok(buffer == bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a file has the owner, mode, time and extended attributes that an export would give it.
pub(super) fn has_attributes(file: &File, stat: &Stat, entry: &Entry, ourselves: Ourselves) -> bool {
    let is_kept = (stat.st_uid, stat.st_gid) == (entry.uid, entry.gid);
    // Who is not root exports files as their own, without the bits that would give their rights away.
    let is_ours = ourselves.uid != 0 && (stat.st_uid, stat.st_gid) == (ourselves.uid, ourselves.gid);
    let kept_bits = if is_kept { 0o7777 } else { 0o1777 };
    let has_mode = stat.st_mode & 0o7777 == u32::from(entry.mode) & kept_bits;
    let has_time = (stat.st_mtime, stat.st_mtime_nsec) == (entry.mtime, 0);
    (is_kept || is_ours) && has_mode && has_time && has_xattrs(file, entry).unwrap_or(false)
}

fn has_xattrs(file: &File, entry: &Entry) -> io::Result<bool> {
    // What a security module puts on by itself is not of the layer, unless the layer has it.
    let is_listed = |name: &OsStr| entry.xattrs.iter().any(|xattr| xattr.name == name.as_bytes());
    let has_others = file.list_xattr()?.any(|name| name != "security.selinux" && !is_listed(&name));
    for xattr in &entry.xattrs {
        if file.get_xattr(OsStr::from_bytes(&xattr.name))?.as_ref() != Some(&xattr.value) {
            return Ok(false);
        }
    }
    Ok(!has_others)
}

/// Gives an open file another name. `None` where that cannot be: another file system, too many names, no right to.
pub(super) fn link(file: &File, parent: BorrowedFd<'_>, name: &[u8]) -> Option<Stat> {
    // By way of /proc, so that it is the file that was looked at, whatever its name stands for by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, path, parent, name, AtFlags::SYMLINK_FOLLOW).ok()?;
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()
}

/// Whether files of this directory can be cloned: asked of two empty ones without a name.
pub fn can_clone(directory: &File) -> bool {
    let unnamed = || {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(directory, c".", flags, Mode::RUSR | Mode::WUSR).map(File::from)
    };
    matches!((unnamed(), unnamed()), (Ok(from), Ok(to)) if clone(&from, &to))
}

/// Makes an empty file share the content of another. `false` where the file system has no such thing.
pub(super) fn clone(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to.as_fd(), from.as_fd()).is_ok()
}

/// The file and its content by what a write changes, but not by what another name does.
pub(super) fn same_file(before: &Stat, after: &Stat) -> bool {
    let facts = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    facts(before) == facts(after)
}

/// The file, and nothing whatever happened to it in between.
pub(super) fn untouched(before: &Stat, after: &Stat) -> bool {
    let changed = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
    same_file(before, after) && changed(before) == changed(after)
}
