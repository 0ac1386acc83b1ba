//! Small layers and generations.

use plyos_ids::{ChunkId, Codec, GenerationId, LayerId, LayerSetId};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{
    CreateOptions, LayerUpdate, Place, RecordType, RecordingDevice, Store, StoreDevice, Writer,
};
use std::time::Duration;

pub const LEN: usize = 1 << 20;

pub fn options(size: u64) -> CreateOptions {
    CreateOptions { size, boots: false }
}

/// An empty store in memory.
pub fn device() -> RecordingDevice {
    let device = RecordingDevice::new(LEN);
    Store::create_on_device(device.clone(), "store", &options(0)).unwrap();
    device
}

pub fn writer<D: StoreDevice>(device: D) -> Writer<D> {
    Writer::on_device(device, "store", Duration::ZERO).unwrap()
}

/// `len` bytes that do not compress.
pub fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn chunk_id(bytes: &[u8]) -> ChunkId {
    ChunkId::from_bytes(*blake3::hash(bytes).as_bytes())
}

pub fn layer_id(index: &[u8]) -> LayerId {
    LayerId::from_bytes(*blake3::hash(index).as_bytes())
}

/// Appends raw chunks and puts them as a layer with an index of 100 bytes.
pub fn put<D: StoreDevice>(writer: &mut Writer<D>, seed: u8, chunks: &[Vec<u8>]) -> LayerId {
    let places: Vec<Option<Place>> =
        chunks.iter().map(|bytes| Some(writer.append_chunk(Codec::Raw, bytes).unwrap())).collect();
    put_places(writer, seed, &places)
}

pub fn put_places<D: StoreDevice>(writer: &mut Writer<D>, seed: u8, places: &[Option<Place>]) -> LayerId {
    let index = noise(seed, 100);
    let id = layer_id(&index);
    writer.put_layer(LayerUpdate { id, index: &index, page_hashes: &[], places, manifest: None }).unwrap();
    id
}

/// A generation record, put and named by the slots as live activation.
pub fn activate<D: StoreDevice>(writer: &mut Writer<D>) -> GenerationId {
    let new = candidate(writer);
    let slots = writer.slots().apply(Event::Activate(new), 1).unwrap();
    writer.set_slots(slots);
    new.generation
}

/// A generation record, put but not named.
pub fn candidate<D: StoreDevice>(writer: &mut Writer<D>) -> Candidate {
    let number = writer.take_generation_number();
    let record = number.to_le_bytes();
    let generation = GenerationId::from_bytes(*blake3::hash(&record).as_bytes());
    writer.put_record(RecordType::Generation, generation.as_bytes(), &record).unwrap();
    Candidate { number, generation, layer_set: LayerSetId::default() }
}
