//! What the console asks of the system: the generations of the store, the one that is shown, its files.
//!
//! Traits, so that the commands can be tested with a tree in memory. Errors come as one line each, made where they are known.

use alloc::{string::String, sync::Arc, vec::Vec};

use plyos_layer_format::{entry::Entry, pages::PageSource};
use plyos_namespace::{generation::Generation, namespace::Namespace};
use plyos_slots::{SlotName, Slots};

/// A mounted generation; the files of it stay what they are for as long as somebody holds it.
pub trait Tree {
    /// Where its index pages come from.
    type Pages: PageSource;

    /// What it consists of.
    fn generation(&self) -> &Generation;

    /// The slot that names it.
    fn slot(&self) -> SlotName;

    /// Its files.
    fn namespace(&self) -> &Namespace<Self::Pages>;

    /// Reads content of a file of layer number `layer` from `offset` on. Gives the number of bytes, which is less than `out` holds at
    /// the end of the file only.
    ///
    /// # Errors
    /// One line when a chunk cannot be read, or is not what it must be; `out` then holds nothing of use.
    fn read(&self, layer: usize, entry: &Entry, offset: u64, out: &mut [u8]) -> Result<usize, String>;
}

/// The store with its generations.
pub trait System {
    /// What it mounts.
    type Tree: Tree;

    /// The generation that is shown.
    fn shown(&self) -> Arc<Self::Tree>;

    /// Both slots as the store has them.
    fn slots(&self) -> Slots;

    /// Every generation in the store, by number.
    ///
    /// # Errors
    /// One line when their records cannot be read.
    fn generations(&self) -> Result<Vec<Generation>, String>;

    /// Who holds which generation: number, and how many hold it.
    fn leases(&self) -> Vec<(u64, usize)>;

    /// Why other slots were passed over when this was booted, a line each.
    fn passed_over(&self) -> Vec<String>;

    /// Shows another generation and makes it the active one. `now` is seconds since 1970.
    ///
    /// # Errors
    /// One line; nothing has changed then.
    fn switch(&mut self, number: u64, now: u64) -> Result<(), String>;

    /// What the cache of verified pages and chunks has seen.
    fn cache(&self) -> CacheCounters;

    /// Forgets what is cached, for measurements.
    fn forget_cache(&self);
}

/// What a cache has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounters {
    /// Asked for and there.
    pub hits: u64,
    /// Asked for and read.
    pub misses: u64,
    /// Thrown out for others.
    pub evicted: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// Most bytes that it takes.
    pub limit: u64,
}
