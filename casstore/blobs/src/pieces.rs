//! The pieces of a blob: what deduplication compares (docs/formats.md, "Piece list").
//!
//! A [`PieceList`] stands beside the recipe of each blob of 1 MiB and more. It is a hint and no authority: whoever packs a
//! blob by it hashes the result before anyone reads it, so a list that is wrong or lost costs savings and nothing else.

use plyos_bytemap::{Cursor, Layout, Preamble, PreambleError, View, byte_map, put};

use crate::cut::{PIECE_RULE, SIZES};

byte_map! {
    /// See docs/formats.md, "Piece list".
    pub mod piece_list = "piece_list", 48 {
        PREAMBLE: 0, 32;
        BLOB_SIZE: 32, 8;
        PIECE_RULE: 40, 1;
        RESERVED: 41, 7;
    }
}

byte_map! {
    /// One piece; see docs/formats.md, "Piece list".
    pub mod piece = "piece", 20 {
        ID: 0, 16;
        LENGTH: 16, 4;
    }
}

/// The byte maps of this file.
pub const PIECE_LAYOUTS: [&Layout; 2] = [&piece_list::LAYOUT, &piece::LAYOUT];

const MAGIC: &[u8; 8] = b"PLYPIECE";

/// Most pieces of a list, 10 MiB of it; also the most that are compared with at a time. At 32 to 64 KiB a piece, a blob of some 20 GB;
/// what is larger stays whole.
pub const MOST_PIECES: usize = 512 * 1024;
/// Longest list in bytes.
pub const LONGEST_LIST: usize = piece_list::SIZE + MOST_PIECES * piece::SIZE;

/// The name of a piece: the first 16 bytes of the BLAKE3 of its bytes. Enough against chance; against malice the
/// digest of the packed blob stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId(pub [u8; 16]);

/// One piece of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// What its bytes are.
    pub id: PieceId,
    /// How many they are.
    pub length: u32,
}

impl Piece {
    /// The piece that consists of `bytes`, at most 256 KiB.
    pub fn of(bytes: &[u8]) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(blake3::hash(bytes).as_bytes()) {
            *to = *from;
        }
        Self { id: PieceId(id), length: bytes.len() as u32 }
    }
}

/// The pieces of a blob in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceList {
    /// The pieces; their lengths sum to the blob's size.
    pub pieces: Vec<Piece>,
}

/// A piece list was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceListError {
    /// The head is not that of a piece list.
    #[error("{0}")]
    Preamble(PreambleError),
    /// Cut by rules that are not known here.
    #[error("it was cut by piece rule {0}, which is not known here")]
    Rule(u8),
    /// Counts or lengths do not agree.
    #[error("its lengths do not agree")]
    Lengths,
}

impl PieceList {
    /// The blob's size in bytes.
    pub fn blob_size(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.length)).sum()
    }

    /// The bytes of a list.
    pub fn emit(&self) -> Vec<u8> {
        let total = piece_list::SIZE + self.pieces.len() * piece::SIZE;
        let mut out = vec![0; piece_list::SIZE];
        Preamble::v1(*MAGIC, piece_list::SIZE, total as u64).emit(&mut out);
        put(&mut out, piece_list::BLOB_SIZE, &self.blob_size().to_le_bytes());
        put(&mut out, piece_list::PIECE_RULE, &[PIECE_RULE]);
        out.reserve(total - out.len());
        for piece in &self.pieces {
            out.extend_from_slice(&piece.id.0);
            out.extend_from_slice(&piece.length.to_le_bytes());
        }
        out
    }

    /// Reads a list of at most [`MOST_PIECES`].
    ///
    /// # Errors
    ///
    /// [`PieceListError`] for anything but what [`emit`](Self::emit) writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, PieceListError> {
        let (preamble, object) =
            Preamble::parse(bytes, MAGIC, piece_list::SIZE, 0).map_err(PieceListError::Preamble)?;
        let view = View::new(object, &piece_list::LAYOUT).ok_or(PieceListError::Lengths)?;
        let rule = view.u8(piece_list::PIECE_RULE);
        if rule != PIECE_RULE {
            return Err(PieceListError::Rule(rule));
        }
        let records = object.get(piece_list::SIZE..).unwrap_or_default();
        let strict =
            preamble.compat == 0 && bytes.len() == object.len() && view.is_zero(piece_list::RESERVED);
        if !strict || records.len() % piece::SIZE != 0 || records.len() / piece::SIZE > MOST_PIECES {
            return Err(PieceListError::Lengths);
        }
        let mut pieces = Vec::with_capacity(records.len() / piece::SIZE);
        let mut cursor = Cursor::new(records);
        while let (Some(id), Some(length)) = (cursor.array(), cursor.u32()) {
            if length == 0 || length as usize > SIZES.maximum {
                return Err(PieceListError::Lengths);
            }
            pieces.push(Piece { id: PieceId(id), length });
        }
        let list = Self { pieces };
        if list.blob_size() == view.u64(piece_list::BLOB_SIZE) {
            Ok(list)
        } else {
            Err(PieceListError::Lengths)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> PieceList {
        PieceList { pieces: vec![Piece::of(b"first"), Piece::of(&[7; 65_536]), Piece::of(b"first")] }
    }

    #[test]
    fn a_list_is_what_formats_md_says() {
        let bytes = sample().emit();
        assert_eq!((bytes.len(), &bytes[..8]), (48 + 3 * 20, &b"PLYPIECE"[..]));
        assert_eq!(bytes[32..40], (5u64 + 65_536 + 5).to_le_bytes());
        assert_eq!(bytes[40], 1);
        assert_eq!(bytes[48..64], blake3::hash(b"first").as_bytes()[..16]);
        assert_eq!(bytes[64..68], 5u32.to_le_bytes());
        assert_eq!(PieceList::parse(&bytes), Ok(sample()));
        assert_eq!(PieceList::parse(&PieceList::default().emit()), Ok(PieceList::default()));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = sample().emit();
        for cut in 0..good.len() {
            assert!(PieceList::parse(&good[..cut]).is_err(), "cut at {cut}");
        }
        // Blob size, rule, reserved, a length of zero, a length above the most, a byte too many.
        for (at, bytes, error) in [
            (32, &[9u8][..], PieceListError::Lengths),
            (40, &[2], PieceListError::Rule(2)),
            (47, &[1], PieceListError::Lengths),
            (64, &[0, 0, 0, 0], PieceListError::Lengths),
            (64, &[0, 0, 0, 1], PieceListError::Lengths),
            (good.len(), &[0], PieceListError::Lengths),
        ] {
            let mut bad = good.clone();
            bad.resize(bad.len().max(at + bytes.len()), 0);
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(PieceList::parse(&bad), Err(error), "{at}");
        }
    }

    #[test]
    fn a_list_says_how_long_it_may_be() {
        let one = Piece::of(b"x");
        let most = PieceList { pieces: vec![one; MOST_PIECES] };
        assert_eq!(most.emit().len(), LONGEST_LIST);
        assert!(PieceList::parse(&most.emit()).is_ok());
        let over = PieceList { pieces: vec![one; MOST_PIECES + 1] };
        assert_eq!(PieceList::parse(&over.emit()), Err(PieceListError::Lengths));
    }

    proptest! {
        #[test]
        fn one_spelling(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..108, bit in 0u8..8) {
            prop_assert!(PieceList::parse(&bytes).is_err());
            let mut near = sample().emit();
            near[at] ^= 1 << bit;
            if let Ok(list) = PieceList::parse(&near) {
                prop_assert_eq!(list.emit(), near);
            }
        }
    }
}
