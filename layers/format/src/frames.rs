//! The frame table: where each chunk's frame lies in a blob. Outside the layer's identity.

use alloc::vec::Vec;

use plyos_bytemap::{Preamble, PreambleError, View, put};
use plyos_ids::{Codec, LayerId};

use crate::layouts::frame_table as map;

/// First bytes of a frame table.
pub const MAGIC: [u8; 8] = *b"PLYFRAME";

/// Longest stored frame in bytes: a chunk that does not compress, framed (1 MiB and 4 KiB). Frozen.
pub const MAX_FRAME: u32 = 1_052_672;

/// Longest table in bytes that a reader takes.
pub const MAX_TABLE: u64 = 1 << 30;

/// How the frames of a blob are coded. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Form {
    /// One zstd frame for each chunk (`…tar+zstd`).
    Zstd = 1,
    /// One gzip member for each chunk (`…tar+gzip`).
    Gzip = 2,
}

impl Form {
    /// The form of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Zstd),
            2 => Some(Self::Gzip),
            _ => None,
        }
    }

    /// The codec of every frame of this form.
    pub const fn codec(self) -> Codec {
        match self {
            Self::Zstd => Codec::Zstd,
            Self::Gzip => Codec::Gzip,
        }
    }
}

/// Where the frames of a blob lie: their stored lengths in stream order, the first at blob offset 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameTable {
    /// The layer whose chunks these are.
    pub layer_id: LayerId,
    /// How they are coded.
    pub form: Form,
    /// For information: the compression level in the low byte.
    pub encoder: u32,
    /// Stored bytes of each frame, 1 to [`MAX_FRAME`].
    pub lengths: Vec<u32>,
}

/// Why a frame table was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameTableError {
    /// Its first bytes.
    #[error("cannot read the layer's frame table: {0}")]
    Preamble(PreambleError),
    /// More bytes than a reader takes.
    #[error("the layer's frame table is longer than {MAX_TABLE} bytes; split the layer")]
    TooLong,
    /// A field.
    #[error("the layer's frame table is malformed ({0}); fetch the blob again or ask its publisher")]
    Malformed(&'static str),
    /// A frame of no or too many bytes.
    #[error(
        "frame {ordinal} of the layer's blob has {length} bytes, not 1 to {MAX_FRAME}; fetch the blob again"
    )]
    Length {
        /// Number of the frame.
        ordinal: u64,
        /// Bytes it claims.
        length: u32,
    },
    /// The table is that of another layer.
    #[error(
        "the frame table is that of layer {found}, expected {expected} with {chunks} chunks; fetch the blob again"
    )]
    OtherLayer {
        /// The layer that the table names.
        found: LayerId,
        /// The layer that was asked for.
        expected: LayerId,
        /// Chunks of that layer.
        chunks: u64,
    },
}

