//! One type for each 32-byte identity, with its textual form.

use core::fmt;

/// Why text is not an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexError;

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 64 lower-case hexadecimal digits")
    }
}

impl core::error::Error for HexError {}

/// Decodes exactly `2 * N` lower-case hexadecimal digits. Upper case is refused so that each identity has one spelling.
pub fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(HexError),
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(HexError);
    }
    let mut out = [0; N];
    for (slot, [high, low]) in out.iter_mut().zip(pairs) {
        *slot = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(out)
}

macro_rules! identity {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name([u8; 32]);

        impl $name {
            /// What stands before the digits in text.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps 32 bytes that are this identity.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Parses 64 lower-case hexadecimal digits, with or without the prefix.
            pub fn parse(text: &str) -> Result<Self, HexError> {
                decode_hex(text.strip_prefix(Self::PREFIX).unwrap_or(text)).map(Self)
            }

            /// The digits alone.
            pub fn to_hex(&self) -> alloc::string::String {
                alloc::format!("{:x}", self)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{:x}", Self::PREFIX, self)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:x})", stringify!($name), self)
            }
        }
    };
}

identity! {
    /// BLAKE3-256 of a chunk's uncompressed bytes.
    ChunkId, "blake3:"
}
identity! {
    /// BLAKE3-256 of a layer's index: the identity of the layer.
    LayerId, "blake3:"
}
identity! {
    /// BLAKE3-256 of a generation's bytes.
    GenerationId, "blake3:"
}
identity! {
    /// BLAKE3-256 of the sorted layer identities of a generation: what is remembered of a bad one.
    LayerSetId, "blake3:"
}
identity! {
    /// BLAKE3-256 of any other object (frame table, record, map).
    ObjectHash, "blake3:"
}
identity! {
    /// SHA-256 of an OCI image manifest.
    ManifestDigest, "sha256:"
}
identity! {
    /// SHA-256 of a blob as it is stored and sent.
    BlobDigest, "sha256:"
}
identity! {
    /// TUF key identity: SHA-256 of the canonical JSON of the public key.
    KeyId, ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_round_trips_with_and_without_prefix() {
        let id = ChunkId::from_bytes(core::array::from_fn(|i| i as u8 * 7));
        assert_eq!(ChunkId::parse(&id.to_string()), Ok(id));
        assert_eq!(ChunkId::parse(&id.to_hex()), Ok(id));
        assert!(id.to_string().starts_with("blake3:0007"));
    }

    #[test]
    fn other_spellings_are_refused() {
        let good = ChunkId::default().to_hex();
        for bad in [&good[1..], &good.replace('0', "A"), &good.replace('0', "g"), "", "sha256:00"] {
            assert_eq!(ChunkId::parse(bad), Err(HexError), "{bad}");
        }
        assert_eq!(ManifestDigest::parse(&alloc::format!("blake3:{good}")), Err(HexError));
    }
}
