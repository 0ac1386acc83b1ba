//! Files: their bytes, written or taken from a file that stands.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use plyos_layer_format::entry::Entry;
use rustix::fs::{AtFlags, Mode, OFlags};

use super::nodes::{Writer, write_error};
use super::standing::{self, Content, Standing, Way};
use super::{ContentSource, ExportError, Owners, Taken, attributes};
use crate::scan::shown;

/// Bytes of content read and written at a time.
pub(super) const PIECE: usize = 256 << 10;

impl Writer<'_> {
    /// Makes a file: size and the place of its bytes in the stream are its entry's.
    pub(super) fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        offset: u64,
        size: u64,
    ) -> Result<(), ExportError> {
        let failed = write_error(&entry.path);
        // What stands and cannot be read is as good as nothing.
        if let Some(found) = self.earlier.find(entry).ok().flatten()
            && self.take(found, parent, name, entry, offset, size)?
        {
            return Ok(());
        }
        let mut file = create(parent, name).map_err(&failed)?;
        let mut done = 0;
        while done < size {
            let piece = piece(&mut *self.content, &mut self.buffer, offset + done, size - done);
            let piece = piece.map_err(|source| unreadable(entry, source))?;
            file.write_all(piece).map_err(&failed)?;
            done += piece.len() as u64;
        }
        self.done.files += 1;
        self.done.content_len += size;
        self.complete(&file, parent, name, entry)
    }

    /// Takes a file that stands; `false` when it is another one, or cannot be taken. Then nothing has the name.
    fn take(
        &mut self,
        found: Standing,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        offset: u64,
        size: u64,
    ) -> Result<bool, ExportError> {
        let failed = write_error(&entry.path);
        let Standing { mut file, way, content } = found;
        let before = rustix::fs::fstat(&file).map_err(write_error(&entry.path))?;
        let is_same = before.st_size.cast_unsigned() == size
            && (content == Content::Known || self.compare(&mut file, entry, offset, size)?);
        if !is_same {
            self.earlier.differs(entry);
            return Ok(false);
        }
        let is_alike =
            content == Content::Known || standing::has_attributes(&file, &before, entry, self.ourselves);
        if way == Way::Link
            && is_alike
            && let Some(stat) = standing::link(&file, parent, name)
        {
            if standing::same_file(&before, &stat) {
                self.done.linked.add(size);
                let is_ours = (stat.st_uid, stat.st_gid) == (entry.uid, entry.gid);
                self.done.owners_lost += u64::from(self.options.owners == Owners::Keep && !is_ours);
                self.earlier.stands(entry, &stat);
                return Ok(true);
            }
            rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(write_error(&entry.path))?;
        }
        let new = create(parent, name).map_err(&failed)?;
        if standing::clone(&file, &new) {
            let after = rustix::fs::fstat(&file).map_err(write_error(&entry.path))?;
            // Another name changes only what says when it was changed; then the clone is made once more, next time.
            if standing::untouched(&before, &after) {
                self.done.cloned.add(size);
                self.complete(&new, parent, name, entry)?;
                return Ok(true);
            }
        }
        rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(write_error(&entry.path))?;
        Ok(false)
    }

    /// Whether a file that stands, from its beginning, has the stream's bytes.
    fn compare(
        &mut self,
        file: &mut File,
        entry: &Entry,
        offset: u64,
        size: u64,
    ) -> Result<bool, ExportError> {
        self.standing.resize(PIECE, 0);
        let mut done = 0;
        while done < size {
            let piece = piece(&mut *self.content, &mut self.buffer, offset + done, size - done);
            let piece = piece.map_err(|source| unreadable(entry, source))?;
            // A file that cannot be read is written anew.
            if !standing::gives(file, piece, &mut self.standing).unwrap_or(false) {
                return Ok(false);
            }
            done += piece.len() as u64;
        }
        Ok(true)
    }

    /// Gives a file that has its content its owner, attributes, mode and times.
    fn complete(
        &mut self,
        file: &File,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), ExportError> {
        let bits = self.set_owner_and_attributes(parent, name, entry).map_err(write_error(&entry.path))?;
        rustix::fs::fchmod(file, attributes::mode(bits)).map_err(write_error(&entry.path))?;
        rustix::fs::futimens(file, &attributes::times(entry)).map_err(write_error(&entry.path))?;
        let stat = rustix::fs::fstat(file).map_err(write_error(&entry.path))?;
        self.earlier.stands(entry, &stat);
        Ok(())
    }
}

fn unreadable(entry: &Entry, source: io::Error) -> ExportError {
    ExportError::Content { path: shown(&entry.path), source }
}

/// The stream's next bytes, at most `left` and as many as the buffer holds.
fn piece<'b>(
    content: &mut dyn ContentSource,
    buffer: &'b mut [u8],
    offset: u64,
    left: u64,
) -> io::Result<&'b [u8]> {
    let count = left.min(PIECE as u64) as usize;
    let piece = buffer.get_mut(..count).unwrap_or_default();
    content.read(offset, piece)?;
    Ok(piece)
}

/// A new, empty file.
fn create(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?))
}

impl Taken {
    const fn add(&mut self, size: u64) {
        self.files += 1;
        self.len += size;
    }
}
