//! Every object of a store, damaged one at a time: what a verification names, and that a repair by putting the object again
//! leaves a store in which everything verifies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plyos_blockstore::BlockDevice;
use plyos_ids::{ChunkId, Codec, LayerId};
use plyos_storefile::{
    ChunkCheck, CreateOptions, Defect, Extent, LayerEntry, LayerUpdate, LockMode, Place, RecordType,
    RecordingDevice, Store, StoreDevice, StoreError, Writer,
};

const KEY: [u8; 32] = [4; 32];
const CHUNKS: [u8; 3] = [1, 2, 3];
const INDEX: usize = 40_000;

/// A device of which some bytes cannot be read.
#[derive(Clone)]
struct Unreadable {
    device: RecordingDevice,
    bytes: Range<u64>,
}

impl BlockDevice for Unreadable {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset < self.bytes.end && offset + out.len() as u64 > self.bytes.start {
            // EIO
            return Err(io::Error::from_raw_os_error(5));
        }
        self.device.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.device.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        self.device.flush()
    }
}

impl StoreDevice for Unreadable {
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool> {
        self.device.try_lock(byte, mode)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        self.device.unlock(byte)
    }
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

fn chunk(seed: u8) -> Vec<u8> {
    [noise(seed, 5000), vec![seed; 5000]].concat()
}

fn chunk_id(seed: u8) -> ChunkId {
    ChunkId::from_bytes(*blake3::hash(&chunk(seed)).as_bytes())
}

fn layer_id() -> LayerId {
    LayerId::from_bytes(*blake3::hash(&noise(9, INDEX)).as_bytes())
}

fn append<D: StoreDevice>(writer: &mut Writer<D>, seed: u8) -> Place {
    let stored = zstd::bulk::compress(&chunk(seed), 3).unwrap();
    writer.append_chunk(Codec::Zstd, &stored).unwrap()
}

fn put<D: StoreDevice>(writer: &mut Writer<D>, places: &[Place]) {
    let places: Vec<_> = places.iter().copied().map(Some).collect();
    let index = noise(9, INDEX);
    // Opaque here: whoever reads pages merges them to the identity.
    let page_hashes = [[1; 32], [2; 32], [3; 32]];
    let update = LayerUpdate {
        id: layer_id(),
        index: &index,
        page_hashes: &page_hashes,
        places: &places,
        manifest: None,
    };
    writer.put_layer(update).unwrap();
}

/// A store with a layer of three chunks and a record, committed twice so that both copies are there.
fn sample() -> RecordingDevice {
    let device = RecordingDevice::new(1 << 20);
    Store::create_on_device(device.clone(), "store", &CreateOptions { size: 0, boots: false }).unwrap();
    let mut writer = Writer::on_device(device.clone(), "store", Duration::ZERO).unwrap();
    let places: Vec<_> = CHUNKS.iter().map(|seed| append(&mut writer, *seed)).collect();
    put(&mut writer, &places);
    writer.put_record(RecordType::Repository, &KEY, b"a repository").unwrap();
    writer.commit(None).unwrap();
    writer.set_time_floor(5);
    writer.commit(None).unwrap();
    device
}

fn open<D: StoreDevice>(device: D) -> Store<D> {
    Store::on_device(device, "store").unwrap()
}

fn entry<D: StoreDevice>(store: &Store<D>) -> LayerEntry {
    *store.layers().next().unwrap()
}

fn checks<D: StoreDevice>(store: &Store<D>) -> Vec<ChunkCheck> {
    let stored = store.layer(&layer_id()).unwrap().unwrap();
    let places = stored.places().iter().map(|place| place.unwrap());
    CHUNKS
        .iter()
        .zip(places)
        .map(|(seed, place)| ChunkCheck { id: chunk_id(*seed), length: 10_000, place })
        .collect()
}

/// What a verification finds, in words.
fn found<D: StoreDevice + Send + Sync>(store: &Store<D>) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(store.damaged_copy().map(|(number, _)| format!("copy {number}")));
    let kind = |defect: &Defect| match defect {
        Defect::Unreadable(_) => "unreadable",
        Defect::Wrong(_) => "wrong",
    };
    for record in store.records(RecordType::Repository) {
        found.extend(store.verify_record(record).err().map(|defect| format!("record {}", kind(&defect))));
    }
    let entry = entry(store);
    found.extend(store.verify_index(&entry).err().map(|defect| format!("index {}", kind(&defect))));
    match store.verify_map(&entry) {
        Err(defect) => found.push(format!("map {}", kind(&defect))),
        Ok(_) => {
            for threads in [1, 4] {
                let done = AtomicU64::new(0);
                let checks = checks(store);
                let damaged = store.verify_chunks(&checks, NonZero::new(threads).unwrap(), &|bytes| {
                    done.fetch_add(bytes, Ordering::Relaxed);
                });
                let all: u64 = checks.iter().map(|check| u64::from(check.place.length)).sum();
                assert_eq!(done.into_inner(), all, "progress reaches the end");
                if threads == 1 {
                    found.extend(damaged.iter().map(|(at, defect)| format!("chunk {at} {}", kind(defect))));
                } else {
                    let same = found.iter().filter(|line| line.starts_with("chunk")).count();
                    assert_eq!(damaged.len(), same, "as many on four threads");
                }
            }
        }
    }
    found
}

