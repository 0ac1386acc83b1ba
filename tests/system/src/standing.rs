//! What a store stands at, without what differs from run to run (times, identities that hold times): two runs of a
//! command that do the same leave the same [`Standing`].

use plyos_storefile::{Access, FileDevice, LockMode, RecordType, Store, StoreDevice};
use std::collections::BTreeMap;
use std::path::Path;

/// A store as a command finds or leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Number of the active generation.
    pub active: Option<u64>,
    /// State and number of both slots.
    pub slots: [(String, u64); 2],
    /// Number, where it came from and why, of each entry.
    pub history: Vec<(u64, u64, String)>,
    /// Layers, with whether every chunk is there.
    pub layers: BTreeMap<String, bool>,
    /// How many records of each type there are.
    pub records: BTreeMap<&'static str, usize>,
    /// Its length in bytes.
    pub length: u64,
}

impl Standing {
    /// Of the store at `path`; none when there is none.
    ///
    /// # Panics
    /// When it does not open, or a map or the history cannot be read.
    pub fn of(path: &Path) -> Option<Self> {
        if !path.exists() {
            return None;
        }
        let store = Store::open(path).unwrap();
        let slots = store.slots();
        let history = store.history().unwrap();
        let layers = store.layers().map(|entry| {
            let stored = store.layer(&entry.id).unwrap().unwrap();
            (entry.id.to_hex(), stored.places().iter().all(Option::is_some))
        });
        Some(Self {
            active: slots.active().map(|slot| slot.number),
            slots: [&slots.a, &slots.b].map(|slot| (slot.state.to_string(), slot.number)),
            history: history
                .entries()
                .map(|entry| (entry.number, entry.from, format!("{:?}", entry.action)))
                .collect(),
            layers: layers.collect(),
            records: RecordType::ALL
                .into_iter()
                .map(|kind| (kind.as_str(), store.records(kind).count()))
                .collect(),
            length: store.superblock().store_len(),
        })
    }

    /// Whether this is what a command that was stopped before its flip may leave of `before`: the same system, with more
    /// layers, certificates and manifests at most.
    pub fn is_still(&self, before: &Self) -> bool {
        let same = (self.active, &self.slots, &self.history, self.length)
            == (before.active, &before.slots, &before.history, before.length);
        let layers = before.layers.iter().all(|(id, whole)| self.layers.get(id) == Some(whole));
        let records = before.records.iter().all(|(kind, count)| match *kind {
            "certificate" | "manifest" => self.records.get(kind) >= Some(count),
            _ => self.records.get(kind) == Some(count),
        });
        same && layers && records
    }
}

/// Byte of the writer lock, and from where the leases lie: docs/formats.md, "Locks and leases".
const LOCKS: u64 = 1 << 62;
const LEASES: u64 = LOCKS + 4096;

/// Asserts that nobody holds a lock or a lease on the store; changes nothing and does not wait.
///
/// # Panics
/// When somebody does.
pub fn assert_unlocked(path: &Path) {
    let next = Store::open(path).unwrap().superblock().next_generation;
    let device = FileDevice::open(path, Access::Write).unwrap();
    for byte in [LOCKS, LOCKS + 1].into_iter().chain((0..next).map(|number| LEASES + number)) {
        assert!(device.try_lock(byte, LockMode::Exclusive).unwrap(), "byte {byte} is locked");
    }
}
