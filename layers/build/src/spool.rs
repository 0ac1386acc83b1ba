//! Content on its way from an archive to a layer: kept in one temporary file, hashed as it comes.
//!
//! An archive gives its files in its own order and once; a layer needs them sorted, and a file's hash before its header. So what
//! is read goes into a file without a name, and memory does not grow with the archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

/// Bytes copied at a time.
const COPY: usize = 256 << 10;

/// A temporary file with the content of many files, one after the other. It vanishes with its last handle.
#[derive(Debug)]
pub struct Spool {
    file: File,
    len: u64,
}

/// One file's content in a [`Spool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spooled {
    offset: u64,
    size: u64,
    blake3: [u8; 32],
}

impl Spooled {
    /// Bytes of content.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// BLAKE3-256 of the content.
    pub const fn blake3(&self) -> &[u8; 32] {
        &self.blake3
    }
}

impl Spool {
    /// A spool in `file`, which is empty and nobody else's (best one without a name, as `tempfile` makes them).
    pub const fn new(file: File) -> Self {
        Self { file, len: 0 }
    }

    /// Bytes in the spool.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was added yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes all of `content`; the caller bounds it.
    pub fn add(&mut self, mut content: impl Read) -> io::Result<Spooled> {
        let mut buffer = vec![0; COPY];
        let mut hasher = blake3::Hasher::new();
        let offset = self.len;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let piece = buffer.get(..count).unwrap_or_default();
            hasher.update(piece);
            // Appends: the file is written here and nowhere else.
            self.file.write_all(piece)?;
            self.len += count as u64;
        }
        Ok(Spooled { offset, size: self.len - offset, blake3: *hasher.finalize().as_bytes() })
    }

    /// Reads some bytes of `content` from `at` on; 0 at its end.
    pub(crate) fn read_at(&self, content: &Spooled, at: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(content.size.saturating_sub(at)).unwrap_or(usize::MAX).min(out.len());
        self.file.read_at(out.get_mut(..left).unwrap_or_default(), content.offset + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_each_from_its_place() {
        let mut spool = Spool::new(tempfile::tempfile().unwrap());
        let long = vec![7; COPY + 3];
        let first = spool.add(&long[..]).unwrap();
        let none = spool.add(&b""[..]).unwrap();
        let second = spool.add(&b"second"[..]).unwrap();
        assert_eq!((first.size(), none.size(), second.size()), (COPY as u64 + 3, 0, 6));
        assert_eq!(spool.len(), COPY as u64 + 9);
        let mut out = [0; 10];
        assert_eq!(spool.read_at(&second, 2, &mut out).unwrap(), 4);
        assert_eq!(&out[..4], b"cond");
        assert_eq!(spool.read_at(&second, 6, &mut out).unwrap(), 0);
        assert_eq!(spool.read_at(&none, 0, &mut out).unwrap(), 0, "not the next one's bytes");
        assert_eq!(first.blake3(), blake3::hash(&long).as_bytes());
    }
}
