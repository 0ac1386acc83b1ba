//! Appending: stored chunks are gathered into runs that begin on a fresh unit and are written in one piece.

use plyos_blockstore::layout::UNIT;
use plyos_blockstore::{Extent, FreeSpace, UsedMap};

use crate::StoreDevice;

/// Bytes after which a run is written: 1 MiB, so that a disk or stick sees long writes. What is open in a run is all
/// that a writer holds in memory.
const RUN: usize = 1 << 20;

/// Why something was not appended.
pub(crate) enum AppendError {
    /// No gap is large enough.
    Full { needed: u64, free: u64 },
    /// The device.
    Io(std::io::Error),
}

/// Gives out space for chunks and indexes and writes them.
#[derive(Default)]
pub(crate) struct Appender {
    pub free: FreeSpace,
    /// Everything appended in this session: it must stay, for the caller may still put it into a layer.
    pub appended: UsedMap,
    start: u64,
    run: Vec<u8>,
}

impl Appender {
    /// Appends a stored chunk behind the one before. It is on the device after [`Appender::write_out`].
    pub fn chunk<D: StoreDevice>(&mut self, device: &D, stored: &[u8]) -> Result<u64, AppendError> {
        if self.run.len() + stored.len() > RUN {
            self.write_out(device).map_err(AppendError::Io)?;
        }
        let offset = self.take(stored.len() as u64)?;
        if offset != self.start + self.run.len() as u64 {
            self.write_run(device).map_err(AppendError::Io)?;
            self.start = offset;
        }
        self.run.extend_from_slice(stored);
        Ok(offset)
    }

    /// Appends something large at once, on a fresh unit.
    pub fn whole<D: StoreDevice>(&mut self, device: &D, bytes: &[u8]) -> Result<Extent, AppendError> {
        self.write_out(device).map_err(AppendError::Io)?;
        let offset = self.take(bytes.len() as u64)?;
        device.write_at(offset, bytes).map_err(AppendError::Io)?;
        self.free.seal();
        Ok(Extent { offset, len: bytes.len() as u64 })
    }

    /// Writes what is open; the next chunk begins on a fresh unit.
    pub fn write_out<D: StoreDevice>(&mut self, device: &D) -> std::io::Result<()> {
        self.write_run(device)?;
        self.free.seal();
        Ok(())
    }

    fn write_run<D: StoreDevice>(&mut self, device: &D) -> std::io::Result<()> {
        if !self.run.is_empty() {
            device.write_at(self.start, &self.run)?;
            self.run.clear();
        }
        // No offset follows this one, so that the next chunk starts a run of its own.
        self.start = u64::MAX - RUN as u64;
        Ok(())
    }

    /// Appending, tried out: what would find no room.
    pub fn trial(&self) -> Trial {
        let mut free = self.free.clone();
        free.seal();
        Trial { free, run: 0, missing: 0 }
    }

    fn take(&mut self, len: u64) -> Result<u64, AppendError> {
        let found = self.free.take(len, 1);
        let offset = found.ok_or_else(|| AppendError::Full { needed: len, free: self.free.free_bytes() })?;
        self.appended.insert(Extent { offset, len });
        Ok(offset)
    }
}

/// Gives out the same space as an [`Appender`] and writes nothing.
pub(crate) struct Trial {
    free: FreeSpace,
    run: u64,
    missing: u64,
}

impl Trial {
    /// A stored chunk behind the one before.
    pub fn chunk(&mut self, len: u64) {
        if self.run + len > RUN as u64 {
            self.seal();
        }
        self.run += len;
        self.take(len);
    }

    /// Something on units of its own.
    pub fn whole(&mut self, len: u64) {
        self.seal();
        self.take(len);
        self.seal();
    }

    fn seal(&mut self) {
        self.free.seal();
        self.run = 0;
        self.missing = self.missing.next_multiple_of(UNIT);
    }

    /// Bytes that found no room, in whole units: as long an empty run behind the store would have held them.
    pub fn missing(&self) -> u64 {
        self.missing.next_multiple_of(UNIT)
    }

    fn take(&mut self, len: u64) {
        if self.free.take(len, 1).is_none() {
            self.missing += len;
        }
    }
}
