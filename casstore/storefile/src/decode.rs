//! From stored bytes to a chunk, bounded and verified.

use std::cell::RefCell;

use plyos_blockstore::layout::MAX_CHUNK_LEN;
use plyos_ids::{ChunkId, Codec};
use zstd::bulk::Decompressor;

thread_local! {
    /// A decompression context is large; each thread keeps one.
    static ZSTD: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decodes stored bytes into a chunk of exactly `len` bytes and verifies its identity. Never writes more than `len`
/// bytes, whatever the frame says. The error is the reason, for people.
pub(crate) fn decode(codec: Codec, stored: Vec<u8>, len: u32, id: &ChunkId) -> Result<Vec<u8>, String> {
    if len == 0 || len > MAX_CHUNK_LEN {
        return Err(format!("{len} bytes are not the length of a chunk"));
    }
    let len = len as usize;
    let chunk = match codec {
        Codec::Raw => stored,
        Codec::Zstd => unpack(&stored, len)?,
        Codec::Gzip => return Err(String::from("its codec gzip is never stored")),
    };
    if chunk.len() != len {
        return Err(format!("it has {} bytes instead of {len}", chunk.len()));
    }
    if blake3::hash(&chunk).as_bytes() != id.as_bytes() {
        return Err(String::from("its bytes do not match its hash"));
    }
    Ok(chunk)
}

fn unpack(stored: &[u8], len: usize) -> Result<Vec<u8>, String> {
    ZSTD.with_borrow_mut(|kept| {
        let mut context = match kept.take() {
            Some(context) => context,
            None => Decompressor::new().map_err(|error| format!("no decompressor: {error}"))?,
        };
        let found =
            context.decompress(stored, len).map_err(|error| format!("it does not decompress: {error}"));
        *kept = Some(context);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bytes: &[u8]) -> ChunkId {
        ChunkId::from_bytes(*blake3::hash(bytes).as_bytes())
    }

    #[test]
    fn raw_and_zstd_come_back() {
        let chunk = b"plyos ".repeat(1000);
        let packed = zstd::bulk::compress(&chunk, 3).unwrap();
        assert_eq!(decode(Codec::Raw, chunk.clone(), 6000, &id(&chunk)).unwrap(), chunk);
        assert_eq!(decode(Codec::Zstd, packed, 6000, &id(&chunk)).unwrap(), chunk);
    }

    #[test]
    fn frame_that_expands_beyond_the_chunk_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(decode(Codec::Zstd, bomb, 1000, &id(b"x")).unwrap_err().contains("decompress"));
    }

    #[test]
    fn wrong_lengths_hashes_and_codecs_are_refused() {
        let chunk = vec![7; 100];
        for len in [0, 99, 101, MAX_CHUNK_LEN + 1, u32::MAX] {
            assert!(decode(Codec::Raw, chunk.clone(), len, &id(&chunk)).is_err(), "{len}");
            let packed = zstd::bulk::compress(&chunk, 3).unwrap();
            assert!(decode(Codec::Zstd, packed, len, &id(&chunk)).is_err(), "{len}");
        }
        assert!(decode(Codec::Raw, chunk.clone(), 100, &id(b"other")).unwrap_err().contains("hash"));
        assert!(decode(Codec::Gzip, chunk.clone(), 100, &id(&chunk)).is_err());
        assert!(decode(Codec::Zstd, chunk.clone(), 100, &id(&chunk)).is_err(), "not a frame");
    }
}