/// The same store with one bit turned in the middle of an extent.
fn turned(device: &RecordingDevice, extent: Extent) -> RecordingDevice {
    let mut image = device.image();
    image[(extent.offset + extent.len / 2) as usize] ^= 4;
    RecordingDevice::from_image(image)
}

fn unreadable(device: &RecordingDevice, extent: Extent) -> Unreadable {
    let bytes = extent.offset + extent.len / 2..extent.offset + extent.len / 2 + 1;
    Unreadable { device: RecordingDevice::from_image(device.image()), bytes }
}

/// Puts everything again but undamaged chunks, as a repair does.
fn repair<D: StoreDevice + Clone + Send + Sync>(device: &D) {
    let before = open(device.clone());
    let mut writer = Writer::repairer_on_device(device.clone(), "store", Duration::ZERO).unwrap();
    let one = NonZero::<usize>::MIN;
    let places: Vec<Place> = match before.verify_map(&entry(&before)) {
        Err(_) => CHUNKS.iter().map(|seed| append(&mut writer, *seed)).collect(),
        Ok(_) => {
            let checks = checks(&before);
            let damaged = before.verify_chunks(&checks, one, &|_| {});
            let is_bad = |at: usize| damaged.iter().any(|(bad, _)| *bad == at);
            (0..3)
                .map(|at| if is_bad(at) { append(&mut writer, CHUNKS[at]) } else { checks[at].place })
                .collect()
        }
    };
    put(&mut writer, &places);
    writer.put_record(RecordType::Repository, &KEY, b"a repository").unwrap();
    writer.commit(None).unwrap();
}

#[test]
fn what_is_whole_is_clean() {
    let store = open(sample());
    assert_eq!(found(&store), Vec::<String>::new());
}

#[test]
fn the_blank_copy_of_a_new_store_is_not_damage() {
    let device = RecordingDevice::new(1 << 20);
    Store::create_on_device(device.clone(), "store", &CreateOptions { size: 0, boots: false }).unwrap();
    assert_eq!(open(device.clone()).damaged_copy(), None);
    let scribbled = turned(&device, Extent { offset: 65_536, len: 4096 });
    assert_eq!(open(scribbled).damaged_copy().map(|(number, _)| number), Some(1));
}

