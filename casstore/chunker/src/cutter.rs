//! The incremental cutter: FastCDC 2020 over runs, in bounded memory.

use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::rule::{Run, Sizes};

/// Bytes held at most: room for one longest chunk, and as much again so that bytes are seldom moved.
const BUFFER: usize = 2 << 20;

/// Cuts a stream, given as runs, into chunks.
///
/// Chunks are handed to a sink in stream order; they are never empty. An error of the sink stops the step and is returned
/// as it is; the cutter is then of no further use.
///
/// ```
/// use plyos_chunker::{Cutter, Run};
/// let mut lengths = Vec::new();
/// let mut sink = |chunk: &[u8]| -> Result<(), std::convert::Infallible> { Ok(lengths.push(chunk.len())) };
/// let mut cutter = Cutter::new();
/// cutter.begin(Run::Small, &mut sink)?;
/// cutter.feed(b"header", &mut sink)?;
/// cutter.begin(Run::File, &mut sink)?;
/// cutter.feed(&[7; 300_000], &mut sink)?;
/// cutter.finish(&mut sink)?;
/// assert_eq!(lengths, [6, 262_144, 37_856]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Debug)]
pub struct Cutter {
    buffer: Vec<u8>,
    /// How many bytes of the buffer are cut off already.
    taken: usize,
    rule: Rule,
}

/// The sizes and masks of one kind of run, ready for the cut function.
#[derive(Debug, Clone, Copy)]
struct Rule {
    sizes: Sizes,
    strict: u64,
    relaxed: u64,
}

impl Rule {
    fn of(run: Run) -> Self {
        let sizes = run.sizes();
        let (strict, relaxed) = select_masks(sizes.average, Normalization::Level1);
        Self { sizes, strict, relaxed }
    }

    /// Length of the first chunk of `bytes`: right when they are the rest of the run, or at least the maximum.
    fn first(&self, bytes: &[u8]) -> usize {
        let Sizes { minimum, average, maximum } = self.sizes;
        let (strict, relaxed) = (self.strict, self.relaxed);
        cut(bytes, minimum, average, maximum, strict, relaxed, strict << 1, relaxed << 1).1
    }
}

impl Default for Cutter {
    fn default() -> Self {
        Self::new()
    }
}

impl Cutter {
    /// A cutter at the start of a stream, in a [`Run::Small`].
    pub fn new() -> Self {
        Self { buffer: Vec::with_capacity(BUFFER), taken: 0, rule: Rule::of(Run::Small) }
    }

    /// Ends the run that is open and begins another, also when it is of the same kind. A run without bytes gives no chunk.
    pub fn begin<E>(&mut self, run: Run, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.end_run(sink)?;
        self.rule = Rule::of(run);
        Ok(())
    }

    /// Appends bytes to the open run and hands out the chunks that are certain.
    pub fn feed<E>(
        &mut self,
        mut bytes: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.taken == self.buffer.len() {
                // Nothing is held: cut where the bytes lie, without a copy.
                self.buffer.clear();
                self.taken = 0;
                while bytes.len() >= self.rule.sizes.maximum {
                    let (chunk, rest) = bytes.split_at(self.rule.first(bytes).clamp(1, bytes.len()));
                    sink(chunk)?;
                    bytes = rest;
                }
            }
            if self.buffer.len() == BUFFER {
                self.buffer.drain(..self.taken);
                self.taken = 0;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            // With the maximum at hand, bytes to come cannot change the cut.
            self.cut_while(self.rule.sizes.maximum, sink)?;
        }
        Ok(())
    }

    /// Ends the last run: hands out what is left.
    pub fn finish<E>(mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.end_run(sink)
    }

