//! Stores in files.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use plyos_ids::{Codec, LayerId, ManifestDigest};
use plyos_storefile::{LayerUpdate, RecordType, Store, StoreError};

use crate::fixture::*;

#[test]
fn what_was_put_comes_back_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::create(&path, &options(64 << 20)).unwrap();
    assert_eq!(store.superblock().unit_count, 16_384);
    assert_eq!(store.superblock().reserve_units, 163);
    let about = std::fs::metadata(&path).unwrap();
    assert_eq!(about.len(), 64 << 20);
    assert!(about.blocks() * 512 < 1 << 20, "a new store is sparse");

    let (raw, text) = (noise(1, 5000), b"plyos ".repeat(5000));
    let packed = zstd::bulk::compress(&text, 3).unwrap();
    let index = noise(2, 40_000);
    let (id, manifest) = (layer_id(&index), ManifestDigest::from_bytes([9; 32]));
    let mut writer = Store::writer(&path, Duration::ZERO).unwrap();
    let places = [
        Some(writer.append_chunk(Codec::Raw, &raw).unwrap()),
        None,
        Some(writer.append_chunk(Codec::Zstd, &packed).unwrap()),
    ];
    let page_hashes = &[[1; 32], [2; 32], [3; 32]];
    let update = LayerUpdate { id, index: &index, page_hashes, places: &places, manifest: Some(manifest) };
    writer.put_layer(update).unwrap();
    writer.put_record(RecordType::Manifest, manifest.as_bytes(), b"{}").unwrap();
    writer.set_time_floor(77);
    writer.set_time_floor(5);
    writer.set_keyring_floor(3);
    assert!(Store::open(&path).unwrap().layer(&id).unwrap().is_none(), "nothing shows before the commit");
    writer.commit(None).unwrap();
    drop(writer);

    let store = Store::open(&path).unwrap();
    assert_eq!((store.superblock().time_floor, store.superblock().keyring_floor), (77, 3));
    assert_eq!(store.record(RecordType::Manifest, manifest.as_bytes()).unwrap(), Some(b"{}".to_vec()));
    assert_eq!(store.record(RecordType::Manifest, &[0; 32]).unwrap(), None);
    assert_eq!(store.records(RecordType::Manifest).count(), 1);
    assert_eq!(store.records(RecordType::Pin).count(), 0);
    assert!(store.layer(&LayerId::default()).unwrap().is_none());
    let layer = store.layer(&id).unwrap().unwrap();
    assert!(!layer.complete);
    assert_eq!((layer.id, layer.index_len, layer.manifest), (id, 40_000, Some(manifest)));
    assert_eq!(layer.index_bytes().unwrap(), index);
    assert_eq!(layer.read_page(1).unwrap(), &index[16_384..32_768]);
    assert_eq!(layer.read_page(2).unwrap(), &index[32_768..]);
    assert!(matches!(layer.read_page(3), Err(StoreError::Invalid { .. })));
    assert_eq!(layer.page_hashes(), page_hashes);
    assert_eq!(layer.places(), places);
    let mounted = store.mounted_layer(&id).unwrap().unwrap();
    assert_eq!((mounted.complete, mounted.index_len, mounted.manifest), (false, 40_000, Some(manifest)));
    assert_eq!(mounted.page_hashes(), page_hashes);
    assert_eq!([0, 1, 3].map(|ordinal| mounted.place(ordinal).unwrap()), [places[0], None, None]);
    let mut page = [0xff; 16_384];
    mounted.read_page_into(2, &mut page).unwrap();
    assert!(page.starts_with(&index[32_768..]) && page[40_000 - 32_768..].iter().all(|byte| *byte == 0));
    assert!(store.mounted_layer(&LayerId::default()).unwrap().is_none());
    assert_eq!((layer.place(0), layer.place(1), layer.place(3)), (places[0], None, None));
    assert_eq!(store.read_place(places[0].unwrap(), 5000, &chunk_id(&raw)).unwrap(), raw);
    assert_eq!(store.read_place(places[2].unwrap(), 30_000, &chunk_id(&text)).unwrap(), text);
    assert!(matches!(
        store.read_place(places[2].unwrap(), 29_999, &chunk_id(&text)),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn a_resumed_download_keeps_its_chunks_its_index_and_its_time() {
    let device = device();
    let chunks = [noise(1, 3000), noise(2, 3000)];
    let mut first = writer(device.clone());
    let place = first.append_chunk(Codec::Raw, &chunks[0]).unwrap();
    let id = put_places(&mut first, 9, &[Some(place), None]);
    first.commit(None).unwrap();
    drop(first);

    let mut second = writer(device);
    let before = *second.layers().next().unwrap();
    let held = second.layer(&id).unwrap().unwrap().place(0).unwrap();
    assert_eq!(held, place);
    let rest = second.append_chunk(Codec::Raw, &chunks[1]).unwrap();
    put_places(&mut second, 9, &[Some(held), Some(rest)]);
    second.commit(None).unwrap();
    let layer = second.layer(&id).unwrap().unwrap();
    assert!(layer.complete);
    let after = second.layers().next().unwrap();
    assert_eq!((after.index, after.added_at), (before.index, before.added_at));
    for (chunk, place) in chunks.iter().zip(layer.places()) {
        assert_eq!(&second.read_place(place.unwrap(), 3000, &chunk_id(chunk)).unwrap(), chunk);
    }
}

#[test]
fn what_stands_at_the_path_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::write(&path, b"holiday pictures").unwrap();
    assert!(matches!(Store::create(&path, &options(1 << 20)), Err(StoreError::Exists { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"holiday pictures");
    assert!(matches!(Store::open(&path), Err(StoreError::NotOpened { .. })));
    assert!(matches!(Store::create(folder.path(), &options(1 << 20)), Err(StoreError::Exists { .. })));
    assert!(matches!(Store::open(folder.path()), Err(StoreError::NotOpened { .. })));
}

#[test]
fn a_store_that_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 4096, (1 << 20) - 1] {
        let found = Store::create(folder.path().join("store"), &options(size));
        assert!(matches!(found, Err(StoreError::Invalid { .. })), "{size}: {found:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(matches!(Store::create("/nonexistent/store", &options(1 << 20)), Err(StoreError::Io { .. })));
}

#[test]
fn a_store_that_was_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    Store::create(&path, &options(2 << 20)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(error.to_string().contains("2097152 bytes and only 1048576"), "{error}");
}
