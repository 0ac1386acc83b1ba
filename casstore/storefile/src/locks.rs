//! Locks: open file description locks at byte ranges far beyond any data. They vanish with their holder, and nothing of
//! them is on the disk. See docs/formats.md, "Locks and leases".

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use plyos_blockstore::BlockDevice;

use crate::{Result, StoreError};

/// Byte of the long writer lock. Frozen.
pub(crate) const WRITER_BYTE: u64 = 1 << 62;
/// Byte of the short commit lock. Frozen.
pub(crate) const COMMIT_BYTE: u64 = (1 << 62) + 1;
/// Byte of the lock on finding out about a trial. Frozen.
pub(crate) const TRIAL_BYTE: u64 = (1 << 62) + 2;
/// Byte of the lease on generation 0; the one on generation N is N bytes further. Frozen.
const LEASE_BYTE: u64 = (1 << 62) + 4096;
/// How long a commit waits for another commit, which takes two flushes.
pub(crate) const COMMIT_WAIT: Duration = Duration::from_secs(30);
/// How often a held lock is tried again.
const POLL: Duration = Duration::from_millis(20);

/// How a byte is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// With others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

/// A device with the locks of a store. A lock belongs to the open device: taking it again changes its mode, and it
/// vanishes when the device is closed.
pub trait StoreDevice: BlockDevice<Error = io::Error> {
    /// Tries to lock one byte; `false` when somebody else holds it.
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool>;

    /// Unlocks it.
    fn unlock(&self, byte: u64) -> io::Result<()>;

    /// Makes the device at least `len` bytes long, for good when it returns. By default it must be already.
    fn reach(&self, len: u64) -> io::Result<()> {
        if len <= self.len() { Ok(()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    }
}

/// The byte of the lease on a generation; `None` for a number beyond any that a store gives.
pub(crate) fn lease_byte(number: u64) -> Option<u64> {
    LEASE_BYTE.checked_add(number).filter(|byte| *byte < i64::MAX as u64)
}

/// Locks one byte, waiting up to `wait`.
pub(crate) fn lock<D: StoreDevice>(
    device: &D,
    path: &Path,
    (byte, name): (u64, &'static str),
    mode: LockMode,
    wait: Duration,
) -> Result<()> {
    let start = Instant::now();
    loop {
        if device.try_lock(byte, mode).map_err(StoreError::io("locking", path))? {
            return Ok(());
        }
        let waited = start.elapsed();
        if waited >= wait {
            return Err(StoreError::Busy { path: path.into(), lock: name, waited });
        }
        sleep(POLL.min(wait.saturating_sub(waited)));
    }
}

/// The commit lock, held until it is dropped.
pub(crate) struct CommitLock<'a, D: StoreDevice>(&'a D);

impl<'a, D: StoreDevice> CommitLock<'a, D> {
    pub(crate) fn take(device: &'a D, path: &Path, mode: LockMode) -> Result<Self> {
        lock(device, path, (COMMIT_BYTE, "the commit lock"), mode, COMMIT_WAIT).map(|()| Self(device))
    }
}

impl<D: StoreDevice> Drop for CommitLock<'_, D> {
    fn drop(&mut self) {
        // A failure leaves the lock until the device is closed; nobody could do more.
        let _ = self.0.unlock(COMMIT_BYTE);
    }
}
