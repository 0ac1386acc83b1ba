//! The last 192 bytes of a blob: a skippable zstd frame that says where index and frame table lie.

use plyos_bytemap::{Preamble, PreambleError, View, put};
use plyos_ids::{Codec, LayerId, ObjectHash};

use crate::annotations::{IndexPlace, TablePlace};
use crate::frames::{Form, MAX_TABLE};
use crate::index::MAX_INDEX;
use crate::layouts::footer as map;

/// First bytes of the footer proper.
pub const MAGIC: [u8; 8] = *b"PLYFOOTR";

/// Magic of the skippable zstd frames (RFC 8878, 3.1.2) that hold index, table and footer. Frozen.
pub const SKIPPABLE_MAGIC: u32 = 0x184D_2A57;

/// Bytes of a skippable frame's header: magic and payload length.
pub const SKIPPABLE_HEADER: usize = 8;

/// Bytes of the whole footer frame at the end of a blob. Changing it is a format break.
pub const FOOTER_SIZE: usize = SKIPPABLE_HEADER + map::SIZE;

/// Bytes of the footer without the frame (or, in the gzip form, the member) that it stands in.
pub const FOOTER_PAYLOAD: usize = map::SIZE;

/// The 8 bytes that stand before a skippable payload of `payload_len` bytes.
pub const fn skippable(payload_len: u32) -> [u8; SKIPPABLE_HEADER] {
    let [a, b, c, d] = SKIPPABLE_MAGIC.to_le_bytes();
    let [e, f, g, h] = payload_len.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// What the footer says. All of it is a claim until index and table have been hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Where the stored index lies.
    pub index: IndexPlace,
    /// Where the stored frame table lies, and its hash.
    pub table: TablePlace,
    /// BLAKE3 of the index.
    pub layer_id: LayerId,
    /// Bytes of the canonical stream.
    pub stream_len: u64,
    /// How the frames are coded.
    pub form: Form,
}

/// Why a footer was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FooterError {
    /// The last bytes of the blob are no footer frame.
    #[error(
        "the blob does not end in a Plyos footer: it is no Plyos layer, or it was compressed again on its way; push it again"
    )]
    Absent,
    /// The fixed head.
    #[error("cannot read the blob's footer: {0}")]
    Preamble(PreambleError),
    /// A field.
    #[error("the blob's footer is malformed ({0}); fetch the blob again or ask its publisher")]
    Malformed(&'static str),
}

impl Footer {
    /// Parses the last [`FOOTER_SIZE`] bytes of a blob in the zstd form.
    pub fn parse(bytes: &[u8]) -> Result<Self, FooterError> {
        Self::parse_payload(bytes.strip_prefix(&skippable(map::SIZE as u32)).ok_or(FooterError::Absent)?)
    }

    /// Parses the footer without what it stands in.
    pub fn parse_payload(payload: &[u8]) -> Result<Self, FooterError> {
        let (preamble, object) =
            Preamble::parse(payload, &MAGIC, map::SIZE, 0).map_err(FooterError::Preamble)?;
        let malformed = FooterError::Malformed;
        if preamble.compat != 0 || object.len() != map::SIZE || payload.len() != map::SIZE {
            return Err(malformed("its length or feature bits"));
        }
        let view = View::new(object, &map::LAYOUT).ok_or(malformed("its length"))?;
        if !view.is_zero(map::RESERVED) {
            return Err(malformed("reserved bytes are in use"));
        }
        let codec = |field| match view.u8(field) {
            0 => Ok(Codec::Raw),
            1 => Ok(Codec::Zstd),
            _ => Err(malformed("a codec is not known")),
        };
        let footer = Self {
            index: IndexPlace {
                offset: view.u64(map::INDEX_OFFSET),
                stored: view.u64(map::INDEX_STORED),
                length: view.u64(map::INDEX_LEN),
                codec: codec(map::INDEX_CODEC)?,
            },
            table: TablePlace {
                offset: view.u64(map::TABLE_OFFSET),
                stored: view.u64(map::TABLE_STORED),
                length: view.u64(map::TABLE_LEN),
                codec: codec(map::TABLE_CODEC)?,
                hash: ObjectHash::from_bytes(view.array(map::TABLE_HASH)),
            },
            layer_id: LayerId::from_bytes(view.array(map::LAYER_ID)),
            stream_len: view.u64(map::STREAM_LEN),
            form: Form::from_number(view.u8(map::FORM)).ok_or(malformed("its form is not known"))?,
        };
        footer.check()?;
        Ok(footer)
    }

    /// The footer frame of the zstd form, skippable header included.
    pub fn emit(&self) -> [u8; FOOTER_SIZE] {
        let mut out = [0u8; FOOTER_SIZE];
        let (head, tail) = out.split_at_mut(SKIPPABLE_HEADER);
        head.copy_from_slice(&skippable(map::SIZE as u32));
        tail.copy_from_slice(&self.emit_payload());
        out
    }

