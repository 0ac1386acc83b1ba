//! A store that grows in place: the power goes after each write, with any part of what was not flushed lost or torn, and
//! the store is the old one or the new one, whole. And what lies where: no chunk ever gets into a reserve.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::time::Duration;

use plyos_blockstore::layout::UNIT;
use plyos_blockstore::{general_area, reserve_area};
use plyos_ids::{ChunkId, Codec, GenerationId, LayerId, LayerSetId};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{
    CreateOptions, LayerUpdate, Operation, Place, RecordType, RecordingDevice, SlotWriter, Store, StoreError,
    Writer,
};
use proptest::prelude::*;

const SMALL: u64 = 1 << 20;
const LARGE: u64 = 3 << 20;
const SECTOR: usize = 512;

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

fn writer(device: &RecordingDevice) -> Writer<RecordingDevice> {
    Writer::on_device(device.clone(), "store", Duration::ZERO).unwrap()
}

/// Puts a layer of raw chunks; its index is a stand-in.
fn put(writer: &mut Writer<RecordingDevice>, seed: u8, chunks: &[Vec<u8>]) -> LayerId {
    let places: Vec<Option<Place>> =
        chunks.iter().map(|chunk| Some(writer.append_chunk(Codec::Raw, chunk).unwrap())).collect();
    let index = noise(seed, 100);
    let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
    writer
        .put_layer(LayerUpdate { id, index: &index, page_hashes: &[], places: &places, manifest: None })
        .unwrap();
    id
}

fn chunks() -> Vec<Vec<u8>> {
    (0..9).map(|seed| noise(seed, 20_000 + usize::from(seed) * 777)).collect()
}

/// A store of 1 MiB at the start of a device of 3, whose rest is rubbish: a layer, an active generation, and records so
/// long that some of them had to go into the reserve.
fn sample() -> RecordingDevice {
    let device = RecordingDevice::from_image(noise(99, LARGE as usize));
    Store::create_on_device(device.clone(), "store", &CreateOptions { size: SMALL, boots: true }).unwrap();
    let mut writer = writer(&device);
    put(&mut writer, 1, &chunks());
    let number = writer.take_generation_number();
    let record = noise(77, 200);
    let generation = GenerationId::from_bytes(*blake3::hash(&record).as_bytes());
    writer.put_record(RecordType::Generation, generation.as_bytes(), &record).unwrap();
    let new = Candidate { number, generation, layer_set: LayerSetId::default() };
    let slots = writer.slots().apply(Event::Activate(new), 1).unwrap();
    writer.set_slots(slots);
    writer.commit(None).unwrap();
    // Chunks up to the end of the general area, and the rest of it byte by byte.
    let rest = usize::try_from(writer.free_bytes() - 8 * UNIT).unwrap();
    put(&mut writer, 2, &[noise(2, rest)]);
    writer.commit(None).unwrap();
    while writer.append_chunk(Codec::Raw, &[5]).is_ok() {
        writer.commit(None).unwrap();
    }
    writer.put_record(RecordType::Repository, &[3; 32], &noise(3, 9_000)).unwrap();
    writer.commit(None).unwrap();
    let reserve = reserve_area(writer.superblock());
    assert!(
        writer.superblock().directory.units().0 >= reserve.start,
        "the directory had to go into the reserve"
    );
    RecordingDevice::from_image(device.image())
}

/// Everything that must be there before and after. Gives the size of the store.
fn check(device: &RecordingDevice) -> Result<u64, String> {
    let store = Store::on_device(device.clone(), "store").map_err(|error| error.to_string())?;
    let id = LayerId::from_bytes(*blake3::hash(&noise(1, 100)).as_bytes());
    let layer = store.layer(&id).map_err(|error| error.to_string())?.ok_or("the layer is gone")?;
    layer.index_bytes().map_err(|error| error.to_string())?;
    for (place, chunk) in layer.places().iter().zip(chunks()) {
        let id = ChunkId::from_bytes(*blake3::hash(&chunk).as_bytes());
        let place = place.ok_or("a chunk is absent")?;
        store.read_place(place, chunk.len() as u32, &id).map_err(|error| error.to_string())?;
    }
    for record_type in [RecordType::Generation, RecordType::Repository] {
        let entry = store.records(record_type).next().ok_or("a record is gone")?;
        store.record(record_type, &entry.key).map_err(|error| error.to_string())?;
    }
    if store.slots().active().is_none() {
        return Err(String::from("nothing is active"));
    }
    for copy in store.view().copies() {
        let reserve = reserve_area(&copy.superblock);
        for entry in copy.directory.layers.values() {
            let map = plyos_blockstore::read_map(store.device(), entry, copy.superblock.store_len());
            let map = map.map_err(|error| error.to_string())?;
            let content = map.places.iter().flatten().filter_map(Place::extent).chain([entry.index]);
            for extent in content {
                if extent.units().1 > reserve.start {
                    return Err(format!("{extent:?} lies in the reserve of copy {}", copy.number));
                }
            }
        }
    }
    Ok(store.superblock().store_len())
}

