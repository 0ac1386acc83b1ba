//! The 32 bytes that every Plyos binary object starts with: magic, version, feature bits, total length.

use crate::{Field, View, put};

crate::byte_map! {
    /// See docs/formats.md, "Preamble".
    pub mod preamble = "preamble", 32 {
        MAGIC: 0, 8;
        VERSION: 8, 2;
        HEADER_SIZE: 10, 2;
        COMPAT: 12, 4;
        INCOMPAT: 16, 4;
        RESERVED: 20, 4;
        TOTAL_LEN: 24, 8;
    }
}

/// Bytes of the preamble.
pub const PREAMBLE_SIZE: usize = preamble::SIZE;

/// A checked preamble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// Which object this is: eight ASCII bytes.
    pub magic: [u8; 8],
    /// Major version; a reader refuses what it does not know.
    pub version: u16,
    /// Bytes from the start of the object to the end of its fixed header, this preamble included.
    pub header_size: u16,
    /// Features that a reader may ignore.
    pub compat: u32,
    /// Features that a reader must know.
    pub incompat: u32,
    /// Bytes of the whole object.
    pub total_len: u64,
}

/// Why a preamble was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreambleError {
    /// The object is shorter than its fixed header, or than the length it states.
    Truncated,
    /// Another object, or none.
    Magic,
    /// A version that this reader does not know.
    Version(u16),
    /// Incompatible feature bits that this reader does not know.
    Features(u32),
    /// Header size, total length or reserved bytes are not what this version writes.
    Malformed,
}

impl PreambleError {
    /// Whether a newer program wrote the object: who knows more than this one may be able to read it.
    pub const fn is_too_new(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Features(_))
    }
}

impl core::fmt::Display for PreambleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends too early"),
            Self::Magic => f.write_str("it is not this kind of object (wrong magic)"),
            Self::Version(version) => {
                write!(f, "its version {version} is not known here; update this program")
            }
            Self::Features(bits) => {
                write!(f, "it uses features {bits:#010x} that are not known here; update this program")
            }
            Self::Malformed => f.write_str("its header is malformed"),
        }
    }
}

impl core::error::Error for PreambleError {}

impl Preamble {
    /// A preamble of version 1 without feature bits.
    pub const fn v1(magic: [u8; 8], header_size: usize, total_len: u64) -> Self {
        Self { magic, version: 1, header_size: header_size as u16, compat: 0, incompat: 0, total_len }
    }

    /// Reads the preamble of an object of `magic`, version 1, whose fixed header has `header_size` bytes, and returns it
    /// with the object's bytes, cut to `total_len`.
    pub fn parse<'a>(
        bytes: &'a [u8],
        magic: &[u8; 8],
        header_size: usize,
        known_incompat: u32,
    ) -> Result<(Self, &'a [u8]), PreambleError> {
        let found = Self::parse_head(bytes, magic, header_size, known_incompat)?;
        let total = usize::try_from(found.total_len).map_err(|_| PreambleError::Malformed)?;
        let object = bytes.get(..total).ok_or(PreambleError::Truncated)?;
        Ok((found, object))
    }

    /// The same for who has only the object's head at hand: `bytes` may end before the object does.
    pub fn parse_head(
        bytes: &[u8],
        magic: &[u8; 8],
        header_size: usize,
        known_incompat: u32,
    ) -> Result<Self, PreambleError> {
        let view = View::new(bytes, &preamble::LAYOUT).ok_or(PreambleError::Truncated)?;
        let found = Self {
            magic: view.array(preamble::MAGIC),
            version: view.u16(preamble::VERSION),
            header_size: view.u16(preamble::HEADER_SIZE),
            compat: view.u32(preamble::COMPAT),
            incompat: view.u32(preamble::INCOMPAT),
            total_len: view.u64(preamble::TOTAL_LEN),
        };
        if &found.magic != magic {
            return Err(PreambleError::Magic);
        }
        if found.version != 1 {
            return Err(PreambleError::Version(found.version));
        }
        if found.incompat & !known_incompat != 0 {
            return Err(PreambleError::Features(found.incompat & !known_incompat));
        }
        if usize::from(found.header_size) != header_size || !view.is_zero(preamble::RESERVED) {
            return Err(PreambleError::Malformed);
        }
        if found.total_len < header_size as u64 { Err(PreambleError::Malformed) } else { Ok(found) }
    }

    /// Writes the preamble at the start of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        let fields: [(Field, &[u8]); 6] = [
            (preamble::MAGIC, &self.magic),
            (preamble::VERSION, &self.version.to_le_bytes()),
            (preamble::HEADER_SIZE, &self.header_size.to_le_bytes()),
            (preamble::COMPAT, &self.compat.to_le_bytes()),
            (preamble::INCOMPAT, &self.incompat.to_le_bytes()),
            (preamble::TOTAL_LEN, &self.total_len.to_le_bytes()),
        ];
        for (field, value) in fields {
            put(out, field, value);
        }
        put(out, preamble::RESERVED, &[0; 4]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> [u8; 40] {
        let mut bytes = [7u8; 40];
        Preamble::v1(*b"PLYTESTS", 36, 38).emit(&mut bytes);
        bytes
    }

    #[test]
    fn round_trip_and_cut_to_total_length() {
        let bytes = sample();
        let (found, object) = Preamble::parse(&bytes, b"PLYTESTS", 36, 0).unwrap();
        assert_eq!(found, Preamble::v1(*b"PLYTESTS", 36, 38));
        assert_eq!(object.len(), 38);
    }

    #[test]
    fn each_defect_has_its_error() {
        let parse = |bytes: &[u8]| Preamble::parse(bytes, b"PLYTESTS", 36, 1).map(|_| ());
        let with = |at: usize, value: u8| {
            let mut bytes = sample();
            bytes[at] = value;
            bytes
        };
        assert_eq!(parse(&sample()[..31]), Err(PreambleError::Truncated));
        assert_eq!(parse(&sample()[..37]), Err(PreambleError::Truncated));
        assert_eq!(parse(&with(0, b'X')), Err(PreambleError::Magic));
        assert_eq!(parse(&with(8, 2)), Err(PreambleError::Version(2)));
        assert_eq!(parse(&with(16, 3)), Err(PreambleError::Features(2)));
        assert_eq!(parse(&with(16, 1)), Ok(()));
        assert_eq!(parse(&with(12, 255)), Ok(()), "compatible features are ignored");
        assert_eq!(parse(&with(20, 1)), Err(PreambleError::Malformed));
        assert_eq!(parse(&with(24, 35)), Err(PreambleError::Malformed));
    }
}
