//! How many bytes of the storage some blobs need together: the union of what their recipes point at.
//!
//! Pure arithmetic on spans. A blob that lies inside its recipe counts as one span of its own.

use std::collections::BTreeMap;

use plyos_blobs::{DataId, Digest, Recipe};

/// Where bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Data(DataId),
    /// In the recipe of this blob.
    Recipe(Digest),
}

/// Bytes of the storage, each counted once.
#[derive(Clone, Debug, Default)]
pub(super) struct Footprint {
    /// For each place, ends of disjoint spans by their starts.
    spans: BTreeMap<Place, BTreeMap<u64, u64>>,
    bytes: u64,
}

impl Footprint {
    /// How many bytes these are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds what a blob needs; returns how many of these bytes were not here before.
    pub(super) fn add(&mut self, digest: &Digest, recipe: &Recipe) -> u64 {
        if recipe.extents().is_empty() {
            return self.add_span(Place::Recipe(*digest), 0, recipe.size());
        }
        let spans = recipe.extents().iter();
        spans
            .map(|extent| {
                self.add_span(Place::Data(extent.data), extent.offset, extent.offset + extent.length)
            })
            .sum()
    }

    fn add_span(&mut self, place: Place, start: u64, end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        let spans = self.spans.entry(place).or_default();
        let (mut first, mut last, mut known) = (start, end, 0);
        // All that touch the new one melt into it. The one that begins before it comes last in this order.
        while let Some((&from, &to)) = spans.range(..=last).next_back().filter(|(_, to)| **to >= first) {
            spans.remove(&from);
            known += to.min(end).saturating_sub(from.max(start));
            (first, last) = (first.min(from), last.max(to));
        }
        spans.insert(first, last);
        let new = end - start - known;
        self.bytes += new;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use plyos_blobs::Extent;

    fn recipe(parts: &[(u8, u64, u64)]) -> Recipe {
        let extent = |&(data, offset, length): &(u8, u64, u64)| Extent {
            data: DataId::from_bytes([data; 16]),
            offset,
            length,
        };
        Recipe::of_extents(parts.iter().map(extent)).unwrap()
    }

    #[test]
    fn what_overlaps_counts_once() {
        let digest = Digest::of(b"any");
        let mut all = Footprint::default();
        for (parts, new) in [
            (&[(1, 10, 10)][..], 10),
            (&[(1, 10, 10)], 0),
            (&[(1, 12, 3)], 0),
            (&[(2, 10, 10)], 10),
            (&[(1, 0, 5), (1, 30, 5)], 10),
            (&[(1, 0, 40)], 20),
            (&[(1, 35, 10)], 5),
            (&[(1, 45, 5)], 5),
        ] {
            assert_eq!(all.add(&digest, &recipe(parts)), new, "{parts:?}");
        }
        assert_eq!(all.bytes(), 60);
    }

    #[test]
    fn spans_agree_with_a_bitmap() {
        // Every span of a small place, in an order that mixes them.
        let mut state = 1u64;
        for _ in 0..200 {
            let (mut all, mut bitmap) = (Footprint::default(), [false; 64]);
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (start, length) = ((state >> 33) % 60, (state >> 50) % 8 + 1);
                let end = (start + length).min(64);
                let new =
                    (start..end).filter(|at| !std::mem::replace(&mut bitmap[*at as usize], true)).count();
                assert_eq!(all.add_span(Place::Data(DataId::from_bytes([1; 16])), start, end), new as u64);
            }
            assert_eq!(all.bytes(), bitmap.iter().filter(|set| **set).count() as u64);
        }
    }

    #[test]
    fn small_blobs_are_told_apart_by_their_digests() {
        let small = Recipe::inline(Bytes::from_static(b"small")).unwrap();
        let mut all = Footprint::default();
        assert_eq!(all.add(&Digest::of(b"a"), &small), 5);
        assert_eq!(all.add(&Digest::of(b"a"), &small), 0);
        assert_eq!(all.add(&Digest::of(b"b"), &small), 5);
    }
}
