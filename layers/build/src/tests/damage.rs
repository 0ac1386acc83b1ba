//! Damaged and hostile bytes: errors are fine, panics and wrong bytes are bugs.

use std::io::Cursor;
use std::sync::LazyLock;

use plyos_ids::{ChunkId, Codec};
use plyos_layer_format::index::{Chunk, Limits};
use proptest::prelude::*;
use tempfile::tempdir;

use super::{build_dir, noise};
use crate::reader::{Blob, DecodeError, ReadError, decode_chunk};
use crate::{BuildOptions, ScanOptions};

fn chunk_of(bytes: &[u8]) -> Chunk {
    Chunk { id: ChunkId::from_bytes(*blake3::hash(bytes).as_bytes()), length: bytes.len() as u32 }
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    crate::pipeline::compressor(3).unwrap().compress(bytes).unwrap()
}

#[test]
fn a_frame_decodes_to_its_chunk_alone() {
    let bytes = b"some text, some text, some text".repeat(100);
    let chunk = chunk_of(&bytes);
    assert_eq!(decode_chunk(Codec::Zstd, &frame(&bytes), &chunk).unwrap(), bytes);
    assert_eq!(decode_chunk(Codec::Raw, &bytes, &chunk).unwrap(), bytes);
    let other = [&bytes[..bytes.len() - 1], b"!"].concat();
    for (codec, stored) in [(Codec::Zstd, frame(&other)), (Codec::Raw, other.clone())] {
        let error = decode_chunk(codec, &stored, &chunk).unwrap_err();
        assert!(matches!(error, DecodeError::Chunk { .. }), "{error}");
    }
}

#[test]
fn frame_with_something_after_it() {
    let bytes = noise(1, 1000);
    let chunk = chunk_of(&bytes);
    let skippable = plyos_layer_format::footer::skippable(0);
    for tail in [&b"x"[..], &frame(b""), &frame(b"more"), &skippable] {
        let stored = [&frame(&bytes), tail].concat();
        let error = decode_chunk(Codec::Zstd, &stored, &chunk).unwrap_err();
        assert!(matches!(error, DecodeError::Damaged(_)), "{error}");
    }
    let error = decode_chunk(Codec::Zstd, &[&skippable[..], &frame(&bytes)].concat(), &chunk).unwrap_err();
    assert!(matches!(error, DecodeError::Damaged(_)), "{error}");
}

#[test]
fn bomb_that_decodes_to_more_than_stated() {
    let bomb = frame(&vec![0; 64 << 20]);
    assert!(bomb.len() < 10_000);
    let chunk = Chunk { id: ChunkId::default(), length: 1 << 20 };
    assert!(matches!(decode_chunk(Codec::Zstd, &bomb, &chunk), Err(DecodeError::Damaged(_))));
    let chunk = Chunk { id: ChunkId::default(), length: 64 << 20 };
    assert!(matches!(decode_chunk(Codec::Zstd, &bomb, &chunk), Err(DecodeError::Limit { .. })));
}

#[test]
fn bomb_without_a_content_size() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    std::io::copy(&mut Cursor::new(vec![0; 1 << 20]), &mut encoder).unwrap();
    let stored = encoder.finish().unwrap();
    let chunk = chunk_of(&vec![0; 1 << 20]);
    assert!(matches!(decode_chunk(Codec::Zstd, &stored, &chunk), Err(DecodeError::Damaged(_))));
}

/// A small blob and the bytes of all its chunks.
static SAMPLE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "text ".repeat(1000)).unwrap();
    std::fs::write(dir.path().join("large"), noise(1, 100_000)).unwrap();
    let (_, blob) = build_dir(dir.path(), &ScanOptions::default());
    let stream = read_all(&blob).unwrap();
    (blob, stream)
});

fn read_all(blob: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut blob = Blob::open(Cursor::new(blob), &Limits::default())?;
    let (index, frames) = blob.parts()?;
    let mut stream = Vec::new();
    for (ordinal, chunk) in index.chunks().enumerate() {
        stream.extend(frames.chunk(ordinal as u64, &chunk?)?);
    }
    Ok(stream)
}

#[test]
fn every_cut_blob_is_refused() {
    let (blob, _) = &*SAMPLE;
    for end in (0..blob.len()).rev().step_by(97) {
        assert!(read_all(&blob[..end]).is_err(), "{end}");
    }
}

#[test]
fn blob_whose_index_is_longer_than_the_reader_takes() {
    let (blob, _) = &*SAMPLE;
    let limits = Limits { index_bytes: 16_384, ..Limits::default() };
    let error = Blob::open(Cursor::new(blob), &limits).unwrap_err();
    assert!(matches!(error, ReadError::Index(_)), "{error}");
}

#[test]
fn an_incompressible_chunk_is_one_frame_within_the_limit() {
    let dir = tempdir().unwrap();
    for name in 0..200 {
        std::fs::write(dir.path().join(name.to_string()), noise(name, 60_000)).unwrap();
    }
    let tree = crate::scan(dir.path(), &ScanOptions::default()).unwrap();
    for level in [1, 19] {
        let (built, blob) =
            super::build_tree(&tree, &BuildOptions { level, threads: 2, ..BuildOptions::default() });
        let blob = Blob::open(Cursor::new(&blob), &Limits::default()).unwrap();
        assert!(blob.table().lengths.iter().all(|length| *length <= (1 << 20) + 4096));
        assert_eq!(blob.table().encoder, level as u32);
        assert!(built.blob_len < built.stream_len + built.stream_len / 100);
    }
}

proptest! {
    #[test]
    fn a_changed_blob_is_refused_or_reads_the_same(
        at in any::<prop::sample::Index>(),
        from_end in 0usize..400,
        near_end in any::<bool>(),
        value in any::<u8>(),
    ) {
        let (blob, stream) = &*SAMPLE;
        let at = if near_end { blob.len() - 1 - from_end } else { at.index(blob.len()) };
        let mut changed = blob.clone();
        changed[at] = value;
        if let Ok(found) = read_all(&changed) {
            prop_assert_eq!(&found, stream);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), length in 0u32..5000) {
        let chunk = Chunk { id: ChunkId::default(), length };
        prop_assert!(decode_chunk(Codec::Zstd, &bytes, &chunk).is_err());
        prop_assert!(decode_chunk(Codec::Raw, &bytes, &chunk).is_err());
        prop_assert!(read_all(&bytes).is_err());
    }

    #[test]
    fn mutated_frames_are_refused_or_decode_to_the_chunk(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let bytes = b"the quick brown fox ".repeat(50);
        let chunk = chunk_of(&bytes);
        let mut stored = frame(&bytes);
        let at = at.index(stored.len());
        stored[at] = value;
        if let Ok(found) = decode_chunk(Codec::Zstd, &stored, &chunk) {
            prop_assert_eq!(&found, &bytes);
        }
        let whole = frame(&bytes);
        prop_assert!(decode_chunk(Codec::Zstd, &whole[..end.index(whole.len())], &chunk).is_err());
    }
}
