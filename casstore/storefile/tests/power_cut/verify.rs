//! What is in a store, read to the last byte, and what must hold of any store.

use std::collections::{BTreeMap, BTreeSet};

use plyos_blockstore::layout::{SUPERBLOCK_OFFSETS, UNIT};
use plyos_blockstore::{CopyDefect, Extent, general_area, read_map, reserve_area};
use plyos_ids::{ChunkId, LayerId};
use plyos_slots::Slots;
use plyos_storefile::{History, LayerEntry, RecordType, Store, StoreError, Writer};

use crate::device::{Image, Medium, Opening};
use crate::layers::Layer;
use crate::mutation::Mutation;
use crate::repair::Damage;

/// The state of a store as a user sees it: no offsets, no times of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub slots: Slots,
    pub next_generation: u64,
    units: u64,
    /// Time floor, keyring floor, version of the machine's state.
    floors: (u64, u64, u32),
    /// Which chunks of each layer are here.
    layers: BTreeMap<LayerId, Vec<bool>>,
    records: BTreeMap<(RecordType, [u8; 32]), Vec<u8>>,
    /// Numbers of generations that the history names and that have no record any more.
    pub cleaned: BTreeSet<u64>,
    /// What does not verify.
    pub damaged: BTreeSet<Damage>,
}

impl Snapshot {
    pub fn history(&self) -> History {
        let bytes = self.records.get(&(RecordType::History, RecordType::ONLY));
        bytes.map_or_else(History::default, |bytes| History::parse(bytes).unwrap())
    }
}

/// What a medium holds.
pub struct Found {
    /// What counts.
    pub snapshot: Snapshot,
    pub sequence: u64,
    /// What the other copy of the superblock holds, if it is valid.
    pub older: Option<(u64, Snapshot)>,
    /// The other copy is a valid superblock whose directory is not there.
    pub astray: bool,
}

fn failed<E: std::fmt::Display>(check: &'static str) -> impl Fn(E) -> String {
    move |error| format!("[{check}] {error}")
}

/// Reads a store to the last byte, and once more as it would be if the superblock that counts were lost: nothing that a
/// valid copy reaches is ever written over. Only what the workload knows to be `damaged` may not verify. `None`: there is no store.
pub fn read_all(
    image: &Image,
    mutation: Option<Mutation>,
    damaged: &[Damage],
) -> Result<Option<Found>, String> {
    let open = |image: &Image| {
        Store::on_device(Medium::new(image.clone(), Mutation::of_reader(mutation)).open(), "store")
    };
    let store = match open(image) {
        Err(StoreError::NotOpened { .. }) => return Ok(None),
        store => store.map_err(failed("opens"))?,
    };
    let older = match &store.view().other {
        Ok(_) => {
            let mut without = image.clone();
            without.write(SUPERBLOCK_OFFSETS[store.view().chosen.number] as usize, &[0; 4096]);
            let older = open(&without).map_err(failed("older copy"))?;
            let snapshot = read_store(&older, damaged).map_err(failed("older copy"))?;
            Some((older.superblock().sequence, snapshot))
        }
        Err(CopyDefect::Superblock(_) | CopyDefect::DirectoryHash) => None,
        Err(defect) => return Err(format!("[older copy] it is damaged: {defect}")),
    };
    let snapshot = read_store(&store, damaged).map_err(failed("whole"))?;
    account(&store, damaged)?;
    let astray = store.view().other == Err(CopyDefect::DirectoryHash);
    Ok(Some(Found { snapshot, sequence: store.superblock().sequence, older, astray }))
}

/// Reads every byte that one copy reaches, and checks that what its slots and history name is whole.
fn read_store(store: &Store<Opening>, known: &[Damage]) -> Result<Snapshot, String> {
    let text = |error: StoreError| error.to_string();
    let (mut layers, mut damaged) = (BTreeMap::new(), BTreeSet::new());
    for entry in store.layers() {
        layers.insert(entry.id, read_layer(store, entry, known, &mut damaged)?);
    }
    let mut records = BTreeMap::new();
    for record_type in RecordType::ALL {
        for entry in store.records(record_type) {
            let bytes = store.record(record_type, &entry.key).map_err(text)?.ok_or("a record is gone")?;
            records.insert((record_type, entry.key), bytes);
        }
    }
    for (_, record) in records.iter().filter(|((record_type, _), _)| *record_type == RecordType::Generation) {
        for id in record[8..].chunks(32) {
            let id = LayerId::from_bytes(id.try_into().unwrap());
            if !layers.get(&id).is_some_and(|present| present.iter().all(|here| *here)) {
                return Err(format!("layer {id} of generation {} is not whole", record[0]));
            }
        }
    }
    let superblock = store.superblock();
    let kept = |generation: &[u8; 32]| records.contains_key(&(RecordType::Generation, *generation));
    for slot in [&superblock.slots.a, &superblock.slots.b].into_iter().filter(|slot| slot.state.is_live()) {
        if !kept(slot.generation.as_bytes()) {
            return Err(format!("generation {} has no record, and a slot names it", slot.number));
        }
    }
    let history = store.history().map_err(text)?;
    let gone = history.entries().filter(|entry| !kept(entry.generation.as_bytes()));
    let cleaned = gone.map(|entry| entry.number).collect();
    let floors = (superblock.time_floor, superblock.keyring_floor, superblock.state_version);
    let (slots, units) = (superblock.slots, superblock.unit_count);
    let next_generation = superblock.next_generation;
    Ok(Snapshot { slots, next_generation, units, floors, layers, records, cleaned, damaged })
}

