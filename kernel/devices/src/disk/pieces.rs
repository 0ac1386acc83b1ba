//! How a range of bytes becomes requests: whole sectors, none larger than [`PIECE`].

/// The smallest unit of a virtio disk, in bytes, whatever its blocks are. From the specification (5.2.4).
pub const SECTOR: u64 = 512;

/// Bytes of the largest request. A request costs the same whatever its size, about 100 us where it was measured; below
/// 128 KiB that is most of the time, above it memory for buffers is all that grows.
pub const PIECE: usize = 128 * 1024;

/// One request's share of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First sector.
    pub sector: u64,
    /// Bytes of the request: whole sectors.
    pub length: usize,
    /// Bytes of the request before the range begins.
    pub skip: usize,
    /// Bytes of the range in this request.
    pub take: usize,
    /// Where those lie in the range.
    pub to: usize,
}

/// The pieces of a range, in order.
#[derive(Debug, Clone)]
pub struct Pieces {
    at: u64,
    left: usize,
    done: usize,
}

impl Pieces {
    /// Of `length` bytes from byte `at`. The caller has checked that the range does not end beyond `u64::MAX - SECTOR`.
    pub fn of(at: u64, length: usize) -> Self {
        Self { at, left: length, done: 0 }
    }

    /// The next piece, which stays the next one.
    pub fn first(&self) -> Option<Piece> {
        if self.left == 0 {
            return None;
        }
        let skip = usize::try_from(self.at % SECTOR).ok()?;
        let take = self.left.min(PIECE - skip);
        let length = (skip + take).next_multiple_of(usize::try_from(SECTOR).ok()?);
        Some(Piece { sector: self.at / SECTOR, length, skip, take, to: self.done })
    }

    /// Passes over `piece`, which [`Pieces::first`] gave.
    pub fn pass(&mut self, piece: &Piece) {
        self.at = self.at.saturating_add(piece.take as u64);
        self.left = self.left.saturating_sub(piece.take);
        self.done = self.done.saturating_add(piece.take);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn all(at: u64, length: usize) -> Vec<Piece> {
        let (mut pieces, mut found) = (Pieces::of(at, length), Vec::new());
        while let Some(piece) = pieces.first() {
            pieces.pass(&piece);
            found.push(piece);
        }
        found
    }

    #[test]
    fn pieces_cover_the_range_once_and_are_whole_sectors() {
        for at in [0, 1, 511, 512, 513, PIECE as u64 - 1, 4096] {
            for length in [1, 2, 511, 512, 513, PIECE - 1, PIECE, PIECE + 1, 1 << 20] {
                let mut next = at;
                for piece in all(at, length) {
                    assert_eq!(piece.sector * SECTOR + piece.skip as u64, next);
                    assert_eq!(piece.to as u64, next - at);
                    assert!(piece.length.is_multiple_of(512) && piece.length <= PIECE);
                    assert!(
                        piece.skip + piece.take <= piece.length
                            && piece.length < piece.skip + piece.take + 512
                    );
                    next += piece.take as u64;
                }
                assert_eq!(next, at + length as u64);
            }
        }
    }

    #[test]
    fn a_mebibyte_is_eight_requests() {
        assert_eq!(all(0, 1 << 20).len(), 8);
        assert_eq!(all(0, 0), []);
    }
}
