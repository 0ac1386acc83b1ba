//! What `pkg repair` does (client/pkg/src/repair): what does not verify is put again, in new places, and one commit replaces
//! it. And the damage that it starts from, made on the medium itself.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::num::NonZero;
use std::time::Duration;

use plyos_blockstore::BlockDevice as _;
use plyos_ids::{ChunkId, LayerId};
use plyos_storefile::{ChunkCheck, Extent, LayerEntry, LayerUpdate, Place, Store, Writer};

use crate::device::{Medium, Opening};
use crate::layers::{Done, Layer, stored};

/// Something that does not verify, by the name of its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// The map of where its chunks lie.
    Map(&'static str),
    /// One chunk, by its number.
    Chunk(&'static str, usize),
}

impl Damage {
    /// Whether it is the map of this layer.
    pub fn is_map_of(self, id: &LayerId) -> bool {
        matches!(self, Self::Map(name) if Layer::ALL.into_iter().any(|layer| layer.name == name && layer.id() == *id))
    }
}

/// Turns a bit on the medium, in the middle of what is to be damaged.
pub fn spoil(medium: &Medium, damages: &[Damage]) -> Done {
    let store = Store::on_device(medium.open(), "store")?;
    let mut spoilt = BTreeSet::new();
    for damage in damages {
        let (Damage::Map(name) | Damage::Chunk(name, _)) = damage;
        let layer = Layer::ALL.into_iter().find(|layer| layer.name == *name).ok_or("no such layer")?;
        let entry = store.layers().find(|entry| entry.id == layer.id()).ok_or("it is not in the store")?;
        let Extent { offset, len } = match damage {
            Damage::Map(_) => entry.map,
            Damage::Chunk(_, number) => {
                let stored = store.layer(&entry.id)?.ok_or("it is not in the store")?;
                stored.places()[*number].and_then(|place| place.extent()).ok_or("it is not whole")?
            }
        };
        // A chunk that two layers share is damaged once.
        if spoilt.insert(offset) {
            let mut byte = [0];
            store.device().read_at(offset + len / 2, &mut byte)?;
            store.device().write_at(offset + len / 2, &[byte[0] ^ 0x10])?;
        }
    }
    Ok(())
}

/// Looks at everything and puts what is damaged again, in one commit.
pub fn repair(medium: &Medium) -> Done {
    let mut writer = Writer::repairer_on_device(medium.open(), "store", Duration::ZERO)?;
    let entries: Vec<LayerEntry> = writer.layers().copied().collect();
    let mut sound = BTreeMap::new();
    let mut damaged = Vec::new();
    for entry in &entries {
        let Ok(held) = writer.verify_map(entry) else {
            damaged.push(entry);
            continue;
        };
        let index = writer.read_index(entry).map_err(|defect| defect.to_string())?;
        let checks = checks(&index, held.places())?;
        let bad: BTreeSet<usize> = writer
            .verify_chunks(&checks, NonZero::<usize>::MIN, &|_| {})
            .into_iter()
            .map(|(at, _)| at)
            .collect();
        if !bad.is_empty() {
            damaged.push(entry);
        }
        let good = checks.iter().enumerate().filter(|(at, _)| !bad.contains(at));
        sound.extend(good.map(|(_, check)| (check.id, check.place)));
    }
    for entry in damaged {
        put_again(&mut writer, entry, &mut sound)?;
    }
    Ok(writer.commit(None)?)
}

/// The chunks of a layer that are here.
fn checks(index: &[u8], places: &[Option<Place>]) -> Result<Vec<ChunkCheck>, Box<dyn std::error::Error>> {
    let mut checks = Vec::new();
    for (record, place) in index[16..].chunks(36).zip(places) {
        let (id, length) = record.split_at(32);
        let (id, length) = (ChunkId::from_bytes(id.try_into()?), u32::from_le_bytes(length.try_into()?));
        checks.extend(place.map(|place| ChunkCheck { id, length, place }));
    }
    Ok(checks)
}

/// Puts a layer again: chunks that are sound somewhere stay where they are, the others are fetched and appended.
fn put_again(writer: &mut Writer<Opening>, entry: &LayerEntry, sound: &mut BTreeMap<ChunkId, Place>) -> Done {
    let layer = Layer::ALL.into_iter().find(|layer| layer.id() == entry.id).ok_or("nobody has this layer")?;
    let mut places = Vec::new();
    for chunk in layer.chunks {
        let chunk = stored(*chunk);
        places.push(Some(match sound.entry(ChunkId::from_bytes(chunk.id)) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(missing) => *missing.insert(writer.append_chunk(chunk.codec, &chunk.bytes)?),
        }));
    }
    let index = writer.read_index(entry).map_err(|defect| defect.to_string())?;
    let manifest = entry.manifest;
    let update = LayerUpdate { id: entry.id, index: &index, page_hashes: &[], places: &places, manifest };
    Ok(writer.put_layer(update)?)
}
