//! What is kept of each frame in a segment's keys: 72 bytes, see docs/formats.md ("Frame cache").

use plyos_ids::ChunkId;

/// What a frame is found by: its chunk, and how it was encoded (form, level, version of the encoder).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub chunk: ChunkId,
    pub coding: u64,
}

/// The first 16 bytes of the BLAKE3 of key and frame: enough against damage, which is all that it is for.
pub(super) type Check = [u8; 16];

/// Where a frame lies in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub offset: u64,
    pub length: u64,
    pub check: Check,
}

/// Bytes of key and record in a file.
pub(super) const RECORD: usize = 72;

/// The check of a frame under its key, so that a damaged key is noticed too.
pub(super) fn check(key: &Key, frame: &[u8]) -> Check {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.chunk.as_bytes()).update(&key.coding.to_le_bytes()).update(frame);
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

impl Record {
    /// Whether `frame` is what was put in under `key`.
    pub(super) fn is_of(&self, key: &Key, frame: &[u8]) -> bool {
        check(key, frame) == self.check
    }

    pub(super) fn emit(&self, key: &Key, out: &mut Vec<u8>) {
        out.extend_from_slice(key.chunk.as_bytes());
        for number in [key.coding, self.offset, self.length] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.check);
    }

    /// Any bytes are a record; whether a true one, its check will say.
    pub(super) fn parse(bytes: &[u8; RECORD]) -> Option<(Key, Self)> {
        let (chunk, rest) = bytes.split_first_chunk::<32>()?;
        let (coding, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (length, check) = rest.split_first_chunk::<8>()?;
        let key = Key { chunk: ChunkId::from_bytes(*chunk), coding: u64::from_le_bytes(*coding) };
        let (offset, length) = (u64::from_le_bytes(*offset), u64::from_le_bytes(*length));
        Some((key, Self { offset, length, check: check.try_into().ok()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let key = Key { chunk: ChunkId::from_bytes([3; 32]), coding: 0x0102_0304_0506_0708 };
        let record = Record { offset: 9 << 40, length: 77, check: check(&key, b"frame") };
        let mut bytes = Vec::new();
        record.emit(&key, &mut bytes);
        assert_eq!(Record::parse(bytes.as_slice().try_into().unwrap()), Some((key, record)));
        assert!(record.is_of(&key, b"frame"));
        assert!(!record.is_of(&key, b"frames"));
        assert!(!record.is_of(&Key { coding: 0, ..key }, b"frame"));
    }
}
