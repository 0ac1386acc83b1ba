//! The walk itself: one directory after another, names sorted, links not followed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use plyos_layer_format::entry::{Entry, EntryKind, Xattr};
use plyos_layer_format::index::MtimeRule;
use plyos_layer_format::stream::{self, EPOCH};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::seen::{Identity, Seen};
use super::{ScanOptions, attributes};
use crate::error::BuildError;

/// The state of a walk.
pub(super) struct Walk<'a> {
    pub options: &'a ScanOptions,
    /// What was stripped: the path of the tree's root in the directory that was given.
    pub above: Vec<u8>,
    /// See [`super::scan_in_order`].
    pub arrange: &'a mut dyn FnMut(&mut Vec<Vec<u8>>),
    pub entries: Vec<Entry>,
    pub seen: Vec<Seen>,
    /// Files with several names: ordinal of the first path seen.
    pub first_paths: HashMap<Identity, usize>,
}

/// An entry path as it is shown.
pub(crate) fn shown(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(if path.is_empty() { b"." } else { path }))
}

fn read_error(path: &[u8]) -> impl Fn(rustix::io::Errno) -> BuildError {
    move |errno| BuildError::Read { path: shown(path), source: errno.into() }
}

/// How a directory is opened.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The path of `name` in the directory `above`.
fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_vec() } else { [above, name].join(&b'/') }
}

impl Walk<'_> {
    /// Goes down from `top` to where the tree begins.
    pub(super) fn descend(&mut self, top: OwnedFd) -> Result<OwnedFd, BuildError> {
        let mut root = top;
        for _ in 0..self.options.strip {
            let above = self.above.clone();
            let names = self.names(root.as_fd(), &above)?;
            let mut left = Vec::new();
            for name in names {
                let path = join(&above, &name);
                let stat = rustix::fs::statat(&root, &name[..], AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(read_error(&path))?;
                let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if !self.options.exclude.matches(&path, is_directory) {
                    left.push((name, path, is_directory));
                }
            }
            let [(name, path, true)] = &left[..] else {
                let found = left.iter().map(|(_, path, _)| shown(path)).collect();
                return Err(BuildError::Strip { levels: self.options.strip, found });
            };
            root =
                rustix::fs::openat(&root, &name[..], DIRECTORY, Mode::empty()).map_err(read_error(path))?;
            self.above.clone_from(path);
        }
        Ok(root)
    }

    /// Walks the whole tree below `root`.
    pub(super) fn root(&mut self, root: impl AsFd) -> Result<(), BuildError> {
        let stat = rustix::fs::fstat(&root).map_err(read_error(b""))?;
        let xattrs = self.attributes(root.as_fd(), b".", b"")?;
        self.directory(root.as_fd(), &stat, Vec::new(), xattrs)
    }

    /// Adds a directory, then all that is in it.
    fn directory(
        &mut self,
        handle: BorrowedFd<'_>,
        stat: &Stat,
        path: Vec<u8>,
        xattrs: Vec<Xattr>,
    ) -> Result<(), BuildError> {
        let ordinal = self.entries.len();
        let names = self.names(handle, &path)?;
        self.add(stat, path.clone(), EntryKind::Directory { descendants: 0 }, xattrs)?;
        for name in names {
            self.child(handle, &name, join(&path, &name))?;
        }
        let below = (self.entries.len() - ordinal - 1) as u64;
        if let Some(Entry { kind: EntryKind::Directory { descendants }, .. }) = self.entries.get_mut(ordinal)
        {
            *descendants = below;
        }
        Ok(())
    }

    /// The names in a directory, sorted as bytes.
    fn names(&mut self, handle: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>, BuildError> {
        let mut names = Vec::new();
        for item in Dir::read_from(handle).map_err(read_error(path))? {
            let item = item.map_err(read_error(path))?;
            let name = item.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        (self.arrange)(&mut names);
        names.sort_unstable();
        Ok(names)
    }

    /// Adds what `name` is, unless it is left out.
    fn child(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: Vec<u8>) -> Result<(), BuildError> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(read_error(&path))?;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if self.options.exclude.matches(&join(&self.above, &path), is_directory) {
            return Ok(());
        }
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let handle =
                    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).map_err(read_error(&path))?;
                let xattrs = self.attributes(parent, name, &path)?;
                return self.directory(handle.as_fd(), &stat, path, xattrs);
            }
            FileType::RegularFile => return self.file(parent, name, &stat, path),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new()).map_err(read_error(&path))?;
                EntryKind::Symlink { target: target.into_bytes() }
            }
            FileType::CharacterDevice => EntryKind::CharDevice { major, minor },
            FileType::BlockDevice => EntryKind::BlockDevice { major, minor },
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => return Err(BuildError::Socket { path: shown(&path) }),
            FileType::Unknown => {
                let source = io::Error::other("the system gives it a type that is not known here");
                return Err(BuildError::Read { path: shown(&path), source });
            }
        };
        let xattrs = self.attributes(parent, name, &path)?;
        self.add(&stat, path, kind, xattrs)
    }

    /// Adds a regular file, or another name of one that was added before.
    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        stat: &Stat,
        path: Vec<u8>,
    ) -> Result<(), BuildError> {
        let identity = Seen::of(stat).identity;
        let first = self.first_paths.get(&identity).copied();
        if let Some(first) = first
            && let Some(Entry { kind: EntryKind::File { links, .. }, mode, uid, gid, mtime, .. }) =
                self.entries.get_mut(first)
        {
            *links += 1;
            let kind = EntryKind::HardLink { target: first as u64 };
            let (mode, uid, gid, mtime) = (*mode, *uid, *gid, *mtime);
            let entry = Entry { path, kind, mode, uid, gid, mtime, xattrs: Vec::new() };
            return self.push(entry, Seen::of(stat));
        }
        if stat.st_nlink > 1 {
            self.first_paths.insert(identity, self.entries.len());
        }
        let xattrs = self.attributes(parent, name, &path)?;
        // A size is never negative; what the system could not mean would fail as changed when the file is read.
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.add(stat, path, EntryKind::File { size, data_offset: 0, links: 1 }, xattrs)
    }

    fn attributes(&self, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Vec<Xattr>, BuildError> {
        attributes::read(parent, name).map_err(|source| BuildError::Read { path: shown(path), source })
    }

    fn add(
        &mut self,
        stat: &Stat,
        path: Vec<u8>,
        kind: EntryKind,
        xattrs: Vec<Xattr>,
    ) -> Result<(), BuildError> {
        let (uid, gid) = self
            .options
            .owner
            .apply(stat.st_uid, stat.st_gid)
            .map_err(|id| BuildError::Owner { path: shown(&path), id })?;
        let mtime = match self.options.mtime {
            MtimeRule::Content => EPOCH,
            MtimeRule::Kept => stat.st_mtime,
        };
        let entry = Entry { path, kind, mode: (stat.st_mode & 0o7777) as u16, uid, gid, mtime, xattrs };
        self.push(entry, Seen::of(stat))
    }

    fn push(&mut self, entry: Entry, seen: Seen) -> Result<(), BuildError> {
        stream::check_entry(&entry)
            .map_err(|source| BuildError::Refused { path: shown(&entry.path), source })?;
        self.entries.push(entry);
        self.seen.push(seen);
        Ok(())
    }
}
