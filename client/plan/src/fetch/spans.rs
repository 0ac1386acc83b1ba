//! Turns the frames that are missing into few HTTP ranges, or into all of the blob where that costs less.
//!
//! Ranges whose gap is at most [`Policy::gap`] are merged. When many remain, all bytes from the first missing frame to the last
//! may be cheaper than asking so often ([`Policy::request_cost`]). Either way a request ends at the next frame after
//! [`Policy::request`] bytes, so that a lost connection loses little and several can run side by side.

use alloc::vec::Vec;
use core::ops::Range;

use super::policy::Policy;

/// A frame that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the blob.
    pub offset: u64,
    /// Stored bytes.
    pub length: u32,
    /// Number of the chunk in its index.
    pub ordinal: u64,
}

impl Piece {
    /// Offset of the first byte behind it. [`check`] sees to it that there is one.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length as u64)
    }
}

/// One HTTP range and the pieces that lie in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Which of the given pieces it brings.
    pub pieces: Range<usize>,
}

/// Why a list of missing frames was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceError {
    /// A frame of no bytes, or of more than the policy's budget holds.
    Length,
    /// A frame that overlaps the one before it, or lies before it.
    Order,
    /// A frame that ends behind the blob.
    Outside,
}

impl core::fmt::Display for PieceError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Length => "a frame has no bytes, or more than fit into memory",
            Self::Order => "frames overlap or are not in order",
            Self::Outside => "a frame lies outside the blob",
        })
    }
}

impl core::error::Error for PieceError {}

/// Checks what [`spans`] relies on: pieces of at least one byte, in order, without overlap, inside a blob of `blob_len` bytes.
pub fn check(pieces: &[Piece], blob_len: u64, policy: &Policy) -> Result<(), PieceError> {
    let mut last = 0;
    for piece in pieces {
        let length = u64::from(piece.length);
        if length == 0 || length.saturating_add(Policy::FRAME_COST) > policy.budget {
            return Err(PieceError::Length);
        }
        if piece.offset < last {
            return Err(PieceError::Order);
        }
        last = piece.offset.checked_add(length).ok_or(PieceError::Outside)?;
        if last > blob_len {
            return Err(PieceError::Outside);
        }
    }
    Ok(())
}

/// The cheapest ranges that bring all pieces, which [`check`] has accepted.
pub fn spans(pieces: &[Piece], policy: &Policy) -> Vec<Span> {
    let ranges = merge(pieces, policy.gap, policy.request);
    let whole = merge(pieces, u64::MAX, policy.request);
    if cost(&whole, policy) < cost(&ranges, policy) { whole } else { ranges }
}

/// Bytes that the spans bring.
pub fn bytes(spans: &[Span]) -> u64 {
    spans.iter().fold(0, |sum, span| sum.saturating_add(span.length))
}

fn cost(spans: &[Span], policy: &Policy) -> u64 {
    bytes(spans).saturating_add((spans.len() as u64).saturating_mul(policy.request_cost))
}

/// Merges pieces over gaps of at most `gap` bytes into spans that end at the first frame after `request` bytes.
fn merge(pieces: &[Piece], gap: u64, request: u64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match spans.last_mut() {
            Some(last)
                if piece.offset.saturating_sub(last.offset.saturating_add(last.length)) <= gap
                    && last.length < request =>
            {
                last.length = last.length.max(piece.end().saturating_sub(last.offset));
                last.pieces.end = at + 1;
            }
            _ => {
                spans.push(Span { offset: piece.offset, length: u64::from(piece.length), pieces: at..at + 1 })
            }
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::super::policy::{GAP, REQUEST};
    use super::*;
    use proptest::prelude::*;

    fn piece(offset: u64, length: u32) -> Piece {
        Piece { offset, length, ordinal: 0 }
    }

    fn of(pieces: &[Piece]) -> Vec<Span> {
        spans(pieces, &Policy::default())
    }

    #[test]
    fn small_gaps_merge_and_large_do_not() {
        let far = 1 << 20;
        let spans = of(&[piece(0, 10), piece(10 + GAP, 10), piece(far, 10)]);
        assert_eq!(
            spans,
            [
                Span { offset: 0, length: GAP + 20, pieces: 0..2 },
                Span { offset: far, length: 10, pieces: 2..3 }
            ]
        );
    }

    #[test]
    fn long_runs_are_split() {
        let pieces: Vec<_> = (0..100).map(|i| piece(i * 100_000, 100_000)).collect();
        let spans = of(&pieces);
        assert!(spans.len() >= 2 && spans.iter().all(|span| span.length <= REQUEST + 100_000));
        assert_eq!(bytes(&spans), 10_000_000, "nothing twice");
    }

    #[test]
    fn many_tiny_ranges_become_all_of_the_blob() {
        // Gaps a little too long to be merged one by one.
        let pieces: Vec<_> = (0..50).map(|i| piece(i * (GAP + 2_000), 1_000)).collect();
        assert_eq!(of(&pieces).len(), 1);
        // Where the gaps are long, their bytes cost more than the requests.
        let pieces: Vec<_> = (0..50).map(|i| piece(i * 4 * GAP, 1_000)).collect();
        assert_eq!(of(&pieces).len(), 50);
    }

    #[test]
    fn lists_that_make_no_sense_are_refused() {
        let policy = Policy::default();
        for (what, pieces, expected) in [
            ("an empty frame", [piece(0, 0), piece(1, 1)], Err(PieceError::Length)),
            ("too large for the budget", [piece(0, 8 << 20), piece(8 << 20, 1)], Err(PieceError::Length)),
            ("overlap", [piece(0, 10), piece(9, 1)], Err(PieceError::Order)),
            ("backwards", [piece(10, 10), piece(0, 1)], Err(PieceError::Order)),
            ("outside", [piece(0, 10), piece(1 << 30, 1)], Err(PieceError::Outside)),
            ("past the end of numbers", [piece(0, 10), piece(u64::MAX, 1)], Err(PieceError::Outside)),
            ("side by side", [piece(0, 10), piece(10, 1)], Ok(())),
        ] {
            assert_eq!(check(&pieces, 1 << 30, &policy), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn each_piece_lies_in_its_one_span(lengths in proptest::collection::vec((0u64..100_000, 1u32..1_000_000), 0..50)) {
            let mut at = 0;
            let pieces: Vec<_> = lengths.into_iter().map(|(gap, length)| {
                let piece = piece(at + gap, length);
                at = piece.end();
                piece
            }).collect();
            prop_assert_eq!(check(&pieces, at, &Policy::default()), Ok(()));
            let mut next = 0;
            for span in of(&pieces) {
                prop_assert_eq!(span.pieces.start, next);
                next = span.pieces.end;
                for piece in &pieces[span.pieces.clone()] {
                    prop_assert!(span.offset <= piece.offset && piece.end() <= span.offset + span.length);
                }
            }
            prop_assert_eq!(next, pieces.len());
        }
    }
}
