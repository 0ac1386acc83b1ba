//! A device that tells writing from flushing.

use plyos_blockstore::BlockDevice;
use plyos_storefile::{FileDevice, LockMode, StoreDevice};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A file or block device that counts what its flushes take and how much is written.
pub struct TimedDevice {
    device: FileDevice,
    flushing: AtomicU64,
    written: AtomicU64,
}

impl TimedDevice {
    /// Watches a device.
    pub const fn new(device: FileDevice) -> Self {
        Self { device, flushing: AtomicU64::new(0), written: AtomicU64::new(0) }
    }

    /// Time spent in flushes so far.
    pub fn flushing(&self) -> Duration {
        Duration::from_nanos(self.flushing.load(Ordering::Relaxed))
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl BlockDevice for TimedDevice {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.device.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        let begin = Instant::now();
        let done = self.device.flush();
        let nanoseconds = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.flushing.fetch_add(nanoseconds, Ordering::Relaxed);
        done
    }
}

impl StoreDevice for TimedDevice {
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool> {
        self.device.try_lock(byte, mode)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        self.device.unlock(byte)
    }

    fn reach(&self, len: u64) -> io::Result<()> {
        self.device.reach(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_storefile::Access;

    #[test]
    fn writes_and_flushes_are_counted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8192).unwrap();
        let device = TimedDevice::new(FileDevice::open(file.path(), Access::Write).unwrap());
        device.write_at(4096, &[1; 512]).unwrap();
        assert_eq!((device.written(), device.flushing()), (512, Duration::ZERO));
        device.flush().unwrap();
        assert!(device.flushing() > Duration::ZERO);
    }
}
