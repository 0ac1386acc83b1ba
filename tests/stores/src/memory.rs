//! A device in memory that counts what is asked of it, and fails where it is told to.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plyos_blockstore::BlockDevice;
use plyos_storefile::{LockMode, StoreDevice};

/// What was asked of a device so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Reads.
    pub reads: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Writes.
    pub writes: u64,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    unreadable: Vec<Range<u64>>,
    writes_fail: bool,
    asked: Asked,
}

/// A device in memory. Clones share it; its locks are always free.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    /// A device of `len` zeroes.
    pub fn new(len: u64) -> Self {
        Self::of(vec![0; usize::try_from(len).unwrap()])
    }

    /// A device that holds these bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of what it holds.
    pub fn image(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// A device of its own with the same bytes.
    pub fn copied(&self) -> Self {
        Self::of(self.image())
    }

    /// Changes its bytes behind everybody's back.
    pub fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.state().bytes);
    }

    /// Turns one bit of the byte at `offset`.
    pub fn flip(&self, offset: u64) {
        self.change(|bytes| bytes[usize::try_from(offset).unwrap()] ^= 1);
    }

    /// Lets every read fail that touches this range.
    pub fn break_range(&self, range: Range<u64>) {
        self.state().unreadable.push(range);
    }

    /// Makes every range readable again.
    pub fn heal(&self) {
        self.state().unreadable.clear();
    }

    /// Lets every write fail, or no longer.
    pub fn fail_writes(&self, fail: bool) {
        self.state().writes_fail = fail;
    }

    /// What was asked of it so far.
    pub fn asked(&self) -> Asked {
        self.state().asked
    }
}

impl BlockDevice for Memory {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.asked.reads += 1;
        state.asked.bytes += out.len() as u64;
        let end = offset + out.len() as u64;
        if state.unreadable.iter().any(|range| range.start < end && offset < range.end) {
            return Err(io::Error::other("the disk says no"));
        }
        let (start, end) = (usize::try_from(offset).unwrap(), usize::try_from(end).unwrap());
        out.copy_from_slice(state.bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.asked.writes += 1;
        if state.writes_fail {
            return Err(io::Error::other("the disk cannot be written"));
        }
        let start = usize::try_from(offset).unwrap();
        let place = state.bytes.get_mut(start..start + bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl StoreDevice for Memory {
    fn try_lock(&self, _byte: u64, _mode: LockMode) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self, _byte: u64) -> io::Result<()> {
        Ok(())
    }
}
