//! Whoever finds out about the generation on trial holds a lock, so that nobody else begins the same meanwhile, nor takes a
//! check that runs for one that broke off.

use std::path::Path;

use crate::locks::TRIAL_BYTE;
use crate::{Access, FileDevice, LockMode, Result, Store, StoreDevice, StoreError};

/// The right to find out about the generation on trial, until it is dropped or the process ends, however that comes.
#[derive(Debug)]
pub struct TrialLock {
    /// The lock belongs to this open file.
    _device: FileDevice,
}

impl Store {
    /// Takes the lock if nobody has it. Look at the slots afterwards: who had it before may have ended the trial.
    pub fn trial_lock(path: impl AsRef<Path>) -> Result<Option<TrialLock>> {
        let path = path.as_ref();
        let device = FileDevice::open(path, Access::Write)?;
        let is_ours =
            device.try_lock(TRIAL_BYTE, LockMode::Exclusive).map_err(StoreError::io("locking", path))?;
        Ok(is_ours.then_some(TrialLock { _device: device }))
    }
}
