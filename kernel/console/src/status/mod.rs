//! The status page: the facts, as Prometheus text and as a page for people, and the answer to a browser. Pure functions of values.
//!
//! The image gathers [`Facts`] with [`Facts::gather`], feeds what a connection brings to [`http::Request::read`], and sends what
//! [`http::answer`] gives.

pub mod http;
mod metrics;
mod page;

use alloc::{string::String, vec::Vec};
use core::time::Duration;

pub use metrics::metrics;
pub use page::page;
use plyos_kernel_logic::CacheStatistics;
use plyos_slots::{SlotName, SlotState, Slots};

use crate::{
    Standing,
    commands::generations::place,
    machine::{Disk, Machine, Memory, Network},
    system::{System, Tree},
};

/// What the status page tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Version of the kernel.
    pub version: &'static str,
    /// Since the start.
    pub uptime: Duration,
    /// What is mounted; `None` in rescue.
    pub mounted: Option<Mounted>,
    /// Why slots were passed over, or why nothing could be mounted.
    pub reasons: Vec<String>,
    /// Memory.
    pub memory: Memory,
    /// Block devices.
    pub disks: Vec<Disk>,
    /// The network.
    pub network: Option<Network>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounted {
    /// Number of the generation.
    pub generation: u64,
    /// Its layers.
    pub layers: usize,
    /// The slots that name it, with what they are worth.
    pub place: String,
    /// The same for programs: each slot that names it, and what it is worth.
    pub slots: Vec<(&'static str, &'static str)>,
    /// How often damage was met since the start.
    pub damage: u64,
    /// How the caches were used.
    pub cache: CacheStatistics,
}

impl Facts {
    /// The facts as they are now.
    pub fn gather<S: System>(machine: &impl Machine, standing: &Standing<'_, S>) -> Self {
        let (mounted, reasons) = match standing {
            Standing::Rescue(reasons) => (None, reasons.to_vec()),
            Standing::Mounted(system) => {
                let shown = system.shown();
                let mounted = Mounted {
                    generation: shown.generation().number,
                    layers: shown.generation().layers.len(),
                    place: place(*system, shown.generation().number),
                    slots: slots(&system.slots(), shown.generation().number),
                    damage: system.damage(),
                    cache: system.cache(),
                };
                (Some(mounted), system.passed_over())
            }
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime: machine.uptime(),
            mounted,
            reasons,
            memory: machine.memory(),
            disks: machine.disks(),
            network: machine.network(),
        }
    }
}

/// The slots that name a generation.
fn slots(both: &Slots, number: u64) -> Vec<(&'static str, &'static str)> {
    let slots = [("a", both.get(SlotName::A)), ("b", both.get(SlotName::B))].into_iter();
    let named = slots.filter(|(_, slot)| !slot.is_empty() && slot.number == number);
    named.map(|(name, slot)| (name, word(slot.state))).collect()
}

/// A state without its particulars.
const fn word(state: SlotState) -> &'static str {
    match state {
        SlotState::Empty => "empty",
        SlotState::Staged => "staged",
        SlotState::Trial { .. } => "trial",
        SlotState::Good => "good",
        SlotState::Unconfirmed => "unconfirmed",
        SlotState::Bad(_) => "bad",
    }
}

#[cfg(test)]
mod tests;