/// Which chunks of a layer are here; of one whose map is damaged that is not known. Adds what does not verify to `damaged`.
fn read_layer(
    store: &Store<Opening>,
    entry: &LayerEntry,
    known: &[Damage],
    damaged: &mut BTreeSet<Damage>,
) -> Result<Vec<bool>, String> {
    let id = entry.id;
    let name = Layer::ALL.into_iter().find(|layer| layer.id() == id).map_or("", |layer| layer.name);
    let mut note = |damage: Damage, why: String| {
        damaged.insert(damage);
        if known.contains(&damage) { Ok(()) } else { Err(format!("{damage:?}: {why}")) }
    };
    let index = store.read_index(entry).map_err(|defect| format!("the index of layer {id}: {defect}"))?;
    let layer = match store.verify_map(entry) {
        Ok(layer) => layer,
        Err(defect) => return note(Damage::Map(name), defect.to_string()).map(|()| Vec::new()),
    };
    let mut present = Vec::new();
    for (number, (record, place)) in index[16..].chunks(36).zip(layer.places()).enumerate() {
        let chunk = ChunkId::from_bytes(record[..32].try_into().unwrap());
        let len = u32::from_le_bytes(record[32..].try_into().unwrap());
        if let Some(place) = place
            && let Err(error) = store.read_place(*place, len, &chunk)
        {
            note(Damage::Chunk(name, number), error.to_string())?;
        }
        present.push(place.is_some());
    }
    if layer.complete != present.iter().all(|here| *here) {
        return Err(format!("layer {id} says complete: {}, and is not", layer.complete));
    }
    Ok(present)
}

/// What both copies reach shares bytes only where it is the same thing and stays clear of the superblocks; and a writer
/// finds exactly the rest free, to the unit, and no lease.
fn account(store: &Store<Opening>, known: &[Damage]) -> Result<(), String> {
    let mut extents = BTreeSet::new();
    for copy in store.view().copies() {
        extents.insert(copy.superblock.directory);
        extents.extend(copy.directory.records.values().map(|entry| entry.extent));
        for entry in copy.directory.layers.values() {
            extents.extend([entry.index, entry.map]);
            let map = match read_map(store.device(), entry, copy.superblock.store_len()) {
                Ok(map) => map,
                // Nobody can read a chunk through it, so it reaches none.
                Err(_) if known.iter().any(|damage| damage.is_map_of(&entry.id)) => continue,
                Err(error) => return Err(format!("[whole] a map of copy {}: {error}", copy.number)),
            };
            extents.extend(map.places.iter().flatten().filter_map(|place| place.extent()));
        }
    }
    let mut last = Extent { offset: 0, len: 131_072 };
    let area = general_area(store.superblock());
    // While a store grows, the reserve of the older copy is kept clear too.
    let reserves = store.view().copies().flat_map(|copy| reserve_area(&copy.superblock));
    let mut used: BTreeSet<u64> = reserves.filter(|unit| area.contains(unit)).collect();
    for extent in extents {
        if extent.offset < last.end() {
            return Err(format!("[overlap] {last:?} and {extent:?}"));
        }
        last = extent;
        used.extend((extent.offset / UNIT..extent.end().div_ceil(UNIT)).filter(|unit| area.contains(unit)));
    }
    let free = (area.end - area.start - used.len() as u64) * UNIT;
    let writer = Writer::on_device(store.device().medium().open(), "store", std::time::Duration::ZERO);
    let mut writer = writer.map_err(failed("opens"))?;
    let found = writer.free_bytes();
    if found != free {
        return Err(format!("[free space] {found} bytes, and {free} are"));
    }
    for number in 1..store.superblock().next_generation {
        if !writer.retire(number).map_err(failed("leases"))? {
            return Err(format!("[leases] generation {number} is held after everybody is gone"));
        }
    }
    Ok(())
}
