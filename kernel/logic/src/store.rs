//! The store that everything is read from: the device, what is needed to read it, and what is kept of it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use plyos_blockstore::BlockDevice;
use plyos_slots::SlotName;
use spin::Mutex;

use crate::cache::Cache;
use crate::faults::Faults;
use crate::{Decompress, Level, Log};

/// What the image brings.
#[derive(Clone)]
pub struct Means {
    /// Decompression of chunks.
    pub decompress: Arc<dyn Decompress + Send + Sync>,
    /// Where lines go.
    pub log: Arc<dyn Log + Send + Sync>,
}

/// How much may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the cache of chunks and pages.
    pub cache: u64,
    /// Longest directory of a store that is read, in bytes. It is read and parsed as a whole, twice at most, which takes about
    /// four times its bytes; so a store with many layers needs a machine with some memory.
    pub directory: u64,
    /// Longest list of a store (history, epoch floors, bad sets) that is read, in bytes. A switch reads, extends and writes the
    /// history, which takes about four times its bytes.
    pub lists: u64,
    /// Bytes of records of generations that are read to list them, all together; the others are listed as not read.
    pub generations: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cache: 16 << 20, directory: 2 << 20, lists: 1 << 20, generations: 16 << 20 }
    }
}

/// What the machine is, for the question whether it can run a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Architecture in OCI's names.
    pub arch: &'static str,
    /// ABIs that it runs.
    pub abis: &'static [&'static str],
    /// Names of its hardware, the most special first.
    pub compatible: Vec<String>,
}

impl Default for Machine {
    /// This kernel on x86-64.
    fn default() -> Self {
        Self { arch: "amd64", abis: &["plyos-0"], compatible: Vec::new() }
    }
}

/// What was asked for on the command line, and what the machine allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Only look at this slot, whatever its state; nothing is counted.
    pub slot: Option<SlotName>,
    /// Never write to the store. A trial, whose try could not be counted, is then not booted.
    pub read_only: bool,
    /// How much may be used.
    pub limits: Limits,
    /// What the machine is.
    pub machine: Machine,
}

/// The device with all that reading it needs; shared by every generation that is mounted.
///
/// Locks are those of [`spin`]: the core has no system whose locks it could use, and they let several processors read at once when
/// there are several. None is ever held while something is read, and none is taken in an interrupt, so nobody spins for long.
pub(crate) struct Store<D> {
    pub device: D,
    pub means: Means,
    pub cache: Cache,
    pub limits: Limits,
    pub damage: Mutex<Faults>,
    /// What failed without being damaged, apart: a device that fails for a while must not use up the places of what is.
    pub failures: Mutex<Faults>,
    /// A buffer for stored bytes, kept from read to read.
    pub buffer: Mutex<Vec<u8>>,
}

impl<D> Store<D> {
    pub fn new(device: D, means: Means, limits: Limits) -> Self {
        Self {
            device,
            means,
            cache: Cache::new(limits.cache),
            limits,
            damage: Mutex::default(),
            failures: Mutex::default(),
            buffer: Mutex::default(),
        }
    }

    pub fn log(&self, level: Level, text: fmt::Arguments<'_>) {
        self.means.log.line(level, text);
    }
}

impl<D> fmt::Debug for Store<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// A device whose errors can be told. Every [`BlockDevice`] with such errors is one.
pub trait Device: BlockDevice<Error: fmt::Display> {}

impl<D: BlockDevice<Error: fmt::Display>> Device for D {}
