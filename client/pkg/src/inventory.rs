//! What a store holds, as a clean-up and `pkg du` look at it: generations with their layers, pins, records. Each
//! generation is read once and only its facts are kept; no index and no map is read.

use crate::activate;
use crate::pins;
use crate::target::Target;
use plyos_blockstore::layout::UNIT;
use plyos_blockstore::{LayerEntry, ReadError, UsedMap, general_area, read_map};
use plyos_ids::{GenerationId, LayerId, ManifestDigest};
use plyos_namespace::generation::Generation;
use plyos_plan::retention::{GenerationFacts, Inventory, LayerFacts};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{RecordType, Store, StoreError};
use std::collections::BTreeMap;

/// What a store holds.
pub struct Held {
    /// Facts for the plan; nobody was asked yet what is leased.
    pub inventory: Inventory,
    /// `KIND/NAME VERSION` of each layer that a generation names.
    pub names: BTreeMap<LayerId, String>,
    /// Generations whose record does not verify, with their number where the history knows it. They cannot become active
    /// again, and what they needed is not known.
    pub damaged: Vec<(Option<u64>, GenerationId)>,
}

/// Reads what the store holds.
pub fn read(target: &Target, store: &Store) -> Result<Held, Failure> {
    let mut used_at: BTreeMap<GenerationId, (u64, u64)> = BTreeMap::new();
    for entry in activate::history(store)?.entries() {
        let last = used_at.entry(entry.generation).or_insert((entry.number, entry.at));
        last.1 = last.1.max(entry.at);
    }
    let slots = store.slots();
    let mut held = Held {
        inventory: Inventory {
            layers: store.layers().map(layer_facts).collect(),
            certificates: keys(store, RecordType::Certificate).map(LayerId::from_bytes).collect(),
            manifests: keys(store, RecordType::Manifest).map(ManifestDigest::from_bytes).collect(),
            pins: pins::list(store),
            active: slots.active().map(|slot| slot.number),
            slots: [&slots.a, &slots.b]
                .into_iter()
                .filter(|slot| !slot.is_empty())
                .map(|s| s.number)
                .collect(),
            now: target.now(store),
            ..Inventory::default()
        },
        names: BTreeMap::new(),
        damaged: Vec::new(),
    };
    for key in keys(store, RecordType::Generation).collect::<Vec<_>>() {
        let id = GenerationId::from_bytes(key);
        let known = used_at.get(&id).copied();
        match generation_of(target, store, &id)? {
            Some(generation) => {
                let last = known.map_or(0, |(_, at)| at);
                held.inventory.generations.push(GenerationFacts {
                    number: generation.number,
                    id,
                    used_at: generation.created_at.max(last),
                    layers: generation.layers.iter().map(|layer| layer.id).collect(),
                });
                for layer in &generation.layers {
                    let name = || format!("{}/{} {}", layer.kind, layer.name, layer.version);
                    held.names.entry(layer.id).or_insert_with(name);
                }
            }
            None => held.damaged.push((known.map(|(number, _)| number), id)),
        }
    }
    Ok(held)
}

/// The generation of a record; `None` when the record is damaged.
fn generation_of(target: &Target, store: &Store, id: &GenerationId) -> Result<Option<Generation>, Failure> {
    match store.record(RecordType::Generation, id.as_bytes()) {
        Ok(bytes) => {
            Ok(bytes.and_then(|bytes| Generation::parse(&bytes).ok()).filter(|found| found.id() == *id))
        }
        Err(StoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(target.fail(&error)),
    }
}

/// The generation of a number that is in the store.
pub fn by_number(target: &Target, store: &Store, number: u64) -> Result<Generation, Failure> {
    for key in keys(store, RecordType::Generation).collect::<Vec<_>>() {
        if let Some(found) = generation_of(target, store, &GenerationId::from_bytes(key))?
            && found.number == number
        {
            return Ok(found);
        }
    }
    let line = format!("generation {number} is not in the store; `pkg history` shows which are");
    Err(Failure::new(ExitCode::NotFound, line))
}

fn keys(store: &Store, record_type: RecordType) -> impl Iterator<Item = [u8; 32]> {
    store.records(record_type).map(|entry| entry.key)
}

fn layer_facts(entry: &LayerEntry) -> LayerFacts {
    LayerFacts { id: entry.id, manifest: entry.manifest, added_at: entry.added_at }
}

/// The units that a layer takes: index, map and chunks. Reads its map, and gives it up again.
pub fn units_of(target: &Target, store: &Store, entry: &LayerEntry) -> Result<UsedMap, Failure> {
    let mut used = UsedMap::default();
    used.insert(entry.index);
    used.insert(entry.map);
    match read_map(store.device(), entry, store.superblock().store_len()) {
        Ok(map) => {
            map.places
                .iter()
                .flatten()
                .filter_map(|place| place.extent())
                .for_each(|extent| used.insert(extent));
        }
        Err(error @ ReadError::Io(_)) => {
            let doing = format!("reading the maps of {}", target.path().display());
            return Err(error).or_fail(ExitCode::Store, doing);
        }
        // A map that does not verify reaches nothing.
        Err(_) => {}
    }
    Ok(used)
}

/// Bytes for chunks and indexes, used and free: all but superblocks and reserve.
pub fn capacity(store: &Store) -> u64 {
    let area = general_area(store.superblock());
    area.end.saturating_sub(area.start) * UNIT
}
