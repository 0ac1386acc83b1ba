//! How a range of bytes becomes requests: whole blocks of the disk, none larger than [`PIECE`].

/// The unit in which a virtio disk counts, in bytes, whatever its blocks are. From the specification (5.2.4).
pub const SECTOR: u64 = 512;

/// Bytes of the largest block of a disk: one request has room for it, and a store's superblocks are this far apart at least.
pub const LARGEST_BLOCK: usize = 4096;
const _: () = assert!(PIECE.is_multiple_of(LARGEST_BLOCK));

/// Bytes of the largest request. A request costs the same whatever its size, about 100 us where it was measured; below
/// 128 KiB that is most of the time, above it memory for buffers is all that grows.
pub const PIECE: usize = 128 * 1024;

/// One request's share of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First sector.
    pub sector: u64,
    /// Bytes of the request: whole blocks.
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
    block: usize,
}

impl Pieces {
    /// Of `length` bytes from byte `at` of a disk with blocks of `block` bytes: a power of two of at least a sector, at most
    /// [`LARGEST_BLOCK`]. The caller has checked that the range ends inside a disk of whole blocks.
    pub fn of(at: u64, length: usize, block: usize) -> Self {
        Self { at, left: length, done: 0, block }
    }

    /// The next piece, which stays the next one.
    pub fn first(&self) -> Option<Piece> {
        if self.left == 0 {
            return None;
        }
        let skip = self.at % self.block as u64;
        let sector = (self.at - skip) / SECTOR;
        let skip = usize::try_from(skip).ok()?;
        let take = self.left.min(PIECE - skip);
        let length = (skip + take).next_multiple_of(self.block);
        Some(Piece { sector, length, skip, take, to: self.done })
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

    fn all(at: u64, length: usize, block: usize) -> Vec<Piece> {
        let (mut pieces, mut found) = (Pieces::of(at, length, block), Vec::new());
        while let Some(piece) = pieces.first() {
            pieces.pass(&piece);
            found.push(piece);
        }
        found
    }

    #[test]
    fn pieces_cover_the_range_once_and_are_whole_blocks() {
        for block in [512, 1024, 4096] {
            for at in [0, 1, 511, 512, 513, PIECE as u64 - 1, 4096] {
                for length in [1, 2, 511, 512, 513, PIECE - 1, PIECE, PIECE + 1, 1 << 20] {
                    let mut next = at;
                    for piece in all(at, length, block) {
                        let first = piece.sector * SECTOR;
                        assert!(first.is_multiple_of(block as u64) && piece.length.is_multiple_of(block));
                        assert_eq!(first + piece.skip as u64, next);
                        assert_eq!(piece.to as u64, next - at);
                        let needed = piece.skip + piece.take;
                        assert!(needed <= piece.length && piece.length < needed + block);
                        assert!(piece.length <= PIECE);
                        next += piece.take as u64;
                    }
                    assert_eq!(next, at + length as u64);
                }
            }
        }
    }

    #[test]
    fn a_mebibyte_is_eight_requests() {
        assert_eq!(all(0, 1 << 20, 512).len(), 8);
        assert_eq!(all(0, 0, 512), []);
    }
}
