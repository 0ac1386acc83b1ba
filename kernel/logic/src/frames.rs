//! Which frames of physical memory are free: one bit each.
//!
//! Bookkeeping only: frames are numbers here (address divided by [`FRAME_SIZE`]), and the bits lie where the machine puts
//! them. Runs are found first fit, from the lowest frame up.

use core::ops::Range;

/// Bytes of a frame.
pub const FRAME_SIZE: u64 = 4096;

/// Free frames of the memory below `bits.len() * 64` frames.
#[derive(Debug)]
pub struct Frames<'a> {
    /// One bit for each frame; set: free.
    bits: &'a mut [u64],
    total: u64,
    free: u64,
    /// No frame below this one is free.
    hint: u64,
}

/// A run was given back that is not wholly in use: a defect of who gave it back. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("frames {0:?} were given back and are not all in use")]
pub struct NotInUse(pub Range<u64>);

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Frames that were ever handed to the allocator.
    pub total: u64,
    /// Of those, free ones.
    pub free: u64,
}

impl<'a> Frames<'a> {
    /// Words that [`Frames::new`] needs for memory that ends before frame number `end`.
    pub const fn words(end: u64) -> u64 {
        end.div_ceil(64)
    }

    /// No frame is free; [`Frames::add`] brings them in.
    pub fn new(bits: &'a mut [u64]) -> Self {
        bits.fill(0);
        let hint = bits.len() as u64 * 64;
        Self { bits, total: 0, free: 0, hint }
    }

    /// Hands frames to the allocator: as many of the range as it has bits for and does not have yet.
    pub fn add(&mut self, range: Range<u64>) {
        let end = range.end.min(self.bits.len() as u64 * 64);
        for (word, mask) in words(range.start..end) {
            let Some(bits) = self.bits.get_mut(word) else { continue };
            let new = u64::from((mask & !*bits).count_ones());
            *bits |= mask;
            self.total += new;
            self.free += new;
        }
        self.hint = self.hint.min(range.start);
    }

    /// How much there is.
    pub const fn counts(&self) -> FrameCounts {
        FrameCounts { total: self.total, free: self.free }
    }

    /// Takes `count` frames that follow each other, the first one a multiple of `align`, which is a power of two; gives
    /// the number of the first.
    pub fn take(&mut self, count: u64, align: u64) -> Option<u64> {
        let end = self.bits.len() as u64 * 64;
        let mut first = self.next_free(self.hint)?;
        self.hint = first;
        if count == 0 || !align.is_power_of_two() {
            return None;
        }
        loop {
            first = first.checked_next_multiple_of(align)?;
            let after = first.checked_add(count).filter(|after| *after <= end)?;
            match self.last_used(first..after) {
                None => break,
                Some(used) => first = self.next_free(used + 1)?,
            }
        }
        for (word, mask) in words(first..first + count) {
            let Some(bits) = self.bits.get_mut(word) else { continue };
            *bits &= !mask;
        }
        self.free -= count;
        Some(first)
    }

    /// Gives frames back.
    ///
    /// # Errors
    /// When one of them is free already or beyond the memory.
    pub fn give_back(&mut self, range: Range<u64>) -> Result<(), NotInUse> {
        let end = self.bits.len() as u64 * 64;
        let is_free = |(word, mask): (usize, u64)| self.bits.get(word).is_none_or(|bits| bits & mask != 0);
        if range.end > end || words(range.clone()).any(is_free) {
            return Err(NotInUse(range));
        }
        for (word, mask) in words(range.clone()) {
            let Some(bits) = self.bits.get_mut(word) else { continue };
            *bits |= mask;
            self.free += u64::from(mask.count_ones());
        }
        self.hint = self.hint.min(range.start);
        Ok(())
    }

    /// The last frame of a range that is not free.
    fn last_used(&self, range: Range<u64>) -> Option<u64> {
        words(range).rev().find_map(|(word, mask)| {
            let used = mask & !self.bits.get(word).copied().unwrap_or_default();
            (used != 0).then(|| word as u64 * 64 + u64::from(used.ilog2()))
        })
    }

