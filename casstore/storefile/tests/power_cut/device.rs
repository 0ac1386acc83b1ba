//! A medium in memory: an image that is cheap to copy, the log of all that was done to it, and the locks of those who
//! have it open.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use plyos_blockstore::BlockDevice;
use plyos_storefile::{LockMode, StoreDevice};

use crate::mutation::{Lens, Mutation};

const PAGE: usize = 4096;

/// The bytes of a medium in shared pages: a copy costs a counter for each page, a write only the pages that it touches.
#[derive(Clone)]
pub struct Image(Vec<Arc<[u8; PAGE]>>);

impl Image {
    pub fn zeroes(len: usize) -> Self {
        assert_eq!(len % PAGE, 0);
        let page = Arc::new([0; PAGE]);
        Self(vec![page; len / PAGE])
    }

    pub const fn len(&self) -> usize {
        self.0.len() * PAGE
    }

    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let (page, at) = ((offset + done) / PAGE, (offset + done) % PAGE);
            let count = (PAGE - at).min(out.len() - done);
            out[done..done + count].copy_from_slice(&self.0[page][at..at + count]);
            done += count;
        }
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, at) = ((offset + done) / PAGE, (offset + done) % PAGE);
            let count = (PAGE - at).min(bytes.len() - done);
            Arc::make_mut(&mut self.0[page])[at..at + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    /// What tells this image from others that were made from `base`.
    pub fn difference(&self, base: &Self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (number, (page, before)) in self.0.iter().zip(&base.0).enumerate() {
            if !Arc::ptr_eq(page, before) && page != before {
                hasher.update(&(number as u64).to_le_bytes()).update(&page[..]);
            }
        }
        *hasher.finalize().as_bytes()
    }
}

/// What was done to a medium.
#[derive(Debug, Clone)]
pub enum Operation {
    Write { offset: usize, bytes: Arc<[u8]> },
    Flush,
}

impl Operation {
    /// Whether it writes a copy of the superblock (and does not clear its place).
    pub fn is_flip(&self) -> bool {
        matches!(self, Self::Write { offset: 0 | 65_536, bytes } if bytes.starts_with(b"PLYSTORE"))
    }
}

struct State {
    image: Image,
    log: Vec<Operation>,
    /// Who holds which byte, by the number of the opening.
    locks: BTreeMap<u64, BTreeMap<u64, LockMode>>,
    openings: u64,
}

/// A medium that can be opened several times, each opening with its own locks. A new one has none: they do not outlive
/// a power cut.
#[derive(Clone)]
pub struct Medium {
    state: Arc<Mutex<State>>,
    mutation: Option<Mutation>,
}

impl Medium {
    pub fn new(image: Image, mutation: Option<Mutation>) -> Self {
        let state = State { image, log: Vec::new(), locks: BTreeMap::new(), openings: 0 };
        Self { state: Arc::new(Mutex::new(state)), mutation }
    }

    /// Opens it as a program does.
    pub fn open(&self) -> Opening {
        let mut state = self.state();
        state.openings += 1;
        Opening { medium: self.clone(), number: state.openings, lens: Mutex::new(Lens::new(self.mutation)) }
    }

    pub fn image(&self) -> Image {
        self.state().image.clone()
    }

    pub fn log(&self) -> Vec<Operation> {
        self.state().log.clone()
    }

    pub fn log_len(&self) -> usize {
        self.state().log.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A medium as one program has it open.
pub struct Opening {
    medium: Medium,
    number: u64,
    lens: Mutex<Lens>,
}

impl Opening {
    /// The medium, to be opened once more.
    pub const fn medium(&self) -> &Medium {
        &self.medium
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.medium.state().locks.values_mut().for_each(|holders| {
            holders.remove(&self.number);
        });
    }
}

impl BlockDevice for Opening {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.medium.state().image.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.medium.state();
        if offset + out.len() as u64 > state.image.len() as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.image.read(offset as usize, out);
        self.lens.lock().unwrap().read(offset, out, &state.image);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.medium.state();
        if offset + bytes.len() as u64 > state.image.len() as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut write = Operation::Write { offset: offset as usize, bytes: bytes.into() };
        let mut lens = self.lens.lock().unwrap();
        lens.write(&mut write);
        if let Operation::Write { offset, bytes } = &write {
            state.image.write(*offset, bytes);
        }
        lens.log(write, &mut state.log);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.medium.state();
        self.lens.lock().unwrap().log(Operation::Flush, &mut state.log);
        Ok(())
    }
}

impl StoreDevice for Opening {
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool> {
        if self.medium.mutation == Some(Mutation::LeaseIgnored)
            && byte >= LEASES
            && mode == LockMode::Exclusive
        {
            return Ok(true);
        }
        let mut state = self.medium.state();
        let holders = state.locks.entry(byte).or_default();
        let free = holders.iter().all(|(holder, held)| {
            *holder == self.number || (*held, mode) == (LockMode::Shared, LockMode::Shared)
        });
        if free {
            holders.insert(self.number, mode);
        }
        Ok(free)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        self.medium.state().locks.entry(byte).or_default().remove(&self.number);
        Ok(())
    }
}

/// Byte of the lease on generation 0 (docs/formats.md, "Locks and leases").
pub const LEASES: u64 = (1 << 62) + 4096;
