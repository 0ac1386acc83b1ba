//! What is in a store, read to the last byte.

use std::collections::{BTreeMap, BTreeSet};

use plyos_blockstore::CopyDefect;
use plyos_ids::{ChunkId, LayerId};
use plyos_slots::Slots;
use plyos_storefile::{Extent, RecordType, RecordingDevice, Store};

/// The state of a store as a user sees it: no offsets, no times of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    slots: Slots,
    next_generation: u64,
    /// Which chunks of each layer are here.
    layers: BTreeMap<LayerId, Vec<bool>>,
    records: BTreeMap<(RecordType, [u8; 32]), Vec<u8>>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Reads a store to the last byte, and once more as it would be if the superblock that counts were lost: nothing that a
/// valid copy reaches is ever written over.
pub fn read_all(device: &RecordingDevice) -> Result<Snapshot, String> {
    let store = Store::on_device(device.clone(), "store").map_err(text)?;
    match &store.view().other {
        Ok(_) => {
            let mut image = device.image();
            let start = [0, 65_536][store.view().chosen.number];
            image[start..start + 4096].fill(0);
            let older =
                Store::on_device(RecordingDevice::from_image(image), "the older copy").map_err(text)?;
            read_store(&older)?;
        }
        Err(CopyDefect::Superblock(_)) => {}
        Err(defect) => return Err(format!("the older copy is damaged: {defect}")),
    }
    read_store(&store)
}

/// Reads every byte that one copy reaches, and checks that what its slots name is whole and that nothing overlaps.
fn read_store(store: &Store<RecordingDevice>) -> Result<Snapshot, String> {
    let mut layers = BTreeMap::new();
    for id in store.layers().map(|entry| entry.id).collect::<Vec<_>>() {
        layers.insert(id, read_layer(store, &id)?);
    }
    let mut records = BTreeMap::new();
    for record_type in RecordType::ALL {
        for entry in store.records(record_type) {
            let bytes = store.record(record_type, &entry.key).map_err(text)?.ok_or("a record is gone")?;
            records.insert((record_type, entry.key), bytes);
        }
    }
    let slots = *store.slots();
    for slot in [&slots.a, &slots.b].into_iter().filter(|slot| slot.state.is_live()) {
        let key = (RecordType::Generation, *slot.generation.as_bytes());
        let record = records.get(&key).ok_or(format!("generation {} has no record", slot.number))?;
        for id in record[8..].chunks(32) {
            let id = LayerId::from_bytes(id.try_into().unwrap());
            let whole = layers.get(&id).is_some_and(|present| present.iter().all(|here| *here));
            if !whole {
                return Err(format!("layer {id} of generation {} is not whole", slot.number));
            }
        }
    }
    check_overlap(store)?;
    Ok(Snapshot { slots, next_generation: store.superblock().next_generation, layers, records })
}

fn read_layer(store: &Store<RecordingDevice>, id: &LayerId) -> Result<Vec<bool>, String> {
    let layer = store.layer(id).map_err(text)?.ok_or("a layer is gone")?;
    let index = layer.index_bytes().map_err(text)?;
    let mut present = Vec::new();
    for (record, place) in index[16..].chunks(36).zip(layer.places()) {
        let chunk = ChunkId::from_bytes(record[..32].try_into().unwrap());
        let len = u32::from_le_bytes(record[32..].try_into().unwrap());
        if let Some(place) = place {
            store.read_place(*place, len, &chunk).map_err(text)?;
        }
        present.push(place.is_some());
    }
    if layer.complete != present.iter().all(|here| *here) {
        return Err(format!("layer {id} says complete: {}, and is not", layer.complete));
    }
    Ok(present)
}

/// What both copies reach shares bytes only where it is the same thing, and stays clear of the superblocks.
fn check_overlap(store: &Store<RecordingDevice>) -> Result<(), String> {
    let mut extents = BTreeSet::new();
    for copy in store.view().copies() {
        extents.insert(copy.superblock.directory);
        extents.extend(copy.directory.records.values().map(|entry| entry.extent));
        for entry in copy.directory.layers.values() {
            extents.extend([entry.index, entry.map]);
            let map = plyos_blockstore::read_map(store.device(), entry, copy.superblock.store_len());
            let map = map.map_err(|error| format!("a map of copy {}: {error}", copy.number))?;
            extents.extend(map.places.iter().flatten().filter_map(|place| place.extent()));
        }
    }
    let mut last = Extent { offset: 0, len: 131_072 };
    for extent in extents {
        if extent.offset < last.end() {
            return Err(format!("{last:?} and {extent:?} overlap"));
        }
        last = extent;
    }
    Ok(())
}
