//! Making each entry.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::stream::{EntryError, check_entry};
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::attributes::{self, Ourselves};
use super::directories::{self, Directories, Open};
use super::files;
use super::standing::Earlier;
use super::{ContentSource, ExportError, ExportOptions, Exported};
use crate::scan::shown;

/// An export under way.
pub(super) struct Writer<'c> {
    pub(super) content: &'c mut dyn ContentSource,
    pub(super) earlier: &'c mut dyn Earlier,
    pub(super) options: ExportOptions,
    pub(super) ourselves: Ourselves,
    directories: Directories,
    /// Path of each file with several names, by its number.
    first_paths: HashMap<u64, Vec<u8>>,
    /// Directories that their owner cannot enter; they get their mode last.
    closed: Vec<(Vec<u8>, Mode)>,
    /// Number of the entry that comes next.
    next: u64,
    /// Bytes of content on their way.
    pub(super) buffer: Vec<u8>,
    /// What a standing file has, to be compared with `buffer`.
    pub(super) standing: Vec<u8>,
    pub(super) done: Exported,
}

fn refused(entry: &Entry, source: EntryError) -> ExportError {
    ExportError::Refused { path: shown(&entry.path), source }
}

pub(super) fn write_error<E: Into<io::Error>>(path: &[u8]) -> impl Fn(E) -> ExportError {
    move |error| ExportError::Write { path: shown(path), source: error.into() }
}

impl<'c> Writer<'c> {
    pub(super) fn new(
        dest: &Path,
        content: &'c mut dyn ContentSource,
        options: ExportOptions,
        earlier: &'c mut dyn Earlier,
    ) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Destination { path: dest.to_owned(), source };
        let directories = Directories::create(dest).map_err(failed)?;
        let stat = rustix::fs::fstat(directories.root()).map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            content,
            earlier,
            options,
            ourselves: Ourselves { uid: stat.st_uid, gid: stat.st_gid },
            directories,
            first_paths: HashMap::new(),
            closed: Vec::new(),
            next: 0,
            buffer: vec![0; files::PIECE],
            standing: Vec::new(),
            done: Exported::default(),
        })
    }

    /// Writes the next entry.
    pub(super) fn write(&mut self, entry: Entry) -> Result<(), ExportError> {
        check_entry(&entry).map_err(|source| refused(&entry, source))?;
        let ordinal = self.next;
        self.next += 1;
        if entry.path.is_empty() != (ordinal == 0) {
            return Err(refused(&entry, EntryError::Root));
        }
        if ordinal == 0 {
            self.directories.push(Open { handle: self.directories.root(), entry });
        } else {
            self.leave(Some(&entry.path))?;
            self.write_below(ordinal, entry)?;
        }
        self.done.entries += 1;
        Ok(())
    }

    /// Completes what is open and returns the account.
    pub(super) fn finish(mut self) -> Result<Exported, ExportError> {
        self.leave(None)?;
        // They stand in the order in which they were left, inner ones first: once an outer one is closed, no way leads there.
        for (path, mode) in &self.closed {
            let handle = self.directories.open(path).map_err(write_error(path))?;
            rustix::fs::fchmod(&handle, *mode).map_err(write_error(path))?;
        }
        Ok(self.done)
    }

    /// Completes the directories that `path` is not in.
    fn leave(&mut self, path: Option<&[u8]>) -> Result<(), ExportError> {
        while let Some(Open { handle, entry }) = self.directories.leave(path) {
            let failed = write_error(&entry.path);
            let handle = handle.as_fd();
            let bits = self.set_owner_and_attributes(handle, b".", &entry).map_err(&failed)?;
            let mode = attributes::mode(bits);
            if mode.contains(Mode::RUSR | Mode::XUSR) {
                rustix::fs::fchmod(handle, mode).map_err(write_error(&entry.path))?;
            } else {
                self.closed.push((entry.path.clone(), mode));
            }
            rustix::fs::futimens(handle, &attributes::times(&entry)).map_err(write_error(&entry.path))?;
        }
        Ok(())
    }

    fn write_below(&mut self, ordinal: u64, entry: Entry) -> Result<(), ExportError> {
        let (_, name) = directories::split(&entry.path);
        let parent = self.directories.parent_of(&entry.path);
        let parent = parent.ok_or_else(|| refused(&entry, EntryError::Parent))?;
        let parent = parent.as_fd();
        let failed = write_error(&entry.path);
        match &entry.kind {
            EntryKind::Directory { .. } => {
                let handle = directories::make(parent, name).map_err(failed)?;
                self.directories.push(Open { handle, entry });
                return Ok(());
            }
            EntryKind::HardLink { target } => return self.hard_link(parent, name, &entry, *target),
            EntryKind::File { size, data_offset, links } => {
                if *links > 1 {
                    self.first_paths.insert(ordinal, entry.path.clone());
                }
                return self.file(parent, name, &entry, *data_offset, *size);
            }
            EntryKind::Symlink { target } => {
                rustix::fs::symlinkat(&target[..], parent, name).map_err(write_error(&entry.path))?;
                self.set_owner_and_attributes(parent, name, &entry).map_err(failed)?;
            }
            EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                let is_block = matches!(entry.kind, EntryKind::BlockDevice { .. });
                let file_type = if is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
                let device = rustix::fs::makedev(*major, *minor);
                match rustix::fs::mknodat(parent, name, file_type, Mode::RUSR, device) {
                    Ok(()) => self.finish_node(parent, name, &entry).map_err(failed)?,
                    Err(Errno::PERM) => {
                        self.done.devices_skipped += 1;
                        return Ok(());
                    }
                    Err(errno) => return Err(write_error(&entry.path)(errno)),
                }
            }
            EntryKind::Fifo => {
                rustix::fs::mknodat(parent, name, FileType::Fifo, Mode::RUSR, 0)
                    .map_err(write_error(&entry.path))?;
                self.finish_node(parent, name, &entry).map_err(failed)?;
            }
        }
        rustix::fs::utimensat(parent, name, &attributes::times(&entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(write_error(&entry.path))
    }

    fn hard_link(
        &self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        target: u64,
    ) -> Result<(), ExportError> {
        let first = self.first_paths.get(&target);
        let first = first.ok_or_else(|| refused(entry, EntryError::HardLinkTarget))?;
        let (directory, first_name) = directories::split(first);
        let directory = self.directories.open(directory).map_err(write_error(&entry.path))?;
        rustix::fs::linkat(&directory, first_name, parent, name, AtFlags::empty())
            .map_err(write_error(&entry.path))
    }

    /// Owner, attributes and mode of a device or FIFO.
    fn finish_node(&mut self, parent: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> io::Result<()> {
        let bits = self.set_owner_and_attributes(parent, name, entry)?;
        // Follows links, but `name` is the node just made, in a directory that nobody else may write to.
        Ok(rustix::fs::chmodat(parent, name, attributes::mode(bits), AtFlags::empty())?)
    }

    pub(super) fn set_owner_and_attributes(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
    ) -> io::Result<u16> {
        let Self { options, ourselves, done, .. } = self;
        let bits = attributes::set_owner(parent, name, entry, options.owners, *ourselves, done)?;
        attributes::set_attributes(parent, name, entry, done)?;
        Ok(bits)
    }
}
