//! The walk itself: one directory after another, names sorted, links not followed. What is there was looked at before (`look.rs`).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use plyos_layer_format::entry::{Entry, EntryKind, Xattr};
use plyos_layer_format::index::MtimeRule;
use plyos_layer_format::stream::{self, EPOCH};
use rustix::fs::{AtFlags, FileType, Mode, Stat};

use super::look::{self, DIRECTORY, Found, Looked, What, join, read_error};
use super::seen::{Identity, Seen};
use super::{Manner, ScanOptions, attributes};
use crate::error::BuildError;

/// The state of a walk.
pub(super) struct Walk<'a> {
    pub options: &'a ScanOptions,
    pub manner: Manner<'a>,
    /// What was stripped: the path of the tree's root in the directory that was given.
    pub above: Vec<u8>,
    pub entries: Vec<Entry>,
    pub seen: Vec<Seen>,
    /// Files with several names: ordinal of the first path seen.
    pub first_paths: HashMap<Identity, usize>,
}

/// An entry path as it is shown.
pub(crate) fn shown(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(if path.is_empty() { b"." } else { path }))
}

impl Walk<'_> {
    /// Goes down from `top` to where the tree begins.
    pub(super) fn descend(&mut self, top: OwnedFd) -> Result<OwnedFd, BuildError> {
        let mut root = top;
        for _ in 0..self.options.strip {
            let above = self.above.clone();
            let names = look::names(root.as_fd(), &above, &self.manner)?;
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
    pub(super) fn root(&mut self, root: &OwnedFd) -> Result<(), BuildError> {
        let stat = rustix::fs::fstat(root).map_err(read_error(b""))?;
        let read = |source| BuildError::Read { path: shown(b""), source };
        let xattrs = attributes::read(root.as_fd(), b".").map_err(read)?;
        let handle = root.try_clone().map_err(read)?;
        let mut looked = look::look(handle, &self.above, self.options, &self.manner)?;
        self.directory(&mut looked, Looked::TOP, &stat, Vec::new(), xattrs)
    }

    /// Adds a directory, then all that is in it.
    fn directory(
        &mut self,
        looked: &mut Looked,
        number: usize,
        stat: &Stat,
        path: Vec<u8>,
        xattrs: Vec<Xattr>,
    ) -> Result<(), BuildError> {
        let ordinal = self.entries.len();
        self.add(stat, path.clone(), EntryKind::Directory { descendants: 0 }, xattrs)?;
        for found in looked.take(number) {
            let path = join(&path, &found.name);
            self.child(looked, found, path)?;
        }
        let below = (self.entries.len() - ordinal - 1) as u64;
        if let Some(Entry { kind: EntryKind::Directory { descendants }, .. }) = self.entries.get_mut(ordinal)
        {
            *descendants = below;
        }
        Ok(())
    }

    /// Adds what was found at `path`.
    fn child(&mut self, looked: &mut Looked, found: Found, path: Vec<u8>) -> Result<(), BuildError> {
        let Found { stat, xattrs, what, .. } = found;
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match (FileType::from_raw_mode(stat.st_mode), what) {
            (_, What::Directory(number)) => return self.directory(looked, number, &stat, path, xattrs),
            (_, What::Symlink(target)) => EntryKind::Symlink { target },
            (FileType::RegularFile, _) => return self.file(&stat, path, xattrs),
            (FileType::CharacterDevice, _) => EntryKind::CharDevice { major, minor },
            (FileType::BlockDevice, _) => EntryKind::BlockDevice { major, minor },
            (FileType::Fifo, _) => EntryKind::Fifo,
            (FileType::Socket, _) => return Err(BuildError::Socket { path: shown(&path) }),
            _ => {
                let source = io::Error::other("the system gives it a type that is not known here");
                return Err(BuildError::Read { path: shown(&path), source });
            }
        };
        self.add(&stat, path, kind, xattrs)
    }

    /// Adds a regular file, or another name of one that was added before.
    fn file(&mut self, stat: &Stat, path: Vec<u8>, xattrs: Vec<Xattr>) -> Result<(), BuildError> {
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
        // A size is never negative; what the system could not mean would fail as changed when the file is read.
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.add(stat, path, EntryKind::File { size, data_offset: 0, links: 1 }, xattrs)
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