    /// The footer without what it stands in.
    pub fn emit_payload(&self) -> [u8; FOOTER_PAYLOAD] {
        let mut payload = [0u8; map::SIZE];
        Preamble::v1(MAGIC, map::SIZE, map::SIZE as u64).emit(&mut payload);
        for (field, value) in [
            (map::INDEX_OFFSET, self.index.offset),
            (map::INDEX_STORED, self.index.stored),
            (map::INDEX_LEN, self.index.length),
            (map::TABLE_OFFSET, self.table.offset),
            (map::TABLE_STORED, self.table.stored),
            (map::TABLE_LEN, self.table.length),
            (map::STREAM_LEN, self.stream_len),
        ] {
            put(&mut payload, field, &value.to_le_bytes());
        }
        put(&mut payload, map::LAYER_ID, self.layer_id.as_bytes());
        put(&mut payload, map::TABLE_HASH, self.table.hash.as_bytes());
        put(&mut payload, map::FORM, &[self.form as u8]);
        put(&mut payload, map::INDEX_CODEC, &[self.index.codec as u8]);
        put(&mut payload, map::TABLE_CODEC, &[self.table.codec as u8]);
        payload
    }

    /// Refuses a footer whose index or table would not lie inside a blob of `blob_len` bytes.
    pub fn check_blob(&self, blob_len: u64) -> Result<(), FooterError> {
        // The table's end is the greater one: `parse` refuses other orders.
        let end = self.table.offset.saturating_add(self.table.stored);
        if blob_len.checked_sub(FOOTER_SIZE as u64).is_some_and(|limit| end <= limit) {
            return Ok(());
        }
        Err(FooterError::Malformed("index or frame table lie outside the blob"))
    }

    /// Lengths within the limits of a reader; index before table, neither overlapping the other.
    fn check(&self) -> Result<(), FooterError> {
        let malformed = FooterError::Malformed;
        let places = [
            (self.index.stored, self.index.length, self.index.codec, MAX_INDEX),
            (self.table.stored, self.table.length, self.table.codec, MAX_TABLE),
        ];
        for (stored, length, codec, limit) in places {
            if length == 0 || length > limit || stored == 0 || stored > limit {
                return Err(malformed("the index or frame table is empty or too long"));
            }
            if codec == Codec::Raw && stored != length {
                return Err(malformed("bytes stored raw have another length"));
            }
        }
        let ends = |offset: u64, stored: u64| offset.checked_add(stored).ok_or(malformed("an offset"));
        let index_end = ends(self.index.offset, self.index.stored)?;
        ends(self.table.offset, self.table.stored)?;
        if index_end > self.table.offset {
            return Err(malformed("index and frame table overlap"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Footer {
        Footer {
            index: IndexPlace { offset: 1008, stored: 700, length: 49_152, codec: Codec::Zstd },
            table: TablePlace {
                offset: 1716,
                stored: 100,
                length: 100,
                codec: Codec::Raw,
                hash: ObjectHash::from_bytes([3; 32]),
            },
            layer_id: LayerId::from_bytes([4; 32]),
            stream_len: 1536,
            form: Form::Zstd,
        }
    }

    #[test]
    fn the_frame_is_skippable_and_192_bytes_long() {
        let bytes = sample().emit();
        assert_eq!(bytes.len(), 192);
        assert_eq!(bytes[..8], [0x57, 0x2A, 0x4D, 0x18, 184, 0, 0, 0]);
        assert_eq!(Footer::parse(&bytes), Ok(sample()));
    }

    #[test]
    fn places_stay_inside_the_blob() {
        assert_eq!(sample().check_blob(1716 + 100 + 192), Ok(()));
        assert!(sample().check_blob(1716 + 100 + 191).is_err());
        assert!(sample().check_blob(100).is_err());
    }

    #[test]
    fn each_defect_is_refused() {
        assert_eq!(Footer::parse(&[]), Err(FooterError::Absent));
        assert_eq!(Footer::parse(&[0; 192]), Err(FooterError::Absent));
        let mut longer = sample().emit().to_vec();
        longer.push(0);
        assert!(Footer::parse(&longer).is_err());
        let base = SKIPPABLE_HEADER;
        for (what, at, value) in [
            ("magic", base, b'X'),
            ("compat bit", base + 12, 1),
            ("reserved byte", base + map::RESERVED.offset + 28, 1),
            ("form", base + map::FORM.offset, 0),
            ("encrypted index", base + map::INDEX_CODEC.offset, 0x81),
            ("gzip table", base + map::TABLE_CODEC.offset, 2),
            ("raw index of another length", base + map::INDEX_CODEC.offset, 0),
            ("index over table", base + map::INDEX_OFFSET.offset + 1, 4),
            ("offset beyond everything", base + map::TABLE_OFFSET.offset + 7, 255),
            ("index beyond the limit", base + map::INDEX_LEN.offset + 4, 1),
        ] {
            let mut bad = sample().emit();
            bad[at] = value;
            if what == "offset beyond everything" {
                for at in map::TABLE_OFFSET.offset..map::TABLE_OFFSET.offset + 8 {
                    bad[base + at] = 255;
                }
            }
            assert!(Footer::parse(&bad).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_emits_the_same(at in 0usize..192, value: u8) {
            let mut bytes = sample().emit();
            bytes[at] = value;
            if let Ok(footer) = Footer::parse(&bytes) {
                prop_assert_eq!(footer.emit(), bytes);
            }
        }
    }
}
