//! What a clean-up takes and what it leaves, decided from facts alone.
//!
//! A generation stays while a slot names it, somebody holds a lease on it or has pinned it, or the [`Policy`] still wants
//! it; with it stays every layer that it needs. A layer that no generation names is a download that was cut and stays for
//! a while, so that it can go on. Certificates and manifests stay with their layers, pins with their generations.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use plyos_ids::{GenerationId, LayerId, ManifestDigest};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A generation in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationFacts {
    /// Its number.
    pub number: u64,
    /// Its identity.
    pub id: GenerationId,
    /// When it was made or was last activated, whichever is later; seconds since 1970-01-01 UTC.
    pub used_at: u64,
    /// The layers that it needs.
    pub layers: Vec<LayerId>,
}

/// A layer in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFacts {
    /// Which layer.
    pub id: LayerId,
    /// The manifest by which it came.
    pub manifest: Option<ManifestDigest>,
    /// When it was first added, seconds since 1970-01-01 UTC.
    pub added_at: u64,
}

/// Everything that a clean-up decides about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Every generation of the store.
    pub generations: Vec<GenerationFacts>,
    /// Every layer of the store, also those that are not complete.
    pub layers: Vec<LayerFacts>,
    /// Layers that have a certificate in the store.
    pub certificates: Vec<LayerId>,
    /// Manifests in the store.
    pub manifests: Vec<ManifestDigest>,
    /// Pinned generations.
    pub pins: Vec<GenerationId>,
    /// The active generation, if there is one.
    pub active: Option<u64>,
    /// Generations that a slot names, whatever the slot's state.
    pub slots: Vec<u64>,
    /// Generations that somebody holds a lease on.
    pub leased: BTreeSet<u64>,
    /// Now, seconds since 1970-01-01 UTC.
    pub now: u64,
}

/// What is kept though nothing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// As many generations, those that were used last.
    pub keep: u32,
    /// And every generation that was used within as many days.
    pub days: u32,
    /// Layers that no generation names, within as many days.
    pub download_days: u32,
}

impl Policy {
    /// What `pkg` does when nobody says otherwise: 5 generations and 30 days, whichever keeps more; downloads a week.
    pub const USUAL: Self = Self { keep: 5, days: 30, download_days: 7 };
    /// Nothing stays but what is needed.
    pub const NOTHING: Self = Self { keep: 0, days: 0, download_days: 0 };
}

/// Why a generation stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is the active one.
    Active,
    /// A slot names it.
    Slot,
    /// Somebody pinned it.
    Pinned,
    /// A program that runs has it mounted.
    Leased,
    /// It is one of the last few.
    Recent,
    /// It was used within the last days.
    Young,
}

impl Reason {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Slot => "in a slot",
            Self::Pinned => "pinned",
            Self::Leased => "in use",
            Self::Recent => "recent",
            Self::Young => "young",
        }
    }
}

/// What goes, and why the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Generations that go: number and identity.
    pub generations: Vec<(u64, GenerationId)>,
    /// Layers that go.
    pub layers: BTreeSet<LayerId>,
    /// Certificates that go, by layer.
    pub certificates: Vec<LayerId>,
    /// Manifests that go.
    pub manifests: Vec<ManifestDigest>,
    /// Pins that go, for their generation is not there.
    pub pins: Vec<GenerationId>,
    /// Generations that stay, with every reason, sorted.
    pub stay: BTreeMap<u64, Vec<Reason>>,
    /// Layers that stay though no generation names them.
    pub downloads: BTreeSet<LayerId>,
}

impl Plan {
    /// Whether nothing goes.
    pub fn is_empty(&self) -> bool {
        self.generations.is_empty()
            && self.layers.is_empty()
            && self.certificates.is_empty()
            && self.manifests.is_empty()
            && self.pins.is_empty()
    }
}

/// Decides what goes.
pub fn plan(inventory: &Inventory, policy: Policy) -> Plan {
    let mut plan = Plan::default();
    // 1. Generations.
    let within = |at: u64, days: u32| days > 0 && inventory.now.saturating_sub(at) < u64::from(days) * DAY;
    let mut by_use: Vec<&GenerationFacts> = inventory.generations.iter().collect();
    by_use.sort_by_key(|generation| core::cmp::Reverse((generation.used_at, generation.number)));
    let mut needed = BTreeSet::new();
    let mut named = BTreeSet::new();
    for (rank, generation) in (0u32..).zip(by_use) {
        let number = generation.number;
        let reasons = [
            (Reason::Active, inventory.active == Some(number)),
            (Reason::Slot, inventory.slots.contains(&number)),
            (Reason::Pinned, inventory.pins.contains(&generation.id)),
            (Reason::Leased, inventory.leased.contains(&number)),
            (Reason::Recent, rank < policy.keep),
            (Reason::Young, within(generation.used_at, policy.days)),
        ];
        let reasons: Vec<Reason> =
            reasons.into_iter().filter(|(_, true_here)| *true_here).map(|(r, _)| r).collect();
        named.extend(generation.layers.iter().copied());
        if reasons.is_empty() {
            plan.generations.push((number, generation.id));
        } else {
            needed.extend(generation.layers.iter().copied());
            plan.stay.insert(number, reasons);
        }
    }
    plan.generations.sort_unstable();
    // 2. Layers: what a generation that stays needs, and downloads that may go on.
    let mut manifests = BTreeSet::new();
    let mut layers = BTreeSet::new();
    for layer in &inventory.layers {
        let download = !named.contains(&layer.id) && within(layer.added_at, policy.download_days);
        if needed.contains(&layer.id) || download {
            manifests.extend(layer.manifest);
            layers.insert(layer.id);
        } else {
            plan.layers.insert(layer.id);
        }
        if download {
            plan.downloads.insert(layer.id);
        }
    }
    // 3. Records without what they speak of.
    let wanted = |layer: &LayerId| layers.contains(layer) || needed.contains(layer);
    plan.certificates = inventory.certificates.iter().filter(|layer| !wanted(layer)).copied().collect();
    plan.manifests =
        inventory.manifests.iter().filter(|digest| !manifests.contains(digest)).copied().collect();
    let present: BTreeSet<GenerationId> =
        inventory.generations.iter().map(|generation| generation.id).collect();
    plan.pins = inventory.pins.iter().filter(|id| !present.contains(id)).copied().collect();
    plan
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