    fn end_run<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.cut_while(1, sink)?;
        self.buffer.clear();
        self.taken = 0;
        Ok(())
    }

    /// Cuts chunks off as long as at least `needed` bytes are at hand.
    fn cut_while<E>(
        &mut self,
        needed: usize,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(rest) = self.buffer.get(self.taken..)
            && rest.len() >= needed
        {
            let (chunk, _) = rest.split_at(self.rule.first(rest).clamp(1, rest.len()));
            sink(chunk)?;
            self.taken += chunk.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use fastcdc::v2020::FastCDC;
    use proptest::prelude::*;

    use super::*;

    /// SplitMix64: bytes that are the same on every machine.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed;
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            out.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        out.truncate(len);
        out
    }

    /// Chunk lengths of runs that arrive in pieces of the given sizes (used in turn).
    fn lengths(runs: &[(Run, &[u8])], pieces: &[usize]) -> Vec<usize> {
        let mut out = Vec::new();
        let mut whole = Vec::new();
        let mut sink = |chunk: &[u8]| -> Result<(), Infallible> {
            out.push(chunk.len());
            whole.extend_from_slice(chunk);
            Ok(())
        };
        let mut cutter = Cutter::new();
        let mut sizes = pieces.iter().cycle();
        for &(run, mut bytes) in runs {
            cutter.begin(run, &mut sink).unwrap();
            while !bytes.is_empty() {
                let (now, later) = bytes.split_at(bytes.len().min(*sizes.next().unwrap()));
                cutter.feed(now, &mut sink).unwrap();
                bytes = later;
                assert!(cutter.buffer.capacity() <= BUFFER, "memory is bounded");
            }
        }
        cutter.finish(&mut sink).unwrap();
        assert_eq!(whole, runs.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect::<Vec<_>>());
        out
    }

    /// The crate's own iterator over a whole run: the oracle.
    fn oracle(run: Run, bytes: &[u8]) -> Vec<usize> {
        let Sizes { minimum, average, maximum } = run.sizes();
        FastCDC::new(bytes, minimum, average, maximum).map(|chunk| chunk.length).collect()
    }

    /// Pins cut rule 1. If this fails, the cuts of every published layer have changed: that is a new cut rule.
    #[test]
    fn cut_points_are_frozen() {
        let bytes = noise(1, 4 << 20);
        assert_eq!(
            lengths(&[(Run::File, &bytes[..1 << 20])], &[99_991]),
            [
                28_128, 87_550, 64_925, 67_788, 30_364, 38_273, 50_371, 101_085, 100_168, 79_822, 94_750,
                68_129, 37_731, 77_250, 65_957, 56_285
            ]
        );
        assert_eq!(
            lengths(&[(Run::Small, &bytes)], &[99_991]),
            [
                278_755, 88_644, 296_107, 404_445, 750_279, 308_596, 612_881, 284_656, 279_012, 442_646,
                245_891, 196_426, 5_966
            ]
        );
    }

    #[test]
    fn content_without_cuts_is_cut_at_the_maximum() {
        let zeroes = vec![0; 600_000];
        assert_eq!(lengths(&[(Run::File, &zeroes)], &[4096]), [262_144, 262_144, 75_712]);
        assert_eq!(lengths(&[(Run::Small, &zeroes)], &[4096]), [600_000]);
    }

    #[test]
    fn run_boundaries_are_cuts_and_empty_runs_give_no_chunk() {
        let bytes = noise(2, 100);
        let runs = [(Run::Small, &bytes[..60]), (Run::File, &bytes[..0]), (Run::Small, &bytes[60..])];
        assert_eq!(lengths(&runs, &[7]), [60, 40]);
        assert_eq!(lengths(&[(Run::Small, &[])], &[1]), []);
    }

    #[test]
    fn a_run_is_cut_as_if_it_stood_alone() {
        let (first, second) = (noise(3, 700_001), noise(4, 3_000_001));
        let runs: [(Run, &[u8]); 3] = [(Run::Small, &first), (Run::File, &second), (Run::Small, &second)];
        let expected = [oracle(Run::Small, &first), oracle(Run::File, &second), oracle(Run::Small, &second)];
        assert_eq!(lengths(&runs, &[1_000_003]), expected.concat());
    }

    #[test]
    fn an_insertion_moves_cuts_only_near_it() {
        let before = noise(5, 2 << 20);
        let mut after = before.clone();
        after.splice(1_000_000..1_000_000, *b"inserted");
        let (old, new) = (oracle(Run::File, &before), lengths(&[(Run::File, &after)], &[50_000]));
        assert_ne!(old, new);
        assert_eq!(old.last(), new.last());
        assert_eq!(old.first(), new.first());
    }

    #[test]
    fn an_error_of_the_sink_is_returned() {
        let mut cutter = Cutter::new();
        let mut full = |_: &[u8]| Err("full");
        cutter.feed(b"bytes", &mut |_: &[u8]| Ok::<(), &str>(())).unwrap();
        assert_eq!(cutter.finish(&mut full), Err("full"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_do_not_matter(
            seed in any::<u64>(),
            len in 0usize..3_000_000,
            pieces in prop::collection::vec(1usize..800_000, 1..6),
            large in any::<bool>(),
        ) {
            let bytes = noise(seed, len);
            let run = if large { Run::File } else { Run::Small };
            prop_assert_eq!(lengths(&[(run, &bytes)], &pieces), oracle(run, &bytes));
        }
    }
}
