//! One request: which pieces are still to come by it, where its body stands, and the frame that is half there.

use alloc::vec::Vec;
use core::ops::Range;

use super::spans::{Piece, Span};

/// What has become of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not all of its bytes are there.
    Missing,
    /// Given out, to be verified and stored.
    Out,
    /// In the store.
    Stored,
}

/// A request under way. It keeps its place among those that run side by side from its first asking to its last answer, so
/// that what it holds of the budget is always freed again.
#[derive(Debug)]
pub(super) struct Lane {
    /// Which blob.
    pub blob: usize,
    /// The first piece that may be missing.
    pub next: usize,
    /// Behind the last one.
    pub end: usize,
    /// Whether it has taken over all of the blob, because the server ignores ranges.
    pub stream: bool,
    /// The bytes that are there of piece `next`. The budget is charged with all of that piece.
    pub partial: Option<Vec<u8>>,
    /// Offset in the blob that was asked for, and behind its last byte.
    pub asked: (u64, u64),
    /// Offset in the blob of the body's next byte; `None` until a head was accepted.
    pub at: Option<u64>,
    /// Behind the last byte that the body promises.
    pub body_end: u64,
    /// Faults since a frame came whole.
    pub faults: u32,
}

impl Lane {
    /// Steps over pieces that are there. `None`: all of them are.
    pub fn current<'a>(&mut self, pieces: &'a [Piece], states: &[State]) -> Option<&'a Piece> {
        while self.next < self.end && states.get(self.next) != Some(&State::Missing) {
            self.next += 1;
        }
        if self.next < self.end { pieces.get(self.next) } else { None }
    }

    /// Bytes that are there of the current piece.
    pub fn have(&self) -> u64 {
        self.partial.as_ref().map_or(0, |partial| partial.len() as u64)
    }
}

/// The runs of neighbouring pieces in a span over `missing`: between two runs lies a piece that is there already, whose bytes
/// are not asked for again.
pub(super) fn runs(span: &Span, missing: &[(usize, Piece)]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in missing.get(span.pieces.clone()).unwrap_or_default() {
        match runs.last_mut() {
            Some(last) if last.end == *at => last.end += 1,
            _ => runs.push(*at..*at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_leave_out_what_is_there() {
        let missing: Vec<(usize, Piece)> =
            [3, 4, 6, 7].map(|at| (at, Piece { offset: at as u64 * 10, length: 10, ordinal: 0 })).to_vec();
        let span = |pieces| Span { offset: 0, length: 0, pieces };
        assert_eq!(runs(&span(0..4), &missing), [3..5, 6..8]);
        assert_eq!(runs(&span(1..3), &missing), [4..5, 6..7]);
    }
}
