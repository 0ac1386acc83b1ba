//! Reading the files of a tree; those of a directory with proof that they are still what was scanned.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use plyos_layer_format::entry::{Entry, EntryKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::BuildError;
use crate::scan::{Seen, shown};
use crate::spool::{Spool, Spooled};
use crate::tree::{Origin, Tree};

/// Bytes read at a time.
pub(crate) const READ: usize = 256 << 10;

/// An open file of the tree. Its size is that of its entry.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    bytes: Bytes<'a>,
    path: &'a [u8],
    size: u64,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Bytes<'a> {
    File(File),
    Spool { spool: &'a Spool, content: Spooled, at: u64 },
}

impl<'a> Content<'a> {
    /// Opens the file that is entry number `ordinal`.
    pub(crate) fn open(tree: &'a Tree, ordinal: usize) -> Result<Self, BuildError> {
        let Some(entry) = tree.entries.get(ordinal) else {
            return Err(BuildError::Changed { path: shown(b"") });
        };
        let (path, size) = (&entry.path[..], entry.size());
        match &tree.origin {
            Origin::Directory { root, seen } => {
                let Some(seen) = seen.get(ordinal) else {
                    return Err(BuildError::Changed { path: shown(path) });
                };
                let file = Self::open_entry(root, entry, seen)?;
                Ok(Self { bytes: Bytes::File(file), path, size })
            }
            Origin::Spool { spool, contents } => match contents.get(ordinal) {
                Some(Some(content)) if content.size() == size => {
                    Ok(Self { bytes: Bytes::Spool { spool, content: *content, at: 0 }, path, size })
                }
                _ => Err(BuildError::Changed { path: shown(path) }),
            },
        }
    }

    fn open_entry(root: &OwnedFd, entry: &Entry, seen: &Seen) -> Result<File, BuildError> {
        let path = &entry.path[..];
        let changed = || BuildError::Changed { path: shown(path) };
        let EntryKind::File { .. } = entry.kind else { return Err(changed()) };
        // Not blocking, should a FIFO have taken the file's place.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(root.as_fd(), path, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Err(changed()),
            Err(errno) => return Err(BuildError::Read { path: shown(path), source: errno.into() }),
        };
        let stat = rustix::fs::fstat(&file)
            .map_err(|errno| BuildError::Read { path: shown(path), source: errno.into() })?;
        if Seen::of(&stat) == *seen { Ok(file.into()) } else { Err(changed()) }
    }

    /// Reads the whole content, handing it out piece by piece. It has exactly the scanned size, or this fails.
    pub(crate) fn read_pieces<E: From<BuildError>>(
        mut self,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = self.size;
        loop {
            let count = self.read_some(buffer)?;
            let piece = buffer.get(..count).unwrap_or_default();
            match left.checked_sub(count as u64) {
                Some(rest) if count > 0 => left = rest,
                Some(0) => return Ok(()),
                _ => return Err(BuildError::Changed { path: shown(self.path) }.into()),
            }
            each(piece)?;
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, BuildError> {
        loop {
            let read = match &mut self.bytes {
                Bytes::File(file) => file.read(buffer),
                Bytes::Spool { spool, content, at } => {
                    spool.read_at(content, *at, buffer).inspect(|count| *at += *count as u64)
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(BuildError::Read { path: shown(self.path), source }),
                Ok(count) => return Ok(count),
            }
        }
    }

    /// Reads the whole content at once. It has exactly the scanned size, or this fails.
    pub(crate) fn read_whole(mut self) -> Result<Vec<u8>, BuildError> {
        let changed = BuildError::Changed { path: shown(self.path) };
        let Ok(size) = usize::try_from(self.size) else { return Err(changed) };
        // One byte more than there should be: a file that has grown shows it, without another look for its end.
        let mut bytes = vec![0; size + 1];
        let mut filled = 0;
        while filled < size {
            match self.read_some(bytes.get_mut(filled..).unwrap_or_default())? {
                0 => return Err(changed),
                count => filled += count,
            }
        }
        bytes.truncate(size);
        if filled == size { Ok(bytes) } else { Err(changed) }
    }

    /// BLAKE3 of the whole content.
    pub(crate) fn hash(self, buffer: &mut [u8]) -> Result<[u8; 32], BuildError> {
        let mut hasher = blake3::Hasher::new();
        self.read_pieces(buffer, |piece| {
            hasher.update(piece);
            Ok::<(), BuildError>(())
        })?;
        Ok(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use tempfile::tempdir;

    use super::*;
    use crate::{ScanOptions, scan};

    /// Reads a file of 1,000 bytes that `change` happens to after it was opened.
    fn read_changed(change: impl FnOnce(&File)) -> Result<u64, BuildError> {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join("file"), [7; 1000]).unwrap();
        let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
        let content = Content::open(&tree, 1).unwrap();
        change(&File::options().append(true).open(dir.path().join("file")).unwrap());
        let mut read = 0;
        content.read_pieces(&mut [0; 300], |piece| {
            read += piece.len() as u64;
            Ok::<(), BuildError>(())
        })?;
        let at_once = Content::open(&tree, 1)?.read_whole()?;
        assert_eq!(at_once, vec![7; read as usize]);
        Ok(read)
    }

    #[test]
    fn a_file_read_at_once_has_its_size_or_is_refused() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("file");
        for change in [-1_i64, 0, 1] {
            fs::write(&path, [7; 1000]).unwrap();
            let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
            let content = Content::open(&tree, 1).unwrap();
            File::options().write(true).open(&path).unwrap().set_len((1000 + change) as u64).unwrap();
            let read = content.read_whole();
            assert_eq!(read.is_ok_and(|bytes| bytes == [7; 1000]), change == 0, "{change}");
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read() {
        assert_eq!(read_changed(|_| {}).unwrap(), 1000);
        let grown = read_changed(|mut file| file.write_all(b"more").unwrap());
        assert!(matches!(grown, Err(BuildError::Changed { .. })), "{grown:?}");
        for len in [0, 900, 999] {
            let shrunk = read_changed(|file| file.set_len(len).unwrap());
            assert!(matches!(shrunk, Err(BuildError::Changed { .. })), "{shrunk:?}");
        }
    }
}
