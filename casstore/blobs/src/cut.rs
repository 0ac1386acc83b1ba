//! Where a blob is cut into pieces for deduplication: piece rule 1.
//!
//! Two versions of a blob share pieces if both are cut at the same content, wherever it lies. A layer is a sequence of
//! zstd frames, one for each chunk, and equal chunks are equal frames: so a frame of [`LONG_FRAME`] bytes or more is a *run* of its
//! own, and the shorter ones between two such form one run together. Everything else is one run: blobs of other
//! compression, and what follows where the frames stop. Each run is then cut by FastCDC (16/64/256 KiB), so that
//! long frames are cut, short ones are gathered, and the cuts of different versions fall in step again within a run.
//!
//! Cuts depend on the bytes alone, not on how they arrive, and a [`PieceCutter`] holds a few megabytes at most.

use plyos_chunker::{Cutter, Run, Sizes};

use crate::frames::{Frames, Step};

/// The number of these rules, kept with each list of pieces. Other cuts are another number.
pub(crate) const PIECE_RULE: u8 = 1;
/// Least bytes of a frame that is cut on its own. Below the least piece, more cuts would cost more than they save.
const LONG_FRAME: usize = SIZES.minimum;
/// The sizes of pieces; at the end of a run a piece may be shorter.
pub(crate) const SIZES: Sizes = Run::File.sizes();

/// Cuts a blob, given in whatever portions it arrives, into pieces.
///
/// Pieces are handed to a sink in order; they are never empty and never longer than 256 KiB. An error of the sink is
/// returned as it is; the cutter is then of no further use.
#[derive(Debug)]
pub struct PieceCutter {
    /// `None` once the blob turned out not to be zstd frames.
    frames: Option<Frames>,
    /// The frame at hand, until it is long.
    short: Vec<u8>,
    /// Whether the frame at hand is long, and so a run.
    long: bool,
    cutter: Cutter,
    begun: bool,
}

impl Default for PieceCutter {
    fn default() -> Self {
        Self::new()
    }
}

impl PieceCutter {
    /// A cutter at the start of a blob.
    pub fn new() -> Self {
        let frames = Some(Frames::new());
        Self { frames, short: Vec::new(), long: false, cutter: Cutter::new(), begun: false }
    }

