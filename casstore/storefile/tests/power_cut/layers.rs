//! Small layers, and what `pkg` and init do with them, each as one short function.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use plyos_ids::{Codec, GenerationId, LayerId, LayerSetId};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{Action, HistoryEntry, LayerUpdate, Place, RecordType, SlotWriter, Writer};

use crate::device::{Medium, Opening};

/// How a step ends.
pub type Done = Result<(), Box<dyn Error>>;

/// A layer: its name, and its chunks as (seed, length).
pub struct Layer {
    pub name: &'static str,
    pub chunks: &'static [(u8, u32)],
}

pub const BASE: Layer =
    Layer { name: "base", chunks: &[(1, 9_000), (2, 700), (3, 4096), (4, 5_000), (5, 1)] };
pub const DOCS: Layer = Layer { name: "docs", chunks: &[(10, 3_000), (11, 8_001), (12, 2_345), (13, 90)] };
pub const DOCS2: Layer = Layer { name: "docs2", chunks: &[(10, 3_000), (14, 7_001), (12, 2_345), (13, 90)] };
pub const MODEL: Layer =
    Layer { name: "model", chunks: &[(20, 9_000), (21, 6_001), (22, 8_191), (23, 8_193), (24, 13_001)] };
pub const TOOLS: Layer = Layer { name: "tools", chunks: &[(30, 14_000), (31, 4_097), (2, 700), (32, 5_001)] };

/// A chunk as it is stored.
#[derive(Clone)]
pub struct Stored {
    pub id: [u8; 32],
    pub codec: Codec,
    pub bytes: std::sync::Arc<[u8]>,
}

/// Half of a chunk compresses; an even one is compressed.
pub fn stored((seed, len): (u8, u32)) -> Stored {
    static MADE: LazyLock<Mutex<BTreeMap<(u8, u32), Stored>>> = LazyLock::new(Mutex::default);
    let make = || {
        let mut bytes = vec![seed; len as usize];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes[len as usize / 2..]);
        let id = *blake3::hash(&bytes).as_bytes();
        match len % 2 {
            0 => Stored { id, codec: Codec::Zstd, bytes: zstd::bulk::compress(&bytes, 1).unwrap().into() },
            _ => Stored { id, codec: Codec::Raw, bytes: bytes.into() },
        }
    };
    MADE.lock().unwrap().entry((seed, len)).or_insert_with(make).clone()
}

impl Layer {
    pub const ALL: [&'static Self; 5] = [&BASE, &DOCS, &DOCS2, &MODEL, &TOOLS];

    /// A stand-in for an index: the name, then identity and length of each chunk.
    fn index(&self) -> Vec<u8> {
        let mut index = format!("{:16}", self.name).into_bytes();
        for chunk in self.chunks {
            index.extend_from_slice(&stored(*chunk).id);
            index.extend_from_slice(&chunk.1.to_le_bytes());
        }
        index
    }

    pub fn id(&self) -> LayerId {
        LayerId::from_bytes(*blake3::hash(&self.index()).as_bytes())
    }
}

/// Opens the store as `pkg` does.
pub fn writer(medium: &Medium) -> Result<Writer<Opening>, Box<dyn Error>> {
    Ok(Writer::on_device(medium.open(), "store", Duration::ZERO)?)
}

/// Opens the store as init does.
pub fn init(medium: &Medium) -> Result<SlotWriter<Opening>, Box<dyn Error>> {
    Ok(SlotWriter::on_device(medium.open(), "store")?)
}

/// Puts the first `count` chunks of a layer; what the store has in any layer is not appended again.
pub fn pull(writer: &mut Writer<Opening>, layer: &Layer, count: usize) -> Done {
    let mut held: BTreeMap<[u8; 32], Place> = BTreeMap::new();
    for id in writer.layers().map(|entry| entry.id).collect::<Vec<_>>() {
        let layer = writer.layer(&id)?.ok_or("a layer is gone")?;
        let index = layer.index_bytes()?;
        let ids = index[16..].chunks(36).map(|record| record[..32].try_into());
        for (id, place) in ids.zip(layer.places()) {
            held.extend(place.map(|place| (id.unwrap(), place)));
        }
    }
    let mut places = Vec::new();
    for (ordinal, chunk) in layer.chunks.iter().enumerate() {
        let chunk = stored(*chunk);
        places.push(match held.get(&chunk.id) {
            Some(place) => Some(*place),
            None if ordinal >= count => None,
            None => Some(writer.append_chunk(chunk.codec, &chunk.bytes)?),
        });
    }
    let (id, index) = (layer.id(), layer.index());
    Ok(writer.put_layer(LayerUpdate {
        id,
        index: &index,
        page_hashes: &[],
        places: &places,
        manifest: None,
    })?)
}

/// How a generation is activated.
#[derive(Clone, Copy)]
pub enum Activation {
    Live,
    /// With that many tries.
    Trial(u8),
}

/// Pulls what is missing and makes a generation of these layers, in one commit.
pub fn activate(medium: &Medium, layers: &[&Layer], how: Activation, action: Action) -> Done {
    let mut writer = writer(medium)?;
    for layer in layers {
        pull(&mut writer, layer, layer.chunks.len())?;
    }
    plan(&mut writer, layers, how, action)?;
    let active = writer.slots().active().map(|slot| slot.generation);
    Ok(writer.commit(active)?)
}

/// A generation (a stand-in: its number and its layers' identities), slots and history, put and not committed.
pub fn plan(writer: &mut Writer<Opening>, layers: &[&Layer], how: Activation, action: Action) -> Done {
    let number = writer.take_generation_number();
    let mut record = number.to_le_bytes().to_vec();
    layers.iter().for_each(|layer| record.extend_from_slice(layer.id().as_bytes()));
    let generation = GenerationId::from_bytes(*blake3::hash(&record).as_bytes());
    writer.put_record(RecordType::Generation, generation.as_bytes(), &record)?;
    let layer_set = LayerSetId::from_bytes(*blake3::hash(&record[8..]).as_bytes());
    let new = Candidate { number, generation, layer_set };
    let event = match how {
        Activation::Live => Event::Activate(new),
        Activation::Trial(tries) => Event::ActivateTrial(new, tries),
    };
    set_slots(writer, event, number * 10, new, matches!(how, Activation::Live).then_some(action))
}

/// Sets the slots after an event about a generation, and says in the history when that becomes active.
pub fn set_slots(
    writer: &mut Writer<Opening>,
    event: Event,
    at: u64,
    new: Candidate,
    action: Option<Action>,
) -> Done {
    let slots = writer.slots().apply(event, at)?;
    if let Some(action) = action {
        let mut history = writer.history()?;
        let from = writer.slots().active().map_or(0, |slot| slot.number);
        history.push(entry(new, from, at, action));
        writer.put_record(RecordType::History, &RecordType::ONLY, &history.emit())?;
    }
    writer.set_slots(slots);
    Ok(())
}

/// An entry of the history.
pub fn entry(new: Candidate, from: u64, at: u64, action: Action) -> HistoryEntry {
    let Candidate { number, generation, .. } = new;
    HistoryEntry { number, from, at, generation, action, command: format!("pkg {}", action.as_str()) }
}
