//! Turns the frames that are missing into few HTTP ranges.
//!
//! Ranges whose gap is at most [`GAP`] are merged: measured, that halves the requests for 4 % more bytes. A request is
//! at most [`REQUEST`] bytes long, so that a lost connection loses little and several can run side by side.

use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of gap that are fetched rather than asked for separately.
pub const GAP: u64 = 32 * 1024;

/// Bytes after which a request ends at the next frame.
pub const REQUEST: u64 = 4 * 1024 * 1024;

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
    fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

/// One HTTP range and the pieces that lie in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Which of the given pieces it brings.
    pub pieces: Range<usize>,
}

/// Merges pieces, which must be sorted by offset, into requests.
pub fn merge(pieces: &[Piece]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match requests.last_mut() {
            Some(last)
                if piece.offset.saturating_sub(last.offset + last.length) <= GAP && last.length < REQUEST =>
            {
                last.length = last.length.max(piece.end() - last.offset);
                last.pieces.end = at + 1;
            }
            _ => requests.push(Request {
                offset: piece.offset,
                length: u64::from(piece.length),
                pieces: at..at + 1,
            }),
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(offset: u64, length: u32) -> Piece {
        Piece { offset, length, ordinal: 0 }
    }

    #[test]
    fn small_gaps_merge_and_large_do_not() {
        let requests = merge(&[piece(0, 10), piece(10 + GAP, 10), piece(21 + 2 * GAP, 10)]);
        assert_eq!(
            requests,
            [
                Request { offset: 0, length: GAP + 20, pieces: 0..2 },
                Request { offset: 21 + 2 * GAP, length: 10, pieces: 2..3 }
            ]
        );
    }

    #[test]
    fn long_runs_are_split() {
        let pieces: Vec<_> = (0..100).map(|i| piece(i * 100_000, 100_000)).collect();
        let requests = merge(&pieces);
        assert!(requests.len() >= 2 && requests.iter().all(|r| r.length <= REQUEST + 100_000));
    }

    proptest! {
        #[test]
        fn each_piece_lies_in_its_one_request(lengths in proptest::collection::vec((0u64..100_000, 1u32..1_000_000), 0..50)) {
            let mut at = 0;
            let pieces: Vec<_> = lengths.into_iter().map(|(gap, length)| {
                let piece = piece(at + gap, length);
                at = piece.end();
                piece
            }).collect();
            let mut next = 0;
            for request in merge(&pieces) {
                prop_assert_eq!(request.pieces.start, next);
                next = request.pieces.end;
                for piece in &pieces[request.pieces.clone()] {
                    prop_assert!(request.offset <= piece.offset && piece.end() <= request.offset + request.length);
                }
            }
            prop_assert_eq!(next, pieces.len());
        }
    }
}