/// The medium after a cut: everything that was flushed, and of the rest what `fate` (by position) leaves: 0 all, 1
/// nothing, else sectors by chance.
fn cut(base: &[u8], log: &[Operation], mut fate: impl FnMut() -> u64) -> Vec<u8> {
    let flushed = log.iter().rposition(|operation| *operation == Operation::Flush).map_or(0, |at| at + 1);
    let mut image = base.to_vec();
    for (at, operation) in log.iter().enumerate() {
        let Operation::Write { offset, bytes } = operation else { continue };
        let kind = if at < flushed { 0 } else { fate() % 3 };
        let start = *offset as usize;
        for (sector, part) in bytes.chunks(SECTOR).enumerate() {
            let kept = kind == 0 || (kind == 2 && fate().is_multiple_of(2));
            if kept {
                image[start + sector * SECTOR..][..part.len()].copy_from_slice(part);
            }
        }
    }
    image
}

/// Cuts everywhere in `log`; gives the number of states, or what was wrong with one.
fn cut_everywhere(base: &[u8], log: &[Operation], size: u64, seed: u64) -> Result<usize, String> {
    let mut states = 0;
    let mut random = seed;
    for end in 0..=log.len() {
        for sample in 0..40 {
            let image = cut(base, &log[..end], || match sample {
                0 | 1 => sample,
                _ => {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    random >> 33
                }
            });
            let device = RecordingDevice::from_image(image);
            let found = check(&device).map_err(|error| format!("cut {end}, sample {sample}: {error}"))?;
            if found != SMALL && found != size {
                return Err(format!("cut {end}, sample {sample}: {found} bytes"));
            }
            // Doing it again completes it, and the new room can be used.
            let mut writer = writer(&device);
            writer.grow(size).map_err(|error| format!("cut {end}, sample {sample}: {error}"))?;
            let len = usize::try_from(writer.free_bytes().min(100_000)).unwrap();
            if size == LARGE {
                put(&mut writer, 9, &[noise(50, len)]);
                writer.commit(None).unwrap();
            }
            if check(&device)? != size {
                return Err(format!("cut {end}, sample {sample}: growing again did not"));
            }
            states += 1;
        }
    }
    Ok(states)
}

fn grown(size: u64) -> (Vec<u8>, Vec<Operation>) {
    let device = sample();
    let base = device.image();
    writer(&device).grow(size).unwrap();
    (base, device.log())
}

#[test]
fn a_cut_anywhere_leaves_the_old_size_or_the_new_one() {
    for size in [LARGE, SMALL + UNIT, SMALL + 17 * UNIT, SMALL + 64 * UNIT, SMALL + 65 * UNIT] {
        let (base, log) = grown(size);
        let states =
            cut_everywhere(&base, &log, size, 7).unwrap_or_else(|error| panic!("to {size}: {error}"));
        println!("to {size}: {states} states");
        assert!(states > 200);
    }
}

#[test]
fn without_the_flush_before_the_flip_the_cut_is_noticed() {
    let (base, mut log) = grown(LARGE);
    let flip = log
        .iter()
        .position(|o| matches!(o, Operation::Write { bytes, .. } if bytes.starts_with(b"PLYSTORE")));
    let flush = flip.unwrap() - 1;
    assert_eq!(log[flush], Operation::Flush);
    // Both flushes before the second flip: with one of them gone the other copy still holds the old state.
    let flips: Vec<usize> = (0..log.len())
        .filter(|at| matches!(&log[*at], Operation::Write { bytes, .. } if bytes.starts_with(b"PLYSTORE")))
        .collect();
    for flip in flips.into_iter().rev() {
        log.remove(flip + 1);
        log.remove(flip - 1);
    }
    cut_everywhere(&base, &log, LARGE, 7).expect_err("missing flushes were not noticed");
}

