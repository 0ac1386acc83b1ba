//! What is in use: derived from both superblock copies whenever somebody starts to write, never stored. So it cannot
//! disagree with what is stored, and what a cut left half written is free by itself.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use plyos_ids::LayerId;

use crate::{BlockDevice, Extent, ReadError, StoreView, read_map};

/// A set of units, kept as runs that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedMap {
    /// First unit of a run to first unit behind it.
    runs: BTreeMap<u64, u64>,
}

impl UsedMap {
    /// Marks every unit that `extent` touches.
    pub fn insert(&mut self, extent: Extent) {
        let (mut start, mut end) = extent.units();
        if start == end {
            return;
        }
        // Most extents follow the one before, so this loop seldom turns.
        while let Some((&first, &last)) = self.runs.range(..=end).next_back() {
            if last < start {
                break;
            }
            self.runs.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.runs.insert(start, end);
    }

    /// Whether every unit that `extent` touches is marked.
    pub fn covers(&self, extent: Extent) -> bool {
        let (start, end) = extent.units();
        self.runs.range(..=start).next_back().is_some_and(|(_, &last)| last >= end)
    }

    /// The runs in order: first unit, and first behind.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(&start, &end)| (start, end))
    }

    /// Units marked.
    pub fn unit_count(&self) -> u64 {
        self.runs().map(|(start, end)| end - start).sum()
    }

    /// What both copies of a view need for themselves: directories, records, maps.
    pub fn metadata(view: &StoreView) -> Self {
        let mut used = Self::default();
        for copy in view.copies() {
            used.insert(copy.superblock.directory);
            copy.directory.records.values().for_each(|entry| used.insert(entry.extent));
            copy.directory.layers.values().for_each(|entry| used.insert(entry.map));
        }
        used
    }

    /// What both copies of a view reach through their layers: indexes and the places of chunks. A map that does not
    /// verify reaches nothing, for nobody can read a chunk through it; its layer is named in the answer.
    pub fn content<D: BlockDevice>(device: &D, view: &StoreView) -> Result<(Self, Vec<LayerId>), D::Error> {
        Self::content_or(device, view, Err)
    }

    /// The same for who repairs: a map that the device cannot read is damaged too, and reaches nothing. Only who knows that
    /// the device will not read it again may ask for this: what the map reaches can be written over.
    pub fn readable_content<D: BlockDevice>(device: &D, view: &StoreView) -> (Self, Vec<LayerId>) {
        let found: Result<_, core::convert::Infallible> =
            Self::content_or(device, view, |_: D::Error| Ok(()));
        match found {
            Ok(found) => found,
            Err(never) => match never {},
        }
    }

    /// `unreadable` decides about a map that the device cannot read.
    fn content_or<D: BlockDevice, E>(
        device: &D,
        view: &StoreView,
        unreadable: impl Fn(D::Error) -> Result<(), E>,
    ) -> Result<(Self, Vec<LayerId>), E> {
        let mut used = Self::default();
        let mut damaged = Vec::new();
        let mut seen = BTreeSet::new();
        for copy in view.copies() {
            for entry in copy.directory.layers.values() {
                used.insert(entry.index);
                if !seen.insert((entry.map.offset, entry.map_hash)) {
                    continue;
                }
                match read_map(device, entry, copy.superblock.store_len()) {
                    Ok(map) => {
                        map.places.iter().flatten().filter_map(|place| place.extent()).for_each(|extent| {
                            used.insert(extent);
                        });
                    }
                    Err(error) => {
                        if let ReadError::Io(error) = error {
                            unreadable(error)?;
                        }
                        damaged.push(entry.id);
                    }
                }
            }
        }
        Ok((used, damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::UNIT;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_set_of_units(extents in proptest::collection::vec((0u64..40_000, 1u64..20_000), 0..30)) {
            let mut used = UsedMap::default();
            let mut units = BTreeSet::new();
            for (offset, len) in extents {
                let extent = Extent { offset, len };
                used.insert(extent);
                units.extend(offset / UNIT..(offset + len).div_ceil(UNIT));
                prop_assert!(used.covers(extent));
            }
            prop_assert_eq!(used.unit_count(), units.len() as u64);
            let mut last = None;
            for (start, end) in used.runs() {
                prop_assert!(start < end && last.is_none_or(|last| last < start), "runs neither touch nor overlap");
                prop_assert!((start..end).all(|unit| units.contains(&unit)));
                last = Some(end);
            }
        }
    }

    #[test]
    fn covers_only_what_was_marked() {
        let mut used = UsedMap::default();
        used.insert(Extent { offset: 2 * UNIT, len: UNIT });
        used.insert(Extent { offset: 4 * UNIT, len: 1 });
        assert!(used.covers(Extent { offset: 2 * UNIT + 5, len: 10 }));
        assert!(!used.covers(Extent { offset: 2 * UNIT, len: 3 * UNIT }), "unit 3 is free");
        assert!(!used.covers(Extent { offset: 0, len: 1 }));
        assert!(!used.covers(Extent { offset: 5 * UNIT, len: 1 }));
    }
}
