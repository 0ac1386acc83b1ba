//! Giving out space: what is not in use, first fit, packed into runs that begin on a fresh unit.

use alloc::collections::BTreeMap;
use core::ops::Range;

use crate::layout::{DATA_START, UNIT};
use crate::{Superblock, UsedMap};

/// The units for chunks and indexes. The rest, at the end, is the reserve.
pub const fn general_area(superblock: &Superblock) -> Range<u64> {
    DATA_START / UNIT..superblock.unit_count.saturating_sub(superblock.reserve_units)
}

/// The units that hold directories, records and maps only. So a store that is full can still flip and clean up, and a
/// promotion, which holds no writer lock, never meets the chunks of a download that goes on.
pub const fn reserve_area(superblock: &Superblock) -> Range<u64> {
    superblock.unit_count.saturating_sub(superblock.reserve_units)..superblock.unit_count
}

/// Free bytes of an area, given out once.
#[derive(Debug, Clone, Default)]
pub struct FreeSpace {
    /// First byte of a gap to first byte behind it; both on unit bounds.
    gaps: BTreeMap<u64, u64>,
    /// What is left of the gap that is being filled; its start may lie inside a unit.
    run: Range<u64>,
}

impl FreeSpace {
    /// What is free of `area` (in units) when everything in `used` is in use.
    pub fn new(area: Range<u64>, used: &[&UsedMap]) -> Self {
        let mut gaps = BTreeMap::new();
        if area.start < area.end {
            gaps.insert(area.start * UNIT, area.end.saturating_mul(UNIT));
        }
        let mut free = Self { gaps, run: 0..0 };
        for map in used {
            for (start, end) in map.runs() {
                free.cut(start * UNIT, end.saturating_mul(UNIT));
            }
        }
        free
    }

    fn cut(&mut self, start: u64, end: u64) {
        while let Some((&first, &last)) = self.gaps.range(..end).next_back() {
            if last <= start {
                break;
            }
            self.gaps.remove(&first);
            if last > end {
                self.gaps.insert(end, last);
            }
            if first < start {
                self.gaps.insert(first, start);
            }
        }
    }

    /// Takes `len` bytes that lie together, at a multiple of `align` (a power of two up to a unit): behind what was
    /// taken last when there is room, else at the start of the first gap that is large enough. `None`: no such gap.
    pub fn take(&mut self, len: u64, align: u64) -> Option<u64> {
        let fits = |range: &Range<u64>| {
            let start = range.start.next_multiple_of(align);
            (start.checked_add(len)? <= range.end).then_some(start)
        };
        if let Some(start) = fits(&self.run) {
            self.run.start = start + len;
            return Some(start);
        }
        self.seal();
        let (&start, &end) = self.gaps.iter().find(|(start, end)| **end - **start >= len)?;
        self.gaps.remove(&start);
        self.run = start + len..end;
        Some(start)
    }

    /// What is taken next begins on a fresh unit.
    pub fn seal(&mut self) {
        let start = self.run.start.next_multiple_of(UNIT);
        if start < self.run.end {
            self.gaps.insert(start, self.run.end);
        }
        self.run = 0..0;
    }

    /// Bytes that are left, in all gaps together.
    pub fn free_bytes(&self) -> u64 {
        self.gaps.iter().map(|(start, end)| end - start).sum::<u64>() + (self.run.end - self.run.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extent;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn used(units: &[u64]) -> UsedMap {
        let mut used = UsedMap::default();
        units.iter().for_each(|unit| used.insert(Extent { offset: unit * UNIT, len: 1 }));
        used
    }

    proptest! {
        #[test]
        fn takes_neither_what_is_used_nor_anything_twice(
            marked in proptest::collection::vec(0u64..100, 0..60),
            lens in proptest::collection::vec((1u64..30_000, any::<bool>()), 0..40),
        ) {
            let used = used(&marked);
            let mut free = FreeSpace::new(10..90, &[&used, &UsedMap::default()]);
            let units_free = (10..90).filter(|unit| !marked.contains(unit)).count() as u64;
            prop_assert_eq!(free.free_bytes(), units_free * UNIT);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (len, seal) in lens {
                let Some(start) = free.take(len, 8) else { continue };
                prop_assert_eq!(start % 8, 0);
                prop_assert!(start >= 10 * UNIT && start + len <= 90 * UNIT);
                prop_assert!(taken.iter().all(|(s, e)| start >= *e || start + len <= *s));
                prop_assert!(!(start / UNIT..(start + len).div_ceil(UNIT)).any(|unit| marked.contains(&unit)));
                taken.push((start, start + len));
                if seal {
                    free.seal();
                }
            }
        }
    }

    #[test]
    fn packs_until_sealed_and_then_begins_on_a_fresh_unit() {
        let mut free = FreeSpace::new(1..9, &[&used(&[3])]);
        assert_eq!(free.take(100, 1), Some(UNIT));
        assert_eq!(free.take(100, 1), Some(UNIT + 100));
        assert_eq!(free.take(1, 8), Some(UNIT + 200));
        free.seal();
        assert_eq!(free.take(1, 1), Some(2 * UNIT));
        assert_eq!(free.take(2 * UNIT, 1), Some(4 * UNIT), "does not fit before unit 3");
        assert_eq!(free.take(9 * UNIT, 1), None);
        assert_eq!(free.take(3 * UNIT, 1), Some(6 * UNIT), "a refusal loses nothing");
        assert_eq!(free.free_bytes(), 0);
    }
}
