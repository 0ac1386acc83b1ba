//! Numbers of algorithms and codecs. Each number is frozen for ever; new ones are added, none is used again.

/// How identities are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum HashAlgorithm {
    /// BLAKE3 with 32 bytes of output.
    Blake3 = 1,
}

impl HashAlgorithm {
    /// The algorithm of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Blake3),
            _ => None,
        }
    }
}

/// How statements are signed. Number 2 is kept for ML-DSA-44 (FIPS 204).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum SignatureAlgorithm {
    /// Ed25519 (RFC 8032), verified strictly.
    Ed25519 = 1,
}

impl SignatureAlgorithm {
    /// The algorithm of a number, if it is known here.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// How stored bytes are turned into a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// The bytes are the chunk.
    Raw = 0,
    /// One zstd frame with its content size (RFC 8878).
    Zstd = 1,
    /// One gzip member (RFC 1952); in transport only, never in a store.
    Gzip = 2,
}

impl Codec {
    /// Set in a codec's number when the bytes are encrypted. Kept for later: a reader of today refuses it.
    pub const ENCRYPTED: u8 = 0x80;

    /// The codec of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            2 => Some(Self::Gzip),
            _ => None,
        }
    }
}
