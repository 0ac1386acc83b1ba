//! Stores whose bytes were changed, and devices that fail.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plyos_blockstore::{BlockDevice, CopyDefect, Extent, RecordType, Superblock, read_map};
use plyos_ids::{Codec, LayerId};
use plyos_storefile::{LockMode, RecordingDevice, Store, StoreDevice, StoreError};

use crate::fixture::*;

/// A store with a layer and an active generation, and the identity of the layer.
fn sample() -> (RecordingDevice, LayerId) {
    let device = device();
    let mut writer = writer(device.clone());
    let id = put(&mut writer, 1, &[noise(1, 5000), noise(2, 5000)]);
    activate(&mut writer);
    writer.commit(None).unwrap();
    (device, id)
}

fn open(device: &RecordingDevice) -> Store<RecordingDevice> {
    Store::on_device(device.clone(), "store").unwrap()
}

/// The same store with one bit of an extent turned.
fn damaged(device: &RecordingDevice, extent: Extent) -> RecordingDevice {
    let mut image = device.image();
    image[(extent.offset + extent.len / 2) as usize] ^= 4;
    RecordingDevice::from_image(image)
}

/// The same store with both superblock copies changed and sealed again, where there is one.
fn with_superblocks(device: &RecordingDevice, change: impl Fn(&mut [u8])) -> RecordingDevice {
    let mut image = device.image();
    for offset in [0, 65_536] {
        let copy = &mut image[offset..offset + Superblock::SIZE];
        if copy.starts_with(b"PLYSTORE") {
            change(copy);
            let checksum = blake3::hash(&copy[..4064]);
            copy[4064..].copy_from_slice(checksum.as_bytes());
        }
    }
    RecordingDevice::from_image(image)
}

