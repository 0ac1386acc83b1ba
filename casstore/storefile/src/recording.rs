//! A device in memory that remembers every write and flush, so that a test can cut the power anywhere.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plyos_blockstore::BlockDevice;

use crate::{LockMode, StoreDevice};

/// What was done to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Bytes were written.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Everything before is on the medium.
    Flush,
}

#[derive(Debug)]
struct State {
    image: Vec<u8>,
    log: Vec<Operation>,
}

/// A device in memory with the log of all that was done to it. Clones share the device; its locks are always free.
#[derive(Debug, Clone)]
pub struct RecordingDevice {
    len: u64,
    state: Arc<Mutex<State>>,
}

impl RecordingDevice {
    /// A device of `len` zeroes.
    pub fn new(len: usize) -> Self {
        Self::from_image(vec![0; len])
    }

    /// A device that holds `image`, with an empty log.
    pub fn from_image(image: Vec<u8>) -> Self {
        Self { len: image.len() as u64, state: Arc::new(Mutex::new(State { image, log: Vec::new() })) }
    }

    /// What was done so far.
    pub fn log(&self) -> Vec<Operation> {
        self.state().log.clone()
    }

    /// How much was done so far.
    pub fn log_len(&self) -> usize {
        self.state().log.len()
    }

    /// What a reader sees now.
    pub fn image(&self) -> Vec<u8> {
        self.state().image.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes `offset..offset + len` of an image as a range, when they are inside.
fn range(image: &[u8], offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok();
    let end = start.and_then(|start| start.checked_add(len)).filter(|end| *end <= image.len());
    start.zip(end).map(|(start, end)| start..end).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

impl BlockDevice for RecordingDevice {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let range = range(&state.image, offset, out.len())?;
        out.copy_from_slice(state.image.get(range).unwrap_or_default());
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let range = range(&state.image, offset, bytes.len())?;
        if let Some(place) = state.image.get_mut(range) {
            place.copy_from_slice(bytes);
        }
        state.log.push(Operation::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.state().log.push(Operation::Flush);
        Ok(())
    }
}

impl StoreDevice for RecordingDevice {
    fn try_lock(&self, _byte: u64, _mode: LockMode) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self, _byte: u64) -> io::Result<()> {
        Ok(())
    }
}
