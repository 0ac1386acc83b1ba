//! What the console asks of the system: the generations of the store, the one that is shown, its files.
//!
//! Traits, so that the commands can be tested with a tree in memory; [`kernel`] has them for `plyos-kernel-logic`. Errors come as
//! one line each, made where they are known.

mod kernel;

use alloc::{string::String, sync::Arc, vec::Vec};

use plyos_kernel_logic::{CacheStatistics, GenerationInfo, Held};
use plyos_layer_format::{entry::Entry, pages::PageSource};
use plyos_namespace::{
    generation::Generation,
    namespace::{Namespace, NamespaceError},
};
use plyos_slots::Slots;

/// A mounted generation; the files of it stay what they are for as long as somebody holds it.
pub trait Tree {
    /// Where its index pages come from.
    type Pages: PageSource;

    /// What it consists of.
    fn generation(&self) -> &Generation;

    /// Its files.
    fn namespace(&self) -> &Namespace<Self::Pages>;

    /// Takes note of an error of its namespace, and gives the line for it.
    fn told(&self, error: &NamespaceError) -> String;

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
    /// One line when the store or its history cannot be read.
    fn generations(&self) -> Result<Vec<GenerationInfo>, String>;

    /// Who holds which generation.
    fn leases(&self) -> Vec<Held>;

    /// Why other slots were passed over when this was booted, a line each.
    fn passed_over(&self) -> Vec<String>;

    /// Shows another generation and makes it the active one. `now` is seconds since 1970.
    ///
    /// # Errors
    /// One line; nothing has changed then.
    fn switch(&self, number: u64, now: u64) -> Result<(), String>;

    /// How often damage was met since the start.
    fn damage(&self) -> u64;

    /// How the caches were used.
    fn cache(&self) -> CacheStatistics;

    /// Forgets what is cached, for measurements.
    fn clear_cache(&self);
}
