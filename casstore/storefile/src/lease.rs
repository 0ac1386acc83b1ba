//! A lease keeps a generation from clean-up as long as its holder lives.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::locks::{lease_byte, lock};
use crate::{Access, FileDevice, LockMode, Result, Store, StoreDevice, StoreError};

/// How long a lease waits for a clean-up that is just deciding about the same generation.
const LEASE_WAIT: Duration = Duration::from_secs(60);

/// Keeps a generation from clean-up until it is dropped or the process ends, however that comes.
#[derive(Debug)]
pub struct Lease {
    /// Number of the generation.
    pub number: u64,
    /// The lock belongs to this open file.
    _device: FileDevice,
}

impl Store {
    /// Takes a lease on a generation. Afterwards call [`Store::refresh`] and look whether the generation is still there:
    /// a clean-up that came first may have taken it away.
    pub fn lease(&self, number: u64) -> Result<Lease> {
        let path = self.path();
        let device = FileDevice::open(path, Access::Read)?;
        let id = |device: &FileDevice| {
            let about = device.file().metadata().map_err(StoreError::io("looking at", path))?;
            Ok((about.dev(), about.ino()))
        };
        if id(&device)? != id(self.device())? {
            let why = String::from("another file has taken its place; open it again");
            return Err(StoreError::NotOpened { path: path.into(), why });
        }
        let byte = byte_of(self, number)?;
        lock(&device, path, (byte, "this generation to clean it up"), LockMode::Shared, LEASE_WAIT)?;
        Ok(Lease { number, _device: device })
    }
}

/// Tries to keep everybody from leasing a generation; `false` when it is leased.
pub(crate) fn try_retire<D: StoreDevice>(store: &Store<D>, number: u64) -> Result<bool> {
    let byte = byte_of(store, number)?;
    store.device.try_lock(byte, LockMode::Exclusive).map_err(StoreError::io("locking", &store.path))
}

/// Lets others lease it again.
pub(crate) fn end_retirement<D: StoreDevice>(store: &Store<D>, number: u64) {
    if let Some(byte) = lease_byte(number) {
        // A failure leaves the lock until the writer ends; then the kernel drops it.
        let _ = store.device.unlock(byte);
    }
}

fn byte_of<D>(store: &Store<D>, number: u64) -> Result<u64> {
    lease_byte(number).ok_or_else(|| StoreError::Invalid {
        path: store.path.clone(),
        what: format!("generation number {number} is beyond any that a store gives"),
    })
}
