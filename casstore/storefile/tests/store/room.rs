//! A store that is full, and room that is used again.

use plyos_blockstore::{RecordType, general_area};
use plyos_ids::{Codec, LayerId};
use plyos_storefile::{LayerUpdate, Place, RecordingDevice, StoreError, Writer};

use crate::fixture::*;

/// Fills the store with one layer of 20 KiB chunks.
fn fill(writer: &mut Writer<RecordingDevice>) -> LayerId {
    let mut places: Vec<Option<Place>> = Vec::new();
    let error = loop {
        match writer.append_chunk(Codec::Raw, &noise(places.len() as u8, 20_480)) {
            Ok(place) => places.push(Some(place)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { needed: 20_480, .. }), "{error}");
    // What is left is shorter than a chunk and holds the index.
    put_places(writer, 200, &places)
}

#[test]
fn a_full_store_can_still_commit_and_clean_up() {
    let device = device();
    let mut first = writer(device.clone());
    let all = first.free_bytes();
    let id = fill(&mut first);
    first.commit(None).unwrap();
    // Take what is left between chunks and reserve, byte by byte.
    while first.append_chunk(Codec::Raw, &noise(1, 1)).is_ok() {
        first.commit(None).unwrap();
    }
    drop(first);

    let mut second = writer(device.clone());
    second.remove_layer(&id);
    second.put_record(RecordType::Audit, &RecordType::ONLY, &noise(3, 60_000)).unwrap();
    second.commit(None).unwrap();
    let bound = general_area(second.superblock()).end;
    let audit = second.records(RecordType::Audit).next().unwrap();
    assert!(audit.extent.units().0 >= bound, "it had to go into the reserve");
    assert!(second.free_bytes() < 100_000, "the older copy still reaches what was removed");
    second.put_record(RecordType::Repository, &[1; 32], b"{}").unwrap();
    second.commit(None).unwrap();
    second.reclaim().unwrap();
    assert!(second.free_bytes() + 65_536 > all, "{} of {all}", second.free_bytes());
    // What is written now goes into the general area again, the reserve is free for the next time.
    second.put_record(RecordType::Repository, &[1; 32], b"[]").unwrap();
    second.commit(None).unwrap();
    assert!(second.superblock().directory.units().1 <= bound);
}

#[test]
fn what_a_session_appended_is_used_again_by_the_next() {
    let device = device();
    let mut first = writer(device.clone());
    let id = fill(&mut first);
    first.commit(None).unwrap();
    first.remove_layer(&id);
    first.commit(None).unwrap();
    first.put_record(RecordType::Repository, &[1; 32], b"{}").unwrap();
    first.commit(None).unwrap();
    // Its places are still in the caller's hands, who may put them into another layer.
    assert!(matches!(first.append_chunk(Codec::Raw, &noise(1, 200_000)), Err(StoreError::Full { .. })));
    drop(first);
    writer(device).append_chunk(Codec::Raw, &noise(1, 200_000)).unwrap();
}

#[test]
fn append_finds_what_others_removed_and_this_session_freed() {
    let device = device();
    let id = fill_and_commit(&device);
    let mut second = writer(device);
    second.remove_layer(&id);
    second.commit(None).unwrap();
    let early = second.append_chunk(Codec::Raw, &noise(1, 200_000));
    assert!(matches!(early, Err(StoreError::Full { .. })), "the older copy still reaches it");
    second.put_record(RecordType::Repository, &[1; 32], b"{}").unwrap();
    second.commit(None).unwrap();
    second.append_chunk(Codec::Raw, &noise(1, 200_000)).unwrap();
}

fn fill_and_commit(device: &RecordingDevice) -> LayerId {
    let mut writer = writer(device.clone());
    let id = fill(&mut writer);
    writer.commit(None).unwrap();
    id
}

#[test]
fn chunks_of_a_batch_share_units_and_batches_do_not() {
    let mut writer = writer(device());
    let places: Vec<Place> =
        (0..5).map(|n| writer.append_chunk(Codec::Raw, &noise(n, 100)).unwrap()).collect();
    assert!(places.windows(2).all(|pair| pair[1].offset == pair[0].offset + 100));
    writer.commit(None).unwrap();
    let next = writer.append_chunk(Codec::Raw, &noise(9, 100)).unwrap();
    assert_eq!(next.offset % 4096, 0, "a batch starts on a fresh unit");
    assert!(next.offset / 4096 > places[4].offset / 4096);
}

#[test]
fn what_cannot_be_a_chunk_or_a_layer_is_refused() {
    let mut writer = writer(device());
    for (codec, len) in
        [(Codec::Raw, 0), (Codec::Raw, (1 << 20) + 1), (Codec::Zstd, 1_052_673), (Codec::Gzip, 10)]
    {
        let found = writer.append_chunk(codec, &vec![1; len]);
        assert!(matches!(found, Err(StoreError::Invalid { .. })), "{codec:?} {len}");
    }
    let index = noise(1, 100);
    let id = layer_id(&index);
    let good = writer.append_chunk(Codec::Raw, &[1; 100]).unwrap();
    let mut put = |id, index: &[u8], page_hashes: &[[u8; 32]], place| {
        writer.put_layer(LayerUpdate { id, index, page_hashes, places: &[Some(place)], manifest: None })
    };
    put(id, &index, &[], good).unwrap();
    assert!(put(LayerId::default(), &index, &[], good).is_err(), "an index of another layer");
    assert!(put(layer_id(&[]), &[], &[], good).is_err(), "no index");
    assert!(put(id, &index, &[[0; 32]], good).is_err(), "one page hash");
    for stray in [
        Place { offset: good.offset + 65_536, ..good },
        Place { offset: 0, ..good },
        Place { offset: u64::MAX, ..good },
        Place { length: 0, ..good },
        Place { codec: Codec::Gzip, ..good },
    ] {
        assert!(put(id, &index, &[], stray).is_err(), "{stray:?}");
    }
}