    /// The first free frame from `from` on.
    fn next_free(&self, from: u64) -> Option<u64> {
        let mut word = from / 64;
        let mut mask = u64::MAX << (from % 64);
        loop {
            let found = self.bits.get(word as usize)? & mask;
            if found != 0 {
                return Some(word * 64 + u64::from(found.trailing_zeros()));
            }
            mask = u64::MAX;
            word += 1;
        }
    }
}

/// The words that a range of frames lies in, each with the bits of the range.
fn words(range: Range<u64>) -> impl DoubleEndedIterator<Item = (usize, u64)> {
    let (first, end) = (range.start / 64, range.end.max(range.start).div_ceil(64));
    (first..end).map(move |word| {
        let from = range.start.saturating_sub(word * 64);
        let beyond = (word + 1) * 64;
        let cut = beyond.saturating_sub(range.end);
        let mask = if from + cut >= 64 { 0 } else { (u64::MAX << from) & (u64::MAX >> cut) };
        (word as usize, mask)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn runs_come_from_the_lowest_gap_that_is_large_enough_and_aligned() {
        let mut bits = vec![0; 4];
        let mut frames = Frames::new(&mut bits);
        frames.add(3..20);
        frames.add(64..200);
        assert_eq!(frames.counts(), FrameCounts { total: 153, free: 153 });
        assert_eq!(frames.take(1, 1), Some(3));
        assert_eq!(frames.take(1, 8), Some(8));
        assert_eq!(frames.take(20, 1), Some(64));
        assert_eq!(frames.take(5, 1), Some(9));
        assert_eq!(frames.take(200, 1), None);
        frames.give_back(3..4).unwrap();
        assert_eq!(frames.take(1, 1), Some(3));
        assert_eq!(frames.take(0, 1), None);
    }

    #[test]
    fn what_is_given_back_twice_is_refused() {
        let mut bits = vec![0; 1];
        let mut frames = Frames::new(&mut bits);
        frames.add(0..64);
        assert_eq!(frames.take(4, 1), Some(0));
        frames.give_back(0..2).unwrap();
        assert_eq!(frames.give_back(1..3), Err(NotInUse(1..3)));
        assert_eq!(frames.give_back(63..65), Err(NotInUse(63..65)));
        frames.give_back(2..4).unwrap();
        assert_eq!(frames.counts().free, 64);
    }

    proptest! {
        #[test]
        fn no_frame_is_ever_given_out_twice(
            gaps in proptest::collection::vec((0u64..300, 1u64..40), 1..6),
            steps in proptest::collection::vec((1u64..9, 0u32..4, any::<bool>(), any::<prop::sample::Index>()), 0..60),
        ) {
            let mut bits = vec![0; 5];
            let mut frames = Frames::new(&mut bits);
            let mut known = [false; 320];
            for (start, length) in gaps {
                frames.add(start..start + length);
                (start..(start + length).min(320)).for_each(|frame| known[frame as usize] = true);
            }
            let total = known.iter().filter(|known| **known).count() as u64;
            let mut held: Vec<Range<u64>> = Vec::new();
            for (count, align, give, which) in steps {
                if give && !held.is_empty() {
                    let range = held.swap_remove(which.index(held.len()));
                    frames.give_back(range).unwrap();
                } else if let Some(first) = frames.take(count, 1 << align) {
                    prop_assert_eq!(first % (1 << align), 0);
                    let range = first..first + count;
                    for frame in range.clone() {
                        prop_assert!(known[frame as usize]);
                        prop_assert!(!held.iter().any(|other| other.contains(&frame)));
                    }
                    held.push(range);
                }
                let used: u64 = held.iter().map(|range| range.end - range.start).sum();
                prop_assert_eq!(frames.counts(), FrameCounts { total, free: total - used });
            }
        }
    }
}
