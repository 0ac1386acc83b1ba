//! The OCI annotations that tell a client where index and frame table lie in a blob.
//!
//! One spelling each: decimal numbers without sign or leading zero, members in the order of `docs/formats.md`.

use core::fmt;

use plyos_ids::{Codec, ObjectHash};

/// Key of the layer descriptor's annotation with the layer's identity (`blake3:HEX`).
pub const LAYER_ID: &str = "org.plyos.layer.id";
/// Key of the layer descriptor's annotation that is an [`IndexPlace`].
pub const LAYER_INDEX: &str = "org.plyos.layer.index";
/// Key of the layer descriptor's annotation that is a [`TablePlace`].
pub const LAYER_FRAMES: &str = "org.plyos.layer.frames";
/// Key of the manifest's annotation with the layer's name; for people.
pub const TITLE: &str = "org.opencontainers.image.title";
/// Key of the manifest's annotation with the layer's version; for people.
pub const VERSION: &str = "org.opencontainers.image.version";
/// Key of the manifest's annotation with the layer's kind; for people.
pub const KIND: &str = "org.plyos.kind";
/// Key of the manifest's annotation with the layer's architecture; for people.
pub const ARCH: &str = "org.plyos.arch";
/// Media type of a blob of zstd frames.
pub const MEDIA_TYPE_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Media type of a blob of gzip members.
pub const MEDIA_TYPE_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Longest manifest in bytes that a reader takes.
pub const MAX_MANIFEST: u64 = 4 << 20;

/// Where the stored index lies in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexPlace {
    /// Blob offset of the stored bytes.
    pub offset: u64,
    /// Bytes as stored.
    pub stored: u64,
    /// Bytes of the index itself.
    pub length: u64,
    /// How it is stored: raw or zstd.
    pub codec: Codec,
}

/// Where the stored frame table lies in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TablePlace {
    /// Blob offset of the stored bytes.
    pub offset: u64,
    /// Bytes as stored.
    pub stored: u64,
    /// Bytes of the table itself.
    pub length: u64,
    /// How it is stored: raw or zstd.
    pub codec: Codec,
    /// BLAKE3 of the table.
    pub hash: ObjectHash,
}

/// Why an annotation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the manifest's annotation {key} is malformed, expected {expected}; ask the publisher to push the layer again"
)]
pub struct AnnotationError {
    key: &'static str,
    expected: &'static str,
}

const INDEX_ERROR: AnnotationError =
    AnnotationError { key: LAYER_INDEX, expected: "offset=N,stored=N,length=N,codec=N" };
const FRAMES_ERROR: AnnotationError =
    AnnotationError { key: LAYER_FRAMES, expected: "offset=N,stored=N,length=N,codec=N,blake3=HEX" };

impl IndexPlace {
    /// Parses the annotation's value.
    pub fn parse(text: &str) -> Result<Self, AnnotationError> {
        let (place, rest) = leading(text).ok_or(INDEX_ERROR)?;
        if rest.is_empty() { Ok(place) } else { Err(INDEX_ERROR) }
    }
}

impl TablePlace {
    /// Parses the annotation's value.
    pub fn parse(text: &str) -> Result<Self, AnnotationError> {
        let (place, rest) = leading(text).ok_or(FRAMES_ERROR)?;
        let digits = rest.strip_prefix(",blake3=").ok_or(FRAMES_ERROR)?;
        let hash = plyos_ids::decode_hex(digits).map_err(|_| FRAMES_ERROR)?;
        let IndexPlace { offset, stored, length, codec } = place;
        Ok(Self { offset, stored, length, codec, hash: ObjectHash::from_bytes(hash) })
    }
}

impl fmt::Display for IndexPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, stored, length, codec } = self;
        write!(f, "offset={offset},stored={stored},length={length},codec={}", *codec as u8)
    }
}

impl fmt::Display for TablePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, stored, length, codec, hash } = *self;
        write!(f, "{},blake3={hash:x}", IndexPlace { offset, stored, length, codec })
    }
}

impl core::str::FromStr for IndexPlace {
    type Err = AnnotationError;

    fn from_str(text: &str) -> Result<Self, AnnotationError> {
        Self::parse(text)
    }
}

impl core::str::FromStr for TablePlace {
    type Err = AnnotationError;

    fn from_str(text: &str) -> Result<Self, AnnotationError> {
        Self::parse(text)
    }
}

/// The four members that both places start with, and what follows them.
fn leading(text: &str) -> Option<(IndexPlace, &str)> {
    let (offset, rest) = number(text.strip_prefix("offset=")?)?;
    let (stored, rest) = number(rest.strip_prefix(",stored=")?)?;
    let (length, rest) = number(rest.strip_prefix(",length=")?)?;
    let (codec, rest) = number(rest.strip_prefix(",codec=")?)?;
    let codec = match codec {
        0 => Codec::Raw,
        1 => Codec::Zstd,
        _ => return None,
    };
    offset.checked_add(stored)?;
    if codec == Codec::Raw && stored != length {
        return None;
    }
    Some((IndexPlace { offset, stored, length, codec }, rest))
}

fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    if number.len() > 1 && number.starts_with('0') {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    const INDEX: IndexPlace = IndexPlace { offset: 12, stored: 5, length: 16_384, codec: Codec::Zstd };
    const TABLE: TablePlace = TablePlace {
        offset: 1,
        stored: 2,
        length: 2,
        codec: Codec::Raw,
        hash: ObjectHash::from_bytes([0xab; 32]),
    };

    #[test]
    fn texts_are_those_of_the_format_page() {
        assert_eq!(INDEX.to_string(), "offset=12,stored=5,length=16384,codec=1");
        let text = TABLE.to_string();
        assert!(text.starts_with("offset=1,stored=2,length=2,codec=0,blake3=abab"), "{text}");
        assert_eq!(IndexPlace::parse(&INDEX.to_string()), Ok(INDEX));
        assert_eq!(TablePlace::parse(&text), Ok(TABLE));
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "",
            "offset=12,stored=5,length=16384",
            "offset=12,stored=5,length=16384,codec=2",
            "offset=12,stored=5,length=16384,codec=129",
            "offset=012,stored=5,length=16384,codec=1",
            "offset=+12,stored=5,length=16384,codec=1",
            "offset=,stored=5,length=16384,codec=1",
            "offset=12, stored=5,length=16384,codec=1",
            "stored=5,offset=12,length=16384,codec=1",
            "offset=12,stored=5,length=16384,codec=1,",
            "offset=18446744073709551616,stored=5,length=16384,codec=1",
            "offset=18446744073709551615,stored=5,length=16384,codec=1",
            "offset=12,stored=5,length=16384,codec=0",
        ] {
            assert_eq!(IndexPlace::parse(bad), Err(INDEX_ERROR), "{bad}");
        }
        let table = TABLE.to_string();
        for bad in [table.replace("ab", "AB"), table.replace("blake3=", "blake3:"), table + "0"] {
            assert_eq!(TablePlace::parse(&bad), Err(FRAMES_ERROR), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same(text in "(offset=[0-9]{1,3},stored=[0-9],length=[0-9],codec=[0-2])|\\PC{0,40}") {
            if let Ok(place) = IndexPlace::parse(&text) {
                prop_assert_eq!(place.to_string(), text);
            }
        }
    }
}