impl FrameTable {
    /// Parses a whole table; bytes after its stated length are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameTableError> {
        if bytes.len() as u64 > MAX_TABLE {
            return Err(FrameTableError::TooLong);
        }
        let malformed = FrameTableError::Malformed;
        let (preamble, object) =
            Preamble::parse(bytes, &MAGIC, map::SIZE, 0).map_err(FrameTableError::Preamble)?;
        if preamble.compat != 0 || object.len() != bytes.len() {
            return Err(malformed("its length or feature bits"));
        }
        let view = View::new(object, &map::LAYOUT).ok_or(malformed("its length"))?;
        if !view.is_zero(map::RESERVED) || !view.is_zero(map::RESERVED2) {
            return Err(malformed("reserved bytes are in use"));
        }
        let form = Form::from_number(view.u8(map::FORM)).ok_or(malformed("its form is not known"))?;
        if view.u8(map::CODEC) != form.codec() as u8 {
            return Err(malformed("its codec is not that of its form"));
        }
        let (records, rest) = object.get(map::SIZE..).unwrap_or_default().as_chunks::<4>();
        if !rest.is_empty() || records.len() as u64 != view.u64(map::FRAME_COUNT) {
            return Err(malformed("its frame count"));
        }
        let table = Self {
            layer_id: LayerId::from_bytes(view.array(map::LAYER_ID)),
            form,
            encoder: view.u32(map::ENCODER),
            lengths: records.iter().map(|record| u32::from_le_bytes(*record)).collect(),
        };
        table.check_lengths()?;
        if table.frames_len() != view.u64(map::FRAMES_LEN) {
            return Err(malformed("the sum of its lengths"));
        }
        Ok(table)
    }

    /// The table's bytes. Fails when a length is out of bounds or the table would be too long.
    pub fn emit(&self) -> Result<Vec<u8>, FrameTableError> {
        self.check_lengths()?;
        let total = map::SIZE as u64 + 4 * self.lengths.len() as u64;
        if total > MAX_TABLE {
            return Err(FrameTableError::TooLong);
        }
        let mut out = alloc::vec![0u8; map::SIZE];
        Preamble::v1(MAGIC, map::SIZE, total).emit(&mut out);
        put(&mut out, map::LAYER_ID, self.layer_id.as_bytes());
        put(&mut out, map::FRAME_COUNT, &(self.lengths.len() as u64).to_le_bytes());
        put(&mut out, map::FRAMES_LEN, &self.frames_len().to_le_bytes());
        put(&mut out, map::FORM, &[self.form as u8]);
        put(&mut out, map::CODEC, &[self.form.codec() as u8]);
        put(&mut out, map::ENCODER, &self.encoder.to_le_bytes());
        out.extend(self.lengths.iter().flat_map(|length| length.to_le_bytes()));
        Ok(out)
    }

    /// Bytes of all frames together: where the first table frame of the blob starts.
    pub fn frames_len(&self) -> u64 {
        self.lengths.iter().map(|length| u64::from(*length)).sum()
    }

    /// Blob offset and stored length of each frame, in stream order.
    pub fn places(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.lengths.iter().scan(0u64, |next, length| {
            let offset = *next;
            *next += u64::from(*length);
            Some((offset, *length))
        })
    }

    /// Refuses a table that is not of layer `id` with `chunks` chunks.
    pub fn check_layer(&self, id: LayerId, chunks: u64) -> Result<(), FrameTableError> {
        if self.layer_id == id && self.lengths.len() as u64 == chunks {
            return Ok(());
        }
        Err(FrameTableError::OtherLayer { found: self.layer_id, expected: id, chunks })
    }

    fn check_lengths(&self) -> Result<(), FrameTableError> {
        match self.lengths.iter().position(|length| !(1..=MAX_FRAME).contains(length)) {
            Some(at) => Err(FrameTableError::Length {
                ordinal: at as u64,
                length: self.lengths.get(at).copied().unwrap_or_default(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn sample() -> FrameTable {
        FrameTable {
            layer_id: LayerId::from_bytes([9; 32]),
            form: Form::Zstd,
            encoder: 19,
            lengths: vec![5, MAX_FRAME, 1],
        }
    }

    #[test]
    fn places_follow_each_other() {
        let places: Vec<_> = sample().places().collect();
        assert_eq!(places, [(0, 5), (5, MAX_FRAME), (5 + u64::from(MAX_FRAME), 1)]);
        assert_eq!(sample().frames_len(), u64::from(MAX_FRAME) + 6);
    }

    #[test]
    fn each_defect_is_refused() {
        let good = sample().emit().unwrap();
        assert_eq!(FrameTable::parse(&good), Ok(sample()));
        for (what, at, value) in [
            ("magic", 0, b'X'),
            ("compat bit", 12, 1),
            ("frame count", map::FRAME_COUNT.offset, 4),
            ("sum of lengths", map::FRAMES_LEN.offset, 0),
            ("unknown form", map::FORM.offset, 3),
            ("codec of another form", map::CODEC.offset, 2),
            ("reserved byte", map::RESERVED.offset + 1, 1),
            ("reserved byte 2", map::RESERVED2.offset + 7, 1),
            ("frame of no bytes", map::SIZE, 0),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert!(FrameTable::parse(&bad).is_err(), "{what}");
        }
        assert!(FrameTable::parse(&good[..good.len() - 1]).is_err());
        let mut longer = good.clone();
        longer.push(0);
        assert!(FrameTable::parse(&longer).is_err(), "trailing byte");
    }

    #[test]
    fn count_bomb_is_refused_by_its_length() {
        let mut bad = sample().emit().unwrap();
        put(&mut bad, map::FRAME_COUNT, &u64::MAX.to_le_bytes());
        assert_eq!(FrameTable::parse(&bad), Err(FrameTableError::Malformed("its frame count")));
    }

    #[test]
    fn lengths_out_of_bounds_are_not_emitted() {
        for length in [0, MAX_FRAME + 1] {
            let table = FrameTable { lengths: vec![1, length], ..sample() };
            assert_eq!(table.emit(), Err(FrameTableError::Length { ordinal: 1, length }));
        }
    }

    #[test]
    fn the_table_of_another_layer_is_refused() {
        let table = sample();
        assert_eq!(table.check_layer(table.layer_id, 3), Ok(()));
        assert!(table.check_layer(table.layer_id, 4).is_err());
        assert!(table.check_layer(LayerId::default(), 3).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(lengths in prop::collection::vec(1..=MAX_FRAME, 0..40), gzip: bool, encoder: u32, id: [u8; 32]) {
            let form = if gzip { Form::Gzip } else { Form::Zstd };
            let table = FrameTable { layer_id: LayerId::from_bytes(id), form, encoder, lengths };
            let bytes = table.emit().unwrap();
            prop_assert_eq!(FrameTable::parse(&bytes), Ok(table));
        }

        #[test]
        fn what_parses_emits_the_same(at in 0usize..108, value: u8) {
            let mut bytes = sample().emit().unwrap();
            bytes[at] = value;
            if let Ok(table) = FrameTable::parse(&bytes) {
                prop_assert_eq!(table.emit().unwrap(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FrameTable::parse(&bytes);
        }
    }
}
