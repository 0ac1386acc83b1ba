//! Streams that are, and are not, what their index says.

use super::*;
use crate::index::{emit, layer_id};
use crate::pages::{PageHashes, SlicePages};
use crate::samples;
use alloc::vec;
use plyos_ids::ChunkId;

/// What is said of a layer whose stream is `stream`, cut as `input` says.
fn verdict(index: &[u8], stream: &[u8]) -> Result<usize, Difference> {
    let index = Index::open(layer_id(index), PageHashes::compute(index), SlicePages(index)).unwrap();
    let (mut at, mut read) = (0, 0);
    for expected in expectations(&index) {
        let expected = expected.unwrap();
        let end = at + expected.chunk.length as usize;
        if !expected.is_content() {
            read += 1;
            expected.check(&stream[at..end])?;
        }
        at = end;
    }
    assert_eq!(at, stream.len());
    Ok(read)
}

#[test]
fn the_stream_of_an_index_agrees() {
    for input in [samples::everything(), samples::many(300, 40), samples::layer(vec![samples::dir("")])] {
        let chunks = input.chunks.len();
        assert_eq!(verdict(&emit(&input).unwrap(), &samples::stream(&input)), Ok(chunks));
    }
}

#[test]
fn chunks_of_content_alone_are_not_asked_for() {
    let mut input = samples::layer(vec![samples::dir(""), samples::file("a", 100_000)]);
    let lengths = [2 * 512, 60_000, 40_000, 352 + 1_024];
    input.chunks = lengths.map(|length| Chunk { id: ChunkId::from_bytes([1; 32]), length }).to_vec();
    let index = emit(&input).unwrap();
    assert_eq!(verdict(&index, &samples::stream(&input)), Ok(2));
}

/// Each byte that is no content is compared: with any other value it is found, where it stands and for what it is.
#[test]
fn any_byte_outside_of_contents_that_differs_is_found() {
    let input = samples::everything();
    let (index, stream) = (emit(&input).unwrap(), samples::stream(&input));
    let is_content = |at: u64| {
        input.entries.iter().any(|entry| match entry.kind {
            EntryKind::File { size, data_offset, .. } => (data_offset..data_offset + size).contains(&at),
            _ => false,
        })
    };
    let end = input.stream_len - END.len() as u64;
    for at in 0..stream.len() {
        let mut changed = stream.clone();
        changed[at] ^= 1;
        let (at, found) = (at as u64, verdict(&index, &changed));
        if is_content(at) {
            assert!(found.is_ok(), "{at}");
            continue;
        }
        let difference = found.unwrap_err();
        assert_eq!(difference.offset, at);
        assert_eq!(difference.part == Part::End, at >= end, "{at}");
        let starts = &input.header_offsets;
        let owner = starts.partition_point(|start| *start <= at) as u64 - 1;
        assert_eq!(difference.ordinal, owner, "{at}");
    }
}

#[test]
fn fingerprints_tell_what_must_stand_in_a_chunk() {
    let of = |name: &str| {
        let mut input = samples::layer(vec![samples::dir(""), samples::file(name, 600)]);
        input.chunks = vec![Chunk { id: ChunkId::from_bytes([1; 32]), length: input.stream_len as u32 }];
        let index = emit(&input).unwrap();
        let index = Index::open(layer_id(&index), PageHashes::compute(&index), SlicePages(&index)).unwrap();
        let expected = expectations(&index).next().unwrap().unwrap();
        assert_eq!(expected.held(), 3 * 512 - 512);
        expected.fingerprint()
    };
    assert_eq!(of("a"), of("a"));
    assert_ne!(of("a"), of("b"));
}

#[test]
fn chunk_that_is_too_short() {
    let input = samples::layer(vec![samples::dir("")]);
    let index = emit(&input).unwrap();
    let index = Index::open(layer_id(&index), PageHashes::compute(&index), SlicePages(&index)).unwrap();
    let expected = expectations(&index).next().unwrap().unwrap();
    let difference = Difference { ordinal: 0, part: Part::Header, offset: 0 };
    assert_eq!(expected.check(&[]), Err(difference));
}

/// Indexes that [`crate::index::check`] would refuse, opened without it: errors, and an end.
#[test]
fn indexes_whose_entries_are_not_their_stream() {
    let failure = |change: &dyn Fn(&mut crate::index::IndexInput)| {
        let mut input = samples::layer(vec![samples::dir(""), samples::file("a", 600)]);
        let all = input.stream_len as u32;
        input.chunks = vec![Chunk { id: ChunkId::from_bytes([1; 32]), length: all }];
        change(&mut input);
        let index = crate::index::assemble(&input).unwrap();
        let index = Index::open(layer_id(&index), PageHashes::compute(&index), SlicePages(&index)).unwrap();
        let mut walk = expectations(&index);
        let found = walk.find_map(Result::err);
        assert!(walk.next().is_none(), "it goes on after the error");
        found
    };
    assert_eq!(failure(&|_| {}), None);
    let longer = failure(&|input| {
        input.stream_len += 512;
        input.chunks[0].length += 512;
    });
    assert_eq!(longer, Some(IndexError::Header("its stream is longer than its entries")));
    let shorter = failure(&|input| {
        input.stream_len -= 512;
        input.chunks[0].length -= 512;
    });
    assert_eq!(shorter, Some(IndexError::Header("its stream is shorter than its entries")));
    let elsewhere = failure(&|input| {
        let EntryKind::File { data_offset, .. } = &mut input.entries[1].kind else { panic!("no file") };
        *data_offset += 512;
    });
    assert!(matches!(elsewhere, Some(IndexError::Entry { ordinal: 1, problem: EntryError::Slice, .. })));
}