#[test]
fn each_damage_is_named_and_repaired() {
    let device = sample();
    let store = open(device.clone());
    let layer = entry(&store);
    let record = store.records(RecordType::Repository).next().unwrap().extent;
    let chunk = |at: usize| checks(&store)[at].place.extent().unwrap();
    let objects = [
        ("index", layer.index),
        ("map", layer.map),
        ("record", record),
        ("chunk 0", chunk(0)),
        ("chunk 2", chunk(2)),
    ];
    for (name, extent) in objects {
        let bad = turned(&device, extent);
        assert_eq!(found(&open(bad.clone())), [format!("{name} wrong")]);
        repair(&bad);
        assert_eq!(found(&open(bad)), Vec::<String>::new(), "{name} after its repair");

        let bad = unreadable(&device, extent);
        assert_eq!(found(&open(bad.clone())), [format!("{name} unreadable")]);
        repair(&bad);
        assert_eq!(found(&open(bad)), Vec::<String>::new(), "{name} after its repair");
    }
}

#[test]
fn a_damaged_page_of_an_index_is_not_kept_by_putting_the_layer_again() {
    let device = sample();
    let before = entry(&open(device.clone()));
    for page in 0..3 {
        let bad = turned(&device, Extent { offset: before.index.offset + page * 16_384, len: 2 });
        repair(&bad);
        let store = open(bad);
        assert_ne!(entry(&store).index, before.index, "it has a new place");
        assert_eq!(store.read_index(&entry(&store)).unwrap(), noise(9, INDEX));
    }
}

#[test]
fn one_superblock_copy_is_named_and_written_anew_by_the_next_commit() {
    let device = sample();
    let newest = open(device.clone()).view().chosen.clone();
    let older = 1 - newest.number;
    for (number, extent) in [
        (newest.number, Extent { offset: newest.number as u64 * 65_536, len: 4096 }),
        (newest.number, newest.superblock.directory),
        (older, Extent { offset: older as u64 * 65_536, len: 4096 }),
    ] {
        let bad = turned(&device, extent);
        assert_eq!(found(&open(bad.clone())), [format!("copy {number}")]);
        repair(&bad);
        assert_eq!(found(&open(bad)), Vec::<String>::new());
    }
}

#[test]
fn with_both_superblock_copies_damaged_the_store_is_not_opened() {
    let device = sample();
    let both =
        turned(&turned(&device, Extent { offset: 0, len: 4096 }), Extent { offset: 65_536, len: 4096 });
    let error = Store::on_device(both, "store").unwrap_err();
    assert!(matches!(error, StoreError::NotOpened { .. }), "{error}");
}

#[test]
fn a_superblock_copy_that_cannot_be_read_is_named_and_forbids_writing() {
    let device = sample();
    let bad = unreadable(&device, Extent { offset: 0, len: 4096 });
    assert_eq!(found(&open(bad.clone())), ["copy 0"]);
    let mut writer = Writer::repairer_on_device(bad, "store", Duration::ZERO).unwrap();
    writer.set_time_floor(9);
    assert!(matches!(writer.commit(None), Err(StoreError::ReadOnly { .. })));
}

/// What it reaches is not known, and the next time the device may read it.
#[test]
fn a_map_that_cannot_be_read_stops_writers_but_not_the_repair() {
    let device = sample();
    let bad = unreadable(&device, entry(&open(device.clone())).map);
    let error = Writer::on_device(bad.clone(), "store", Duration::ZERO).err().unwrap();
    assert!(error.to_string().contains("pkg repair"), "{error}");
    repair(&bad);
    Writer::on_device(bad.clone(), "store", Duration::ZERO).err().unwrap();
    // The older copy still names the map; the next commit lets go of it.
    repair(&bad);
    Writer::on_device(bad, "store", Duration::ZERO).unwrap();
}

#[test]
fn what_a_clean_up_took_away_is_not_taken_for_damage() {
    let device = sample();
    let mut store = open(device.clone());
    let layer = entry(&store);
    let record = *store.records(RecordType::Repository).next().unwrap();
    let mut writer = Writer::on_device(device, "store", Duration::ZERO).unwrap();
    writer.remove_layer(&layer_id());
    writer.remove_record(RecordType::Repository, &KEY);
    writer.commit(None).unwrap();
    assert!(store.still_holds_layer(&layer) && store.still_holds_record(&record), "not looked again yet");
    store.refresh().unwrap();
    assert!(!store.still_holds_layer(&layer) && !store.still_holds_record(&record));
}