#[test]
fn damage_is_found_where_it_is_read_and_nowhere_else() {
    let (device, id) = sample();
    let store = open(&device);
    let entry = *store.layers().next().unwrap();
    let layer = store.layer(&id).unwrap().unwrap();
    let [first, second] = [0, 1].map(|ordinal| layer.place(ordinal).unwrap());

    let chunk = open(&damaged(&device, first.extent().unwrap()));
    let error = chunk.read_place(first, 5000, &chunk_id(&noise(1, 5000))).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains("chunk"), "{error}");
    chunk.read_place(second, 5000, &chunk_id(&noise(2, 5000))).unwrap();

    let map = open(&damaged(&device, entry.map));
    assert!(matches!(map.layer(&id), Err(StoreError::Damaged { .. })));
    // A mount reads the head of a map; the rest, and so its damage, is met by who asks for a place.
    let in_places = Extent { offset: entry.map.offset + 96, len: entry.map.len - 96 };
    let map = open(&damaged(&device, in_places));
    let mounted = map.mounted_layer(&id).unwrap().unwrap();
    assert_eq!(mounted.index_bytes().unwrap(), noise(1, 100));
    assert!(matches!(mounted.place(0), Err(StoreError::Damaged { .. })));
    let head = open(&damaged(&device, Extent { len: 96, ..entry.map }));
    assert!(matches!(head.mounted_layer(&id), Err(StoreError::Damaged { .. })));
    let index = open(&damaged(&device, entry.index));
    let layer = index.layer(&id).unwrap().unwrap();
    assert!(matches!(layer.index_bytes(), Err(StoreError::Damaged { .. })));

    let key = store.records(RecordType::Generation).next().unwrap();
    let record = open(&damaged(&device, key.extent));
    assert!(matches!(record.record(RecordType::Generation, &key.key), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_damaged_layer_is_repaired_by_putting_it_again() {
    let (device, id) = sample();
    let entry = *open(&device).layers().next().unwrap();
    for extent in [entry.map, entry.index] {
        let device = damaged(&device, extent);
        let mut writer = writer(device.clone());
        put(&mut writer, 1, &[noise(1, 5000), noise(2, 5000)]);
        writer.commit(None).unwrap();
        let store = open(&device);
        let layer = store.layer(&id).unwrap().unwrap();
        assert_eq!(layer.index_bytes().unwrap(), noise(1, 100));
        store.read_place(layer.place(1).unwrap(), 5000, &chunk_id(&noise(2, 5000))).unwrap();
    }
}

#[test]
fn with_the_newest_superblock_or_its_directory_damaged_the_older_state_counts() {
    let (device, id) = sample();
    let view = open(&device).view().clone();
    assert_eq!((view.chosen.number, view.chosen.superblock.sequence), (1, 2));
    let superblock = Extent { offset: 65_536, len: 4096 };
    for extent in [superblock, view.chosen.superblock.directory] {
        let device = damaged(&device, extent);
        let store = open(&device);
        assert_eq!(store.view().chosen.number, 0);
        assert!(store.view().other.is_err());
        assert!(store.layer(&id).unwrap().is_none(), "the state before");
        // The damaged copy is the one that the next commit replaces.
        let mut writer = writer(device.clone());
        put(&mut writer, 1, &[noise(1, 5000)]);
        writer.commit(None).unwrap();
        let view = open(&device).view().clone();
        assert_eq!((view.chosen.number, view.chosen.superblock.sequence), (1, 2));
        assert_eq!(view.other.unwrap().number, 0);
    }
    let both = damaged(&damaged(&device, superblock), Extent { offset: 0, len: 4096 });
    assert!(matches!(Store::on_device(both, "store"), Err(StoreError::NotOpened { .. })));
}

#[test]
fn a_store_with_an_unknown_compatible_feature_is_read_and_not_written() {
    let (device, id) = sample();
    let device = with_superblocks(&device, |copy| copy[12] = 1);
    let before = device.image();
    let mut writer = writer(device.clone());
    assert!(writer.layer(&id).unwrap().is_some());
    writer.put_record(RecordType::Repository, &[1; 32], b"{}").unwrap();
    assert!(matches!(writer.commit(None), Err(StoreError::ReadOnly { .. })));
    assert_eq!(device.image(), before);
}

#[test]
fn a_store_of_a_newer_program_is_refused_whole() {
    let (device, _) = sample();
    let newer: [fn(&mut [u8]); 3] = [|copy| copy[16] = 1, |copy| copy[8] = 2, |copy| copy[68] = 2];
    for change in newer {
        let device = with_superblocks(&device, change);
        let error = Store::on_device(device.clone(), "store").unwrap_err();
        assert!(error.to_string().contains("newer program"), "{error}");
    }
    // One copy is enough: the other one must not be taken for the state, nor the newer one be replaced.
    let mixed = with_superblocks(&device, |copy| {
        if copy[48] == 2 {
            copy[16] = 1;
        }
    });
    assert!(Store::on_device(mixed, "store").unwrap_err().to_string().contains("newer program"));
}

/// A device that cannot read some bytes, and stops writing after a while.
struct Failing {
    device: RecordingDevice,
    unreadable: u64,
    writes_left: AtomicU64,
    flushes: AtomicBool,
}

impl Failing {
    fn new(device: RecordingDevice) -> Self {
        let writes_left = AtomicU64::new(u64::MAX);
        Self { device, unreadable: u64::MAX, writes_left, flushes: AtomicBool::new(true) }
    }
}

impl BlockDevice for Failing {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if (offset..offset + out.len() as u64).contains(&self.unreadable) {
            return Err(io::Error::other("medium error"));
        }
        self.device.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let left =
            self.writes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
        self.device.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        if self.flushes.load(Ordering::Relaxed) {
            self.device.flush()
        } else {
            Err(io::Error::other("medium error"))
        }
    }
}

impl StoreDevice for Failing {
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool> {
        self.device.try_lock(byte, mode)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        self.device.unlock(byte)
    }
}

#[test]
fn with_one_copy_unreadable_the_store_is_read_and_not_written() {
    let (device, _) = sample();
    for unreadable in [0, 65_536] {
        let failing = Failing { unreadable, ..Failing::new(device.clone()) };
        let mut writer = writer(failing);
        assert_eq!(writer.view().other, Err(CopyDefect::Unreadable));
        writer.put_record(RecordType::Repository, &[1; 32], b"{}").unwrap();
        let error = writer.commit(None).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    }
}

#[test]
fn a_device_that_fails_at_any_write_leaves_the_old_state_or_the_new_one() {
    let (device, _) = sample();
    let before = open(&device).superblock().sequence;
    let mut reached = None;
    for writes in 0..20 {
        let copy = RecordingDevice::from_image(device.image());
        let failing = Failing { writes_left: AtomicU64::new(writes), ..Failing::new(copy.clone()) };
        let mut writer = writer(failing);
        let appended = writer.append_chunk(Codec::Raw, &noise(7, 3000)).map(|place| {
            put_or_not(&mut writer, place);
        });
        writer.put_record(RecordType::Repository, &[1; 32], b"{}").unwrap();
        let committed = appended.and_then(|()| writer.commit(None));
        let store = open(&copy);
        match committed {
            Ok(()) => {
                assert_eq!(store.superblock().sequence, before + 1);
                reached.get_or_insert(writes);
            }
            Err(error) => {
                // The device says that there is no room; at the flip that is told apart from room for data.
                assert!(matches!(error, StoreError::NoSpace { .. } | StoreError::Io { .. }), "{error}");
                assert_eq!(store.superblock().sequence, before);
            }
        }
        for entry in store.layers() {
            read_map(&copy, entry, store.superblock().store_len()).unwrap();
        }
    }
    assert!(reached.is_some_and(|writes| writes > 3), "{reached:?}");
}

fn put_or_not(writer: &mut plyos_storefile::Writer<Failing>, place: plyos_storefile::Place) {
    let index = noise(8, 100);
    let id = layer_id(&index);
    let places = &[Some(place)];
    // The failure that is meant shows again at the commit.
    let _ = writer.put_layer(plyos_storefile::LayerUpdate {
        id,
        index: &index,
        page_hashes: &[],
        places,
        manifest: None,
    });
}

/// Linux may drop the pages that it could not write, and the next flush then succeeds.
#[test]
fn after_a_flush_that_failed_nothing_appended_before_it_is_ever_named() {
    let (device, _) = sample();
    let mut first = writer(Failing::new(device.clone()));
    put(&mut first, 5, &[noise(5, 3000)]);
    first.device().flushes.store(false, Ordering::Relaxed);
    assert!(matches!(first.commit(None), Err(StoreError::Io { .. })));
    first.device().flushes.store(true, Ordering::Relaxed);
    assert!(matches!(first.commit(None), Err(StoreError::ReadOnly { .. })));
    assert_eq!(open(&device).superblock().sequence, 2, "nothing was flipped");
    drop(first);
    let mut second = writer(device.clone());
    put(&mut second, 5, &[noise(5, 3000)]);
    second.commit(None).unwrap();
    assert_eq!(open(&device).superblock().sequence, 3);
}
