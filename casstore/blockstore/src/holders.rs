//! Who holds which units: what each holder takes, what it shares, and what would become free without it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::{Extent, UsedMap};

/// Units with the set of those that hold them, collected in one pass over the holders, one after the other.
///
/// Runs of units that the same holders hold are kept together, and each set of holders is kept once. So the memory
/// grows with how often the holders change along the store, not with its chunks.
#[derive(Debug, Clone, Default)]
pub struct Holders {
    /// First unit of a run to first unit behind it and its set. Runs do not overlap.
    runs: BTreeMap<u64, (u64, u32)>,
    /// Every set of holders, each sorted.
    sets: Vec<Vec<u32>>,
    /// The set that a set becomes by one more holder.
    with: BTreeMap<(Option<u32>, u32), u32>,
}

/// Units that a set of holders holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share<'a> {
    /// The holders, sorted.
    pub holders: &'a [u32],
    /// How many units.
    pub units: u64,
}

impl Holders {
    /// Adds everything that one holder holds. Each holder comes once, in rising order of its number.
    pub fn add(&mut self, holder: u32, used: &UsedMap) {
        for (start, end) in used.runs() {
            self.add_run(holder, start, end);
        }
    }

    /// Adds one extent that one holder holds.
    pub fn add_extent(&mut self, holder: u32, extent: Extent) {
        let mut used = UsedMap::default();
        used.insert(extent);
        self.add(holder, &used);
    }

    fn add_run(&mut self, holder: u32, mut start: u64, end: u64) {
        self.split(start);
        self.split(end);
        while start < end {
            let next = self.runs.range(start..end).next().map(|(&first, &(last, set))| (first, last, set));
            match next {
                Some((first, last, set)) if first == start => {
                    let set = self.set_with(Some(set), holder);
                    self.runs.insert(first, (last, set));
                    start = last;
                }
                gap => {
                    let behind = gap.map_or(end, |(first, ..)| first);
                    let set = self.set_with(None, holder);
                    self.runs.insert(start, (behind, set));
                    start = behind;
                }
            }
        }
    }

    /// Makes a run begin at `unit`, where one goes through it.
    fn split(&mut self, unit: u64) {
        let Some((&first, &(last, set))) = self.runs.range(..unit).next_back() else { return };
        if last > unit {
            self.runs.insert(first, (unit, set));
            self.runs.insert(unit, (last, set));
        }
    }

    fn set_with(&mut self, set: Option<u32>, holder: u32) -> u32 {
        let before = set.and_then(|set| self.sets.get(set as usize)).map_or(&[][..], Vec::as_slice);
        if let (Some(set), true) = (set, before.last() == Some(&holder)) {
            return set;
        }
        let mut holders = before.to_vec();
        let (sets, new) = (&mut self.sets, (set, holder));
        *self.with.entry(new).or_insert_with(|| {
            holders.push(holder);
            sets.push(holders);
            (sets.len() - 1) as u32
        })
    }

    /// What each set of holders holds together; no set twice.
    pub fn shares(&self) -> impl Iterator<Item = Share<'_>> {
        let mut units = alloc::vec![0u64; self.sets.len()];
        for (start, (end, set)) in &self.runs {
            if let Some(sum) = units.get_mut(*set as usize) {
                *sum += end - start;
            }
        }
        let shares = self.sets.iter().zip(units).map(|(holders, units)| Share { holders, units });
        shares.filter(|share| share.units > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::UNIT;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn used(runs: &[(u64, u64)]) -> UsedMap {
        let mut used = UsedMap::default();
        runs.iter().for_each(|(start, len)| used.insert(Extent { offset: start * UNIT, len: len * UNIT }));
        used
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_holders_for_each_unit(
            holders in proptest::collection::vec(proptest::collection::vec((0u64..60, 1u64..20), 0..6), 0..6),
        ) {
            let mut found = Holders::default();
            let mut units: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
            for (holder, runs) in (0u32..).zip(&holders) {
                found.add(holder, &used(runs));
                for unit in runs.iter().flat_map(|(start, len)| *start..start + len) {
                    units.entry(unit).or_default().insert(holder);
                }
            }
            let mut expected: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
            for set in units.values() {
                *expected.entry(set.iter().copied().collect()).or_default() += 1;
            }
            let shares: Vec<Share<'_>> = found.shares().collect();
            let seen: BTreeMap<Vec<u32>, u64> = shares.iter().map(|s| (s.holders.to_vec(), s.units)).collect();
            prop_assert_eq!(seen.len(), shares.len(), "a set came twice");
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_holder_may_be_added_in_parts_that_overlap() {
        let mut holders = Holders::default();
        holders.add_extent(1, Extent { offset: 0, len: 3 * UNIT });
        holders.add_extent(1, Extent { offset: 2 * UNIT, len: 2 * UNIT });
        holders.add_extent(2, Extent { offset: UNIT, len: UNIT });
        let shares: Vec<(Vec<u32>, u64)> = holders.shares().map(|s| (s.holders.to_vec(), s.units)).collect();
        assert_eq!(shares, [([1].to_vec(), 3), ([1, 2].to_vec(), 1)]);
    }
}
