//! The kernel's own system and generations, as the console asks for them.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use plyos_kernel_logic::{
    CacheStatistics, Device, GenerationInfo, Held, Mounted, Pages, System as KernelSystem,
};
use plyos_layer_format::entry::Entry;
use plyos_namespace::{
    generation::Generation,
    namespace::{Namespace, NamespaceError},
};
use plyos_slots::Slots;

use super::{System, Tree};

impl<D: Device> Tree for Mounted<D> {
    type Pages = Pages<D>;

    fn generation(&self) -> &Generation {
        self.generation()
    }

    fn namespace(&self) -> &Namespace<Pages<D>> {
        self.namespace()
    }

    fn told(&self, error: &NamespaceError) -> String {
        self.tell(error);
        error.to_string()
    }

    fn read(&self, layer: usize, entry: &Entry, offset: u64, out: &mut [u8]) -> Result<usize, String> {
        self.read(layer, entry, offset, out).map_err(|fault| fault.to_string())
    }
}

impl<D: Device> System for KernelSystem<D> {
    type Tree = Mounted<D>;

    fn shown(&self) -> Arc<Mounted<D>> {
        self.shown()
    }

    fn slots(&self) -> Slots {
        self.slots()
    }

    fn generations(&self) -> Result<Vec<GenerationInfo>, String> {
        self.generations().map_err(|error| format!("cannot list the generations: {error}"))
    }

    fn leases(&self) -> Vec<Held> {
        self.leases()
    }

    fn passed_over(&self) -> Vec<String> {
        self.passed().iter().map(ToString::to_string).collect()
    }

    fn switch(&self, number: u64, now: u64) -> Result<(), String> {
        let switched = self.switch(number, now).map(|_| ());
        switched.map_err(|error| format!("cannot switch to generation {number}: {error}"))
    }

    fn damage(&self) -> u64 {
        self.damage()
    }

    fn cache(&self) -> CacheStatistics {
        self.cache()
    }

    fn clear_cache(&self) {
        self.clear_cache();
    }
}
