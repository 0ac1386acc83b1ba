//! A whole blob in an unnamed temporary file, kept because its server gave all of it where a range was asked for.
//!
//! Index and frame table lie at the end of a blob, and the frames in front of them cannot be used before both are known. So what passes
//! by on the way to the index is kept, and everything else is read from here: one pass over the network. Nothing in
//! here is checked; it is read like an answer of the server. The room that all spools of a client take is bounded ([`Room`]); what does not fit is
//! fetched again instead.

use bytes::Bytes;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes that the spools of one client take together: temporary files may be memory.
const LIMIT: u64 = 1 << 30;

/// Bytes that spools take.
#[derive(Debug, Default)]
pub(crate) struct Room(AtomicU64);

/// Bytes of [`Room`], given back when this is dropped.
#[derive(Debug)]
struct Taken {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    fn take(self: &Arc<Self>, bytes: u64) -> Option<Taken> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= LIMIT);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Taken { room: Arc::clone(self), bytes })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A blob that is being kept.
#[derive(Debug)]
pub(crate) struct Spooling {
    file: File,
    written: u64,
    taken: Taken,
}

/// A whole blob.
#[derive(Debug)]
pub struct Spool {
    file: File,
    shown: String,
    taken: Taken,
}

impl Spooling {
    /// A file for a blob of `blob_len` bytes; `None` where there is no room for it, or no file can be made.
    pub(crate) fn begin(room: &Arc<Room>, blob_len: u64) -> Option<Self> {
        let taken = room.take(blob_len)?;
        let file = tempfile::tempfile().ok()?;
        Some(Self { file, written: 0, taken })
    }

    /// Keeps the next bytes, which go to the page cache. A failure is the end of it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        if self.written > self.taken.bytes {
            return Err(io::Error::other("more came than the blob has"));
        }
        self.file.write_all(bytes)
    }

    /// The blob, if all of it came. `shown` says where from.
    pub(crate) fn finish(self, shown: String) -> Option<Spool> {
        (self.written == self.taken.bytes).then_some(Spool { file: self.file, shown, taken: self.taken })
    }
}

impl Spool {
    /// Bytes of the blob.
    pub(crate) const fn len(&self) -> u64 {
        self.taken.bytes
    }

    /// Where it came from, for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Reads from `offset`, at least one byte and at most `most`.
    pub(crate) fn read(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; most];
        let count = self.file.read_at(&mut bytes, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(count);
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_whole_is_kept_and_nothing_else() {
        let room = Arc::new(Room::default());
        let mut spooling = Spooling::begin(&room, 6).unwrap();
        spooling.write(b"abc").unwrap();
        assert!(spooling.finish(String::new()).is_none(), "half of it");
        let mut spooling = Spooling::begin(&room, 6).unwrap();
        spooling.write(b"abc").unwrap();
        spooling.write(b"def").unwrap();
        assert!(spooling.write(b"g").is_err());
        let mut spooling = Spooling::begin(&room, 6).unwrap();
        spooling.write(b"abcdef").unwrap();
        let spool = spooling.finish("there".into()).unwrap();
        assert_eq!(
            (spool.read(2, 3).unwrap().as_ref(), spool.len(), spool.shown()),
            (&b"cde"[..], 6, "there")
        );
        assert!(spool.read(6, 1).is_err());
    }

    #[test]
    fn all_of_them_together_are_bounded() {
        let room = Arc::new(Room::default());
        let first = Spooling::begin(&room, LIMIT - 10).unwrap();
        assert!(Spooling::begin(&room, 11).is_none());
        assert!(Spooling::begin(&room, 10).is_some());
        drop(first);
        assert!(Spooling::begin(&room, LIMIT).is_some());
        assert!(Spooling::begin(&room, u64::MAX).is_none());
    }
}