    /// Appends bytes and hands out the pieces that are certain.
    pub fn feed<E>(
        &mut self,
        mut bytes: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.begun {
            self.begun = true;
            self.cutter.begin(Run::File, sink)?;
        }
        while !bytes.is_empty() {
            let Some(frames) = &mut self.frames else { return self.cutter.feed(bytes, sink) };
            let step = frames.step(bytes);
            let taken = match step {
                Step::Inside => bytes.len(),
                Step::End(taken) | Step::Lost(taken) => taken,
            };
            let (head, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
            self.add(head, sink)?;
            match step {
                Step::Inside => {}
                Step::End(_) => self.end_frame(sink)?,
                Step::Lost(_) => {
                    self.frames = None;
                    self.give_short(sink)?;
                }
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Ends the blob: hands out what is left.
    pub fn finish<E>(mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.give_short(sink)?;
        self.cutter.finish(sink)
    }

    /// Adds bytes of the frame at hand, which becomes a run when it has grown long.
    fn add<E>(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.long {
            if self.short.len() + bytes.len() < LONG_FRAME {
                self.short.extend_from_slice(bytes);
                return Ok(());
            }
            self.long = true;
            self.cutter.begin(Run::File, sink)?;
            self.give_short(sink)?;
        }
        self.cutter.feed(bytes, sink)
    }

    fn end_frame<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if std::mem::take(&mut self.long) {
            return self.cutter.begin(Run::File, sink);
        }
        self.give_short(sink)
    }

    fn give_short<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let short = std::mem::take(&mut self.short);
        self.cutter.feed(&short, sink)?;
        // Kept, so that one blob takes one allocation.
        self.short = short;
        self.short.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            out.extend_from_slice(&state.to_le_bytes());
        }
        out.truncate(len);
        out
    }

    fn frames(contents: &[Vec<u8>]) -> Vec<u8> {
        contents.iter().flat_map(|content| zstd::encode_all(&content[..], 1).unwrap()).collect()
    }

    fn cut(blob: &[u8], portions: &[usize]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        let mut sink = |piece: &[u8]| -> Result<(), Infallible> {
            assert!(!piece.is_empty() && piece.len() <= SIZES.maximum);
            pieces.push(piece.to_vec());
            Ok(())
        };
        let (mut cutter, mut rest) = (PieceCutter::new(), blob);
        for size in portions.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*size));
            cutter.feed(now, &mut sink).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        cutter.finish(&mut sink).unwrap();
        assert_eq!(pieces.concat(), blob);
        pieces
    }

    /// Bytes of `after` that are not in a piece of `before`.
    fn missing(before: &[u8], after: &[u8]) -> usize {
        let known: HashSet<Vec<u8>> = cut(before, &[1 << 20]).into_iter().collect();
        cut(after, &[1 << 20]).iter().filter(|piece| !known.contains(*piece)).map(Vec::len).sum()
    }

    #[test]
    fn a_long_frame_is_a_piece_and_short_ones_are_gathered() {
        let sizes = [100, 40_000, 100, 20_000, 5_000, 5_000, 5_000, 5_000, 30_000, 700_000, 50];
        let contents: Vec<_> = sizes.iter().enumerate().map(|(i, len)| noise(i as u64 + 1, *len)).collect();
        let blob = frames(&contents);
        let length = |i: usize| frames(&contents[i..=i]).len();
        let lengths: Vec<usize> = cut(&blob, &[4096]).iter().map(Vec::len).collect();
        let gathered: usize = (4..8).map(length).sum();
        assert_eq!(lengths[..6], [length(0), length(1), length(2), length(3), gathered, length(8)]);
        assert!(lengths.len() > 9, "the frame of 700,000 bytes is cut: {lengths:?}");
        assert_eq!(*lengths.last().unwrap(), length(10));
    }

    #[test]
    fn a_changed_frame_costs_itself() {
        let mut contents: Vec<_> = (1..80).map(|i| noise(i, 20_000 + 900 * i as usize)).collect();
        let before = frames(&contents);
        contents[20] = noise(999, 31_000);
        contents.insert(50, noise(998, 25_000));
        let after = frames(&contents);
        let new = frames(&contents[20..=20]).len() + frames(&contents[50..=50]).len();
        assert_eq!(missing(&before, &after), new);
    }

    /// Gathering by count would never fall in step again here.
    #[test]
    fn short_frames_fall_in_step_again() {
        let mut contents: Vec<_> = (1..4000).map(|i| noise(i, 1_000)).collect();
        let before = frames(&contents);
        contents.insert(10, noise(99_999, 1_000));
        let after = frames(&contents);
        assert!(missing(&before, &after) < 600_000, "{} of {}", missing(&before, &after), after.len());
    }

    #[test]
    fn any_other_blob_is_cut_by_content() {
        let mut before = noise(5, 4 << 20);
        before[..4].copy_from_slice(b"\x1f\x8b\x08\x00");
        let mut after = before.clone();
        after.splice(2_000_000..2_000_000, *b"inserted");
        assert!(missing(&before, &after) < 600_000);
        // Frames, and then something else.
        let tail = [frames(&[noise(1, 50_000)]), before].concat();
        assert!(cut(&tail, &[1 << 20]).len() > 20);
        assert!(cut(b"", &[1]).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn portions_do_not_matter(
            lens in prop::collection::vec(0usize..60_000, 0..20),
            at in any::<prop::sample::Index>(),
            damage in any::<u8>(),
            portions in prop::collection::vec(1usize..90_000, 1..6),
        ) {
            let mut blob = frames(&lens.iter().map(|len| noise(*len as u64, *len)).collect::<Vec<_>>());
            if !blob.is_empty() {
                let at = at.index(blob.len());
                blob[at] ^= damage;
            }
            prop_assert_eq!(cut(&blob, &portions), cut(&blob, &[usize::MAX >> 1]));
        }
    }
}