#[test]
fn a_promotion_beside_a_writer_in_a_grown_store_meets_no_chunk() {
    let device = sample();
    let mut first = writer(&device);
    first.grow(LARGE).unwrap();
    // All of the room that came with the growth, the former reserve too, is being filled...
    let mut places = Vec::new();
    while let Ok(place) = first.append_chunk(Codec::Raw, &noise(places.len() as u8, 50_000)) {
        places.push(place);
    }
    let former = SMALL - 64 * UNIT..SMALL;
    assert!(places.iter().any(|place| former.contains(&place.offset)), "the former reserve is used");
    let index = noise(31, 100);
    let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
    // ...while init commits small records, more than once.
    for round in 0..4 {
        let mut second = SlotWriter::on_device(device.clone(), "store").unwrap();
        let active = second.slots().active().map(|slot| slot.generation);
        second.put_record(RecordType::Audit, &RecordType::ONLY, &noise(round, 40_000)).unwrap();
        second.commit(active).unwrap();
        assert!(second.superblock().directory.units().0 >= reserve_area(second.superblock()).start);
    }
    let held: Vec<Option<Place>> = places.iter().copied().map(Some).collect();
    first
        .put_layer(LayerUpdate { id, index: &index, page_hashes: &[], places: &held, manifest: None })
        .unwrap();
    first.commit(None).unwrap();
    let store = Store::on_device(device.clone(), "store").unwrap();
    for (number, place) in places.iter().enumerate() {
        let chunk = noise(number as u8, 50_000);
        let id = ChunkId::from_bytes(*blake3::hash(&chunk).as_bytes());
        store.read_place(*place, 50_000, &id).unwrap();
    }
    assert_eq!(check(&device), Ok(LARGE));
}

#[test]
fn between_the_two_commits_no_chunk_goes_where_the_older_copy_has_its_reserve() {
    let (base, log) = grown(LARGE);
    let flip = log
        .iter()
        .position(|o| matches!(o, Operation::Write { bytes, .. } if bytes.starts_with(b"PLYSTORE")));
    let image = cut(&base, &log[..=flip.unwrap() + 1], || 0);
    let device = RecordingDevice::from_image(image);
    let mut writer = writer(&device);
    let older = writer.view().other.as_ref().unwrap().superblock;
    assert_eq!((older.store_len(), writer.superblock().store_len()), (SMALL, LARGE));
    let reserve = reserve_area(&older);
    while let Ok(place) = writer.append_chunk(Codec::Raw, &noise(1, 50_000)) {
        let (start, end) = place.extent().unwrap().units();
        assert!(end <= reserve.start || start >= reserve.end, "{place:?} in {reserve:?}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let device = sample();
    let mut writer = writer(&device);
    let before = device.image();
    for (size, why) in [(SMALL - 1, "shrinks"), (0, "shrinks"), (LARGE + UNIT, "enlarging")] {
        let error = writer.grow(size).unwrap_err();
        assert!(error.to_string().contains(why), "{size}: {error}");
    }
    writer.put_record(RecordType::Repository, &[4; 32], b"{}").unwrap();
    assert!(matches!(writer.grow(LARGE), Err(StoreError::Invalid { .. })), "something is pending");
    writer.discard();
    assert_eq!(device.image(), before);
    writer.grow(LARGE).unwrap();
}

#[test]
fn a_file_grows_with_its_store_and_open_readers_follow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut reader = Store::create(&path, &CreateOptions { size: SMALL, boots: false }).unwrap();
    let mut writer = Store::writer(&path, Duration::ZERO).unwrap();
    let before = writer.free_bytes();
    writer.grow(LARGE + 5).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), LARGE);
    assert!(writer.free_bytes() >= before + (LARGE - SMALL) / 100 * 99 - 4 * UNIT, "{}", writer.free_bytes());
    writer.append_chunk(Codec::Raw, &noise(1, 1 << 20)).unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.superblock().store_len(), LARGE);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]
    #[test]
    fn the_reserve_never_begins_earlier_than_before(steps in proptest::collection::vec(0u64..40, 1..8)) {
        let device = RecordingDevice::new(LARGE as usize);
        Store::create_on_device(device.clone(), "store", &CreateOptions { size: SMALL, boots: false }).unwrap();
        let mut writer = writer(&device);
        let mut size = SMALL;
        for step in steps {
            let before = general_area(writer.superblock());
            size += step * UNIT;
            writer.grow(size).unwrap();
            let after = general_area(writer.superblock());
            prop_assert!(after.end >= before.end && after.start == before.start);
            prop_assert_eq!(writer.superblock().store_len(), size);
            let reserve = reserve_area(writer.superblock());
            prop_assert!(reserve.end - reserve.start >= 64);
        }
    }
}
