//! Sets of layers that turned out bad: bounded, and outliving the clean-up of their generations.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use plyos_bytemap::{View, put};
use plyos_ids::LayerSetId;
use plyos_slots::BadReason;

use crate::ListError;
use crate::layout::{BAD_SETS_MAGIC, bad_entry};
use crate::list;

/// A set of layers that turned out bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadEntry {
    /// The digest of the set.
    pub layer_set: LayerSetId,
    /// Number of the generation with which it was seen.
    pub number: u64,
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Why.
    pub reason: BadReason,
}

/// The bad sets, oldest first, with at most [`BadSets::MAX`] entries and no set twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BadSets {
    compat: u32,
    entries: VecDeque<BadEntry>,
}

impl BadSets {
    /// Most entries; the oldest goes first.
    pub const MAX: u32 = 64;

    /// Entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &BadEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// What is known against a set.
    pub fn find(&self, layer_set: &LayerSetId) -> Option<&BadEntry> {
        self.entries.iter().find(|entry| entry.layer_set == *layer_set)
    }

    /// Remembers a set as the newest; the oldest goes when there are too many.
    pub fn remember(&mut self, entry: BadEntry) {
        self.forget(&entry.layer_set);
        self.entries.push_back(entry);
        while self.entries.len() > Self::MAX as usize {
            self.entries.pop_front();
        }
    }

    /// Forgets a set; says whether it was known.
    pub fn forget(&mut self, layer_set: &LayerSetId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.layer_set != *layer_set);
        self.entries.len() != before
    }

    /// Reads the list. `bytes` is the whole record and no more.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let found = list::split(bytes, &BAD_SETS_MAGIC, bad_entry::SIZE, Self::MAX)?;
        if !found.heap.is_empty() {
            return Err(ListError::Malformed);
        }
        let mut bad = Self { compat: found.compat, entries: VecDeque::with_capacity(found.count) };
        for record in found.entries.chunks(bad_entry::SIZE) {
            let view = View::new(record, &bad_entry::LAYOUT).ok_or(ListError::Malformed)?;
            let reason = view.u8(bad_entry::REASON);
            let entry = BadEntry {
                layer_set: LayerSetId::from_bytes(view.array(bad_entry::LAYER_SET)),
                number: view.u64(bad_entry::NUMBER),
                at: view.u64(bad_entry::AT),
                reason: BadReason::from_number(reason).ok_or(ListError::Unknown(reason))?,
            };
            if !view.is_zero(bad_entry::RESERVED) {
                return Err(ListError::Malformed);
            }
            if bad.find(&entry.layer_set).is_some() {
                return Err(ListError::Order);
            }
            bad.entries.push_back(entry);
        }
        Ok(bad)
    }

    /// The bytes of the record.
    pub fn emit(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for entry in &self.entries {
            let mut out = [0; bad_entry::SIZE];
            put(&mut out, bad_entry::LAYER_SET, entry.layer_set.as_bytes());
            put(&mut out, bad_entry::NUMBER, &entry.number.to_le_bytes());
            put(&mut out, bad_entry::AT, &entry.at.to_le_bytes());
            put(&mut out, bad_entry::REASON, &[entry.reason as u8]);
            entries.extend_from_slice(&out);
        }
        list::join(BAD_SETS_MAGIC, self.compat, self.entries.len(), &entries, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(first: u8, number: u64) -> BadEntry {
        let layer_set = LayerSetId::from_bytes([first; 32]);
        BadEntry { layer_set, number, at: 3, reason: BadReason::Panic }
    }

    fn bad_sets() -> impl Strategy<Value = BadSets> {
        proptest::collection::vec((any::<u8>(), any::<u64>()), 0..8).prop_map(|all| {
            let mut bad = BadSets::default();
            all.into_iter().for_each(|(first, number)| bad.remember(entry(first, number)));
            bad
        })
    }

    proptest! {
        #[test]
        fn value_round_trip(bad in bad_sets()) {
            prop_assert_eq!(BadSets::parse(&bad.emit()), Ok(bad));
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(
            bad in bad_sets(), at in any::<prop::sample::Index>(), value: u8
        ) {
            let mut bytes = bad.emit();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(found) = BadSets::parse(&bytes) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = BadSets::parse(&bytes);
        }
    }

    #[test]
    fn the_oldest_goes_first_and_no_set_stands_twice() {
        let mut bad = BadSets::default();
        (0..=64).for_each(|n| bad.remember(entry(n, 1)));
        assert_eq!(bad.entries().len(), 64);
        assert_eq!(bad.find(&LayerSetId::from_bytes([0; 32])), None);
        bad.remember(entry(1, 2));
        assert_eq!(bad.entries().next_back(), Some(&entry(1, 2)));
        assert_eq!(bad.entries().len(), 64);
        assert!(bad.forget(&LayerSetId::from_bytes([1; 32])));
        assert!(!bad.forget(&LayerSetId::from_bytes([1; 32])));
    }

    #[test]
    fn set_that_stands_twice_or_over_the_limit_is_refused() {
        let mut bad = BadSets::default();
        bad.remember(entry(1, 1));
        bad.remember(entry(2, 1));
        let mut bytes = bad.emit();
        bytes[64 + 64..64 + 64 + 32].fill(1);
        assert_eq!(BadSets::parse(&bytes), Err(ListError::Order));
        put(&mut bytes, crate::layout::list::COUNT, &65u32.to_le_bytes());
        assert_eq!(BadSets::parse(&bytes), Err(ListError::TooMany(65)));
    }
}
