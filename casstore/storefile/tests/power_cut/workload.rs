//! What a machine does in a few weeks: create, install, a download that is cut, a trial, a promotion, an upgrade that
//! shares chunks, a removal, a rollback, another install. Each step is one run of a program with one commit.

use std::time::Duration;

use plyos_ids::{Codec, GenerationId, LayerId, LayerSetId};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{
    Action, CreateOptions, History, HistoryEntry, LayerUpdate, Place, RecordType, RecordingDevice,
    SlotWriter, Store, Writer,
};

/// Small enough that freed room is used again.
pub const STORE_LEN: usize = 1 << 20;

/// A step: its name and what it does.
pub type Step = (&'static str, fn(RecordingDevice));

pub const STEPS: &[Step] = &[
    ("create", |device| {
        let options = CreateOptions { size: STORE_LEN as u64, boots: true };
        Store::create_on_device(device, "store", &options).unwrap();
    }),
    ("install", |device| {
        activate(device, &[&BASE, &DOCS], Activation::Live);
    }),
    ("first half of a download", |device| {
        let mut writer = open(device);
        put(&mut writer, &MODEL, MODEL.chunks.len() / 2);
        writer.commit(None).unwrap();
    }),
    ("rest of the download, on trial", |device| {
        activate(device, &[&BASE, &DOCS, &MODEL], Activation::Trial);
    }),
    ("promotion", |device| {
        let mut writer = SlotWriter::on_device(device, "store").unwrap();
        let active = writer.slots().active().map(|slot| slot.generation);
        let mut floors = writer.floors().unwrap();
        floors.raise(plyos_ids::Kind::Base, "plyos", 2).unwrap();
        writer.put_record(RecordType::Floors, &RecordType::ONLY, &floors.emit()).unwrap();
        let slots = writer.slots().apply(Event::Promote, 50).unwrap();
        writer.set_slots(slots);
        writer.commit(active).unwrap();
    }),
    ("upgrade that shares chunks", |device| {
        activate(device, &[&BASE, &DOCS2, &MODEL], Activation::Live);
    }),
    ("clean-up", |device| {
        let mut writer = open(device);
        remove_generations(&mut writer, 1);
        writer.commit(None).unwrap();
    }),
    ("rollback", |device| {
        let mut writer = open(device);
        let (active, other) =
            (*writer.slots().active().unwrap(), *writer.slots().get(writer.slots().spare()));
        let former =
            Candidate { number: other.number, generation: other.generation, layer_set: other.layer_set };
        let slots = writer.slots().apply(Event::Rollback(former), 70).unwrap();
        writer.set_slots(slots);
        writer.commit(Some(active.generation)).unwrap();
    }),
    ("removal", |device| {
        activate(device, &[&BASE], Activation::Live);
    }),
    ("another generation, so that no slot names what was removed", |device| {
        activate(device, &[&BASE], Activation::Live);
    }),
    ("clean-up of layers and generations", |device| {
        let mut writer = open(device);
        [&DOCS, &DOCS2, &MODEL].into_iter().for_each(|layer| writer.remove_layer(&layer.id()));
        remove_generations(&mut writer, 2);
        writer.commit(None).unwrap();
    }),
    ("a small record, so that neither copy names what was removed", |device| {
        let mut writer = open(device);
        writer.put_record(RecordType::Repository, &[7; 32], b"{}").unwrap();
        writer.commit(None).unwrap();
    }),
    ("install into room that was freed", |device| {
        activate(device, &[&BASE, &TOOLS], Activation::Live);
    }),
];

/// A layer of the workload: chunks as (seed, length).
pub struct Layer {
    name: &'static str,
    chunks: &'static [(u8, u32)],
}

const BASE: Layer = Layer { name: "base", chunks: &[(1, 60_000), (2, 700), (3, 4096), (4, 20_000), (5, 1)] };
const DOCS: Layer = Layer { name: "docs", chunks: &[(10, 9_000), (11, 33_000), (12, 12_345), (13, 90)] };
const DOCS2: Layer = Layer { name: "docs2", chunks: &[(10, 9_000), (14, 32_000), (12, 12_345), (13, 90)] };
const MODEL: Layer =
    Layer { name: "model", chunks: &[(20, 70_000), (21, 50_000), (22, 8_191), (23, 8_193), (24, 66_000)] };
const TOOLS: Layer = Layer { name: "tools", chunks: &[(30, 120_000), (31, 110_000), (2, 700), (32, 30_000)] };

fn chunk(seed: u8, len: u32) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    // Half of it compresses.
    let half = bytes.len() / 2;
    bytes[..half].fill(seed);
    bytes
}

