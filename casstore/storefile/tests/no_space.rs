//! A store on a file system that becomes full: whichever write it is that finds no room, the error says so, the store
//! stays what it was, and goes on when there is room again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use plyos_blockstore::BlockDevice;
use plyos_ids::{ChunkId, Codec, GenerationId, LayerId, LayerSetId};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{
    CreateOptions, LayerUpdate, LockMode, Place, RecordType, RecordingDevice, Store, StoreDevice, StoreError,
    Writer,
};

/// A device on which so many writes succeed and all others find no room.
#[derive(Clone)]
struct Full {
    inner: RecordingDevice,
    left: Arc<AtomicI64>,
}

impl BlockDevice for Full {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            return self.inner.write_at(offset, bytes);
        }
        // As a file does it: the first part finds room, the rest none.
        self.inner.write_at(offset, &bytes[..bytes.len() / 2])?;
        Err(io::Error::from_raw_os_error(28))
    }

    fn flush(&self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl StoreDevice for Full {
    fn try_lock(&self, _byte: u64, _mode: LockMode) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self, _byte: u64) -> io::Result<()> {
        Ok(())
    }
}

fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

fn chunks(seed: u8) -> Vec<Vec<u8>> {
    (0..6).map(|number| noise(seed + number, 300_000)).collect()
}

/// What a command does: chunks, a commit of what came so far, the rest, then a generation that becomes active.
fn install<D: StoreDevice>(writer: &mut Writer<D>, seed: u8) -> Result<(), StoreError> {
    let index = noise(seed + 100, 30_000);
    let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
    let mut places = vec![None; 6];
    for (number, chunk) in chunks(seed).iter().enumerate() {
        places[number] = Some(writer.append_chunk(Codec::Raw, chunk)?);
        if number == 3 {
            writer.put_layer(LayerUpdate {
                id,
                index: &index,
                page_hashes: &[[1; 32], [2; 32]],
                places: &places,
                manifest: None,
            })?;
            writer.commit(None)?;
        }
    }
    writer.put_layer(LayerUpdate {
        id,
        index: &index,
        page_hashes: &[[1; 32], [2; 32]],
        places: &places,
        manifest: None,
    })?;
    let number = writer.take_generation_number();
    let record = [&number.to_le_bytes()[..], id.as_bytes()].concat();
    let generation = GenerationId::from_bytes(*blake3::hash(&record).as_bytes());
    writer.put_record(RecordType::Generation, generation.as_bytes(), &record)?;
    let new = Candidate { number, generation, layer_set: LayerSetId::default() };
    let active = writer.slots().active().map(|slot| slot.generation);
    let slots = writer.slots().apply(Event::Activate(new), 1).unwrap();
    writer.set_slots(slots);
    writer.commit(active)
}

/// The number that is active, with every byte of its layer read.
fn active(device: &RecordingDevice, seeds: &[u8]) -> u64 {
    let store = Store::on_device(device.clone(), "store").unwrap();
    let slot = *store.slots().active().unwrap();
    let record = store.record(RecordType::Generation, slot.generation.as_bytes()).unwrap().unwrap();
    let id = LayerId::from_bytes(record[8..].try_into().unwrap());
    let layer = store.layer(&id).unwrap().unwrap();
    layer.index_bytes().unwrap();
    let seed = seeds[usize::try_from(slot.number).unwrap() - 1];
    for (place, chunk) in layer.places().iter().zip(chunks(seed)) {
        let id = ChunkId::from_bytes(*blake3::hash(&chunk).as_bytes());
        let place: Place = place.unwrap();
        assert_eq!(store.read_place(place, 300_000, &id).unwrap(), chunk);
    }
    slot.number
}

#[test]
fn no_room_at_any_write_leaves_the_old_state_and_says_so() {
    let base = RecordingDevice::new(8 << 20);
    Store::create_on_device(base.clone(), "store", &CreateOptions { size: 0, boots: false }).unwrap();
    install(&mut Writer::on_device(base.clone(), "store", Duration::ZERO).unwrap(), 1).unwrap();
    assert_eq!(active(&base, &[1]), 1);
    let image = base.image();
    let mut refused = 0;
    for writes in 0.. {
        let inner = RecordingDevice::from_image(image.clone());
        let device = Full { inner: inner.clone(), left: Arc::new(AtomicI64::new(writes)) };
        let mut writer = Writer::on_device(device.clone(), "store", Duration::ZERO).unwrap();
        let Err(error) = install(&mut writer, 20) else {
            assert_eq!(active(&inner, &[1, 20]), 2);
            break;
        };
        refused += 1;
        let text = error.to_string();
        let flip = matches!(error, StoreError::Io { .. });
        assert!(matches!(error, StoreError::NoSpace { .. }) || flip, "{writes}: {text}");
        assert!(text.contains("No space left"), "{writes}: {text}");
        assert!(flip || text.contains("make room"), "{writes}: {text}");
        drop(writer);
        assert_eq!(active(&inner, &[1]), 1, "after {writes} writes");
        // Room again: the same goes through.
        let mut writer = Writer::on_device(inner.clone(), "store", Duration::ZERO).unwrap();
        install(&mut writer, 20).unwrap();
        assert_eq!(active(&inner, &[1, 20]), writer.slots().active().unwrap().number);
    }
    println!("{refused} writes refused, one after the other");
    assert!(refused >= 10, "only {refused} writes");
}

#[test]
fn a_writer_goes_on_when_there_is_room_again() {
    let inner = RecordingDevice::new(8 << 20);
    Store::create_on_device(inner.clone(), "store", &CreateOptions { size: 0, boots: false }).unwrap();
    let device = Full { inner: inner.clone(), left: Arc::new(AtomicI64::new(1)) };
    let mut writer = Writer::on_device(device.clone(), "store", Duration::ZERO).unwrap();
    assert!(matches!(install(&mut writer, 1), Err(StoreError::NoSpace { .. })));
    device.left.store(i64::MAX, Ordering::Relaxed);
    install(&mut writer, 1).unwrap();
    assert_eq!(active(&inner, &[1, 1]), writer.slots().active().unwrap().number);
}
