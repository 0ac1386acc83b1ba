//! What a commit will change. Everything else stays as the newest superblock says.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use plyos_ids::{LayerId, ManifestDigest, ObjectHash};
use plyos_slots::Slots;

use crate::{Extent, LayerMap, RecordType};

/// A layer to be added or replaced. Its index and chunks are written already, where nothing points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerChange {
    /// Where the index was written.
    pub index: Extent,
    /// Where the chunks are.
    pub map: LayerMap,
    /// The OCI manifest by which it comes; `None` for a local layer.
    pub manifest: Option<ManifestDigest>,
    /// Now, seconds since 1970-01-01 UTC; a layer that is there keeps its time.
    pub at: u64,
}

/// A record to be added, replaced or removed, and what the change was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Hash of the record that was seen, `None` when there was none; a commit is refused when another is there now.
    pub seen: Option<ObjectHash>,
    /// The new bytes, at least one; `None` removes it.
    pub bytes: Option<Vec<u8>>,
    /// Now, seconds since 1970-01-01 UTC.
    pub at: u64,
}

/// New slots, and what they were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotsChange {
    /// The slots that were seen; a commit is refused when others are there now.
    pub seen: Slots,
    /// The slots to be written.
    pub new: Slots,
}

/// What a commit will change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Layers to be put, or removed (`None`).
    pub layers: BTreeMap<LayerId, Option<LayerChange>>,
    /// Records to be put or removed.
    pub records: BTreeMap<(RecordType, [u8; 32]), RecordChange>,
    /// New slots.
    pub slots: Option<SlotsChange>,
    /// Raises the time floor to at least this; 0 leaves it.
    pub time_floor: u64,
    /// Raises the keyring floor to at least this; 0 leaves it.
    pub keyring_floor: u64,
    /// Raises the next generation number to at least this; 0 leaves it.
    pub next_generation: u64,
    /// The version of the machine's state.
    pub state_version: Option<u32>,
    /// Makes the store this many units long; 0 leaves it. Never fewer than it has, nor more than the device.
    pub unit_count: u64,
    /// Commits even when nothing changes, so that the other copy too becomes the newest state and reaches nothing that
    /// was removed by the commit before.
    pub renew: bool,
}

impl Transaction {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