impl Layer {
    /// A stand-in for an index: the name, then identity and length of each chunk.
    fn index(&self) -> Vec<u8> {
        let mut index = format!("{:16}", self.name).into_bytes();
        for (seed, len) in self.chunks {
            index.extend_from_slice(blake3::hash(&chunk(*seed, *len)).as_bytes());
            index.extend_from_slice(&len.to_le_bytes());
        }
        index
    }

    pub fn id(&self) -> LayerId {
        LayerId::from_bytes(*blake3::hash(&self.index()).as_bytes())
    }
}

/// Removes the records of the generations that no slot names; there must be `count`.
fn remove_generations(writer: &mut Writer<RecordingDevice>, count: usize) {
    let kept = [writer.slots().a.generation, writer.slots().b.generation];
    let generations = writer.records(RecordType::Generation).map(|entry| entry.key);
    let gone: Vec<[u8; 32]> =
        generations.filter(|key| !kept.contains(&GenerationId::from_bytes(*key))).collect();
    assert_eq!(gone.len(), count);
    gone.iter().for_each(|key| writer.remove_record(RecordType::Generation, key));
}

enum Activation {
    Live,
    Trial,
}

fn open(device: RecordingDevice) -> Writer<RecordingDevice> {
    Writer::on_device(device, "store", Duration::ZERO).unwrap()
}

fn activate(device: RecordingDevice, layers: &[&Layer], how: Activation) {
    let mut writer = open(device);
    for layer in layers {
        put(&mut writer, layer, layer.chunks.len());
    }
    let active = writer.slots().active().map(|slot| slot.generation);
    install(&mut writer, layers, how);
    writer.commit(active).unwrap();
}

/// Puts the first `count` chunks of a layer; what the store has in any layer is not appended again.
fn put(writer: &mut Writer<RecordingDevice>, layer: &Layer, count: usize) {
    let index = layer.index();
    let held: Vec<([u8; 32], Place)> = writer
        .layers()
        .map(|entry| entry.id)
        .collect::<Vec<_>>()
        .iter()
        .flat_map(|id| {
            let stored = writer.layer(id).unwrap().unwrap();
            let index = stored.index_bytes().unwrap();
            let ids =
                index[16..].chunks(36).map(|record| record[..32].try_into().unwrap()).collect::<Vec<_>>();
            ids.into_iter().zip(stored.places().to_vec()).filter_map(|(id, place)| Some((id, place?)))
        })
        .collect();
    let mut places = Vec::new();
    for (ordinal, (seed, len)) in layer.chunks.iter().enumerate() {
        let bytes = chunk(*seed, *len);
        let id = *blake3::hash(&bytes).as_bytes();
        let known = held.iter().find(|(held, _)| *held == id).map(|(_, place)| *place);
        places.push(match known {
            Some(place) => Some(place),
            None if ordinal >= count => None,
            None if len % 2 == 0 => {
                let packed = zstd::bulk::compress(&bytes, 1).unwrap();
                Some(writer.append_chunk(Codec::Zstd, &packed).unwrap())
            }
            None => Some(writer.append_chunk(Codec::Raw, &bytes).unwrap()),
        });
    }
    writer
        .put_layer(LayerUpdate {
            id: layer.id(),
            index: &index,
            page_hashes: &[],
            places: &places,
            manifest: None,
        })
        .unwrap();
}

/// A generation (a stand-in: its number and its layers' identities), slots and history.
fn install(writer: &mut Writer<RecordingDevice>, layers: &[&Layer], how: Activation) {
    let number = writer.take_generation_number();
    let mut record = number.to_le_bytes().to_vec();
    layers.iter().for_each(|layer| record.extend_from_slice(layer.id().as_bytes()));
    let generation = GenerationId::from_bytes(*blake3::hash(&record).as_bytes());
    writer.put_record(RecordType::Generation, generation.as_bytes(), &record).unwrap();
    let layer_set = LayerSetId::from_bytes(*blake3::hash(&record[8..]).as_bytes());
    let new = Candidate { number, generation, layer_set };
    let event = match how {
        Activation::Live => Event::Activate(new),
        Activation::Trial => Event::ActivateTrial(new, 3),
    };
    let slots = writer.slots().apply(event, number * 10).unwrap();
    let from = writer.slots().active().map_or(0, |slot| slot.number);
    let mut history: History = writer.history().unwrap();
    let command = format!("pkg install {}", layers.len());
    history.push(HistoryEntry {
        number,
        from,
        at: number * 10,
        generation,
        action: Action::Install,
        command,
    });
    writer.put_record(RecordType::History, &RecordType::ONLY, &history.emit()).unwrap();
    writer.set_slots(slots);
}
