//! Where a chunk lies.

use plyos_bytemap::{View, put};
use plyos_ids::Codec;

use crate::layout::{MAX_CHUNK_LEN, MAX_STORED_LEN, place};
use crate::{Extent, layout::DATA_START};

/// Where the stored bytes of a chunk lie, and how they become the chunk. It is a claim: what is read from it counts only
/// when it hashes to the chunk's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// First byte, from the start of the source.
    pub offset: u64,
    /// Stored bytes, at least 1.
    pub length: u32,
    /// Raw or zstd.
    pub codec: Codec,
    /// 0: this store; others name a source record.
    pub source: u16,
}

/// Why 16 bytes are not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Not 16 bytes.
    #[error("a place is 16 bytes")]
    Size,
    /// A codec that is not known here, or that no store holds.
    #[error("its codec {0} is not known here; update this program")]
    Codec(u8),
    /// A flag is set.
    #[error("its flags {0:#04x} are not known here; update this program")]
    Flags(u8),
    /// A length that no chunk has, or an offset outside the store.
    #[error("its offset or length is out of bounds")]
    Bounds,
}

impl Place {
    /// Bytes of a place in a map.
    pub const SIZE: usize = place::SIZE;

    /// Reads a place of a store of `store_len` bytes; `None` when the chunk is absent (all zeroes).
    pub fn parse(bytes: &[u8], store_len: u64) -> Result<Option<Self>, PlaceError> {
        if bytes.len() != place::SIZE {
            return Err(PlaceError::Size);
        }
        let view = View::new(bytes, &place::LAYOUT).ok_or(PlaceError::Size)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let codec = match Codec::from_number(view.u8(place::CODEC)) {
            Some(codec @ (Codec::Raw | Codec::Zstd)) => codec,
            _ => return Err(PlaceError::Codec(view.u8(place::CODEC))),
        };
        if view.u8(place::FLAGS) != 0 {
            return Err(PlaceError::Flags(view.u8(place::FLAGS)));
        }
        let found = Self {
            offset: view.u64(place::OFFSET),
            length: view.u32(place::LENGTH),
            codec,
            source: view.u16(place::SOURCE),
        };
        if found.fits(store_len) { Ok(Some(found)) } else { Err(PlaceError::Bounds) }
    }

    /// Whether its length can be a chunk's, and it lies in the data area of a store of `store_len` bytes or elsewhere.
    pub fn fits(&self, store_len: u64) -> bool {
        let limit = if self.codec == Codec::Raw { MAX_CHUNK_LEN } else { MAX_STORED_LEN };
        let end = self.offset.checked_add(u64::from(self.length));
        let inside = self.offset >= DATA_START && end.is_some_and(|end| end <= store_len);
        (1..=limit).contains(&self.length) && end.is_some() && (inside || self.source != 0)
    }

    /// The bytes of this store that it takes; `None` when it lies elsewhere.
    pub fn extent(&self) -> Option<Extent> {
        (self.source == 0).then_some(Extent { offset: self.offset, len: u64::from(self.length) })
    }

    /// The 16 bytes of a place, or of an absent one.
    pub fn emit(place: Option<&Self>) -> [u8; place::SIZE] {
        let mut out = [0; place::SIZE];
        if let Some(found) = place {
            put(&mut out, place::OFFSET, &found.offset.to_le_bytes());
            put(&mut out, place::LENGTH, &found.length.to_le_bytes());
            put(&mut out, place::CODEC, &[found.codec as u8]);
            put(&mut out, place::SOURCE, &found.source.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STORE: u64 = 1 << 40;

    proptest! {
        #[test]
        fn round_trip(offset in DATA_START..STORE - (2 << 20), length in 1..=MAX_CHUNK_LEN, zstd: bool, source: u16) {
            let codec = if zstd { Codec::Zstd } else { Codec::Raw };
            let place = Place { offset, length, codec, source };
            prop_assert_eq!(Place::parse(&Place::emit(Some(&place)), STORE), Ok(Some(place)));
        }

        #[test]
        fn arbitrary_bytes_round_trip_or_are_refused(bytes: [u8; 16], small: bool, wide in 0usize..20) {
            let mut bytes = bytes;
            if small {
                bytes[3..8].fill(0);
                bytes[10..].fill(0);
            }
            if let Ok(found) = Place::parse(&bytes, u64::MAX) {
                prop_assert_eq!(Place::emit(found.as_ref()), bytes);
            }
            let _ = Place::parse(&vec![1; wide], STORE);
        }
    }

    #[test]
    fn defects_have_their_errors() {
        let good = Place { offset: DATA_START, length: 9, codec: Codec::Zstd, source: 0 };
        let with = |at: usize, value: u8| {
            let mut bytes = Place::emit(Some(&good));
            bytes[at] = value;
            Place::parse(&bytes, STORE)
        };
        assert_eq!(with(8, 9), Ok(Some(good)));
        assert_eq!(with(8, 0), Err(PlaceError::Bounds), "absent but not all zero");
        assert_eq!(with(11, 1), Err(PlaceError::Bounds), "longer than any chunk");
        assert_eq!(with(12, 2), Err(PlaceError::Codec(2)), "gzip is for transport");
        assert_eq!(with(12, 0x81), Err(PlaceError::Codec(0x81)), "encrypted");
        assert_eq!(with(13, 1), Err(PlaceError::Flags(1)));
        assert_eq!(with(2, 0), Err(PlaceError::Bounds), "inside the superblock area");
        assert_eq!(with(7, 1), Err(PlaceError::Bounds), "past the end");
        assert_eq!(Place::parse(&[0; 16], STORE), Ok(None));
        assert_eq!(Place::parse(&[0; 15], STORE), Err(PlaceError::Size));
    }

    use alloc::vec;
}
