//! Making stores: layers of directories, certified and kept, and generations of them.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use plyos_custody::{SecretKey, Signer as _};
use plyos_ids::{Codec, Kind, KindSet, LayerId, Mount};
use plyos_layer_build::reader::Blob;
use plyos_layer_build::{BuildOptions, ScanOptions, build, scan};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::index::Limits;
use plyos_layer_format::pages::PageHashes;
use plyos_namespace::generation::{Generation, GenerationLayer, GenerationParts};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{
    Action, CreateOptions, Floors, HistoryEntry, LayerUpdate, Place, RecordType, Store, Writer,
};
use plyos_trust::certificate::{Certificate, Statement};
use plyos_trust::keyring::{self, Keyring, LayerKey, Revocation};
use plyos_trust::pins::{PinnedSet, Pins};
use plyos_trust::signatures::Signatures;

use crate::memory::Memory;

/// When everything happens: 2027-01-15 08:00:00 UTC.
pub const NOW: u64 = 1_800_000_000;
/// Seed of the root key.
pub const ROOT: u8 = 1;
/// Seed of the key that signs layers.
pub const LAYERS: u8 = 11;
/// Name of the repository.
pub const REPOSITORY: &str = "test";

/// The key of a seed.
pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

/// Pins of the root keys of these seeds, one of which is enough.
pub fn pins(seeds: &[u8]) -> Pins {
    let keys = seeds.iter().map(|seed| *key(*seed).public());
    Pins::new([PinnedSet::new(1, keys).unwrap()]).unwrap()
}

/// A store that is being made; its slots boot.
pub struct StoreMaker {
    device: Memory,
    writer: Writer<Memory>,
}

/// How a generation comes into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// Good at once and preferred.
    Good,
    /// On trial with so many tries.
    Trial(u8),
}

impl StoreMaker {
    /// An empty store of `len` bytes with the keyring of its repository.
    pub fn new(len: u64) -> Self {
        let device = Memory::new(len);
        let options = CreateOptions { size: 0, boots: true };
        Store::create_on_device(device.clone(), "store", &options).unwrap();
        let writer = Writer::on_device(device.clone(), "store", Duration::ZERO).unwrap();
        let mut maker = Self { device, writer };
        maker.keyring(REPOSITORY, 1, &[ROOT], &[LAYERS], &[]);
        maker
    }

    /// The writer, for what is not done here.
    pub const fn writer(&mut self) -> &mut Writer<Memory> {
        &mut self.writer
    }

    /// Puts a keyring: signed by `roots`, with keys that may sign everything.
    pub fn keyring(&mut self, name: &str, version: u64, roots: &[u8], keys: &[u8], revoked: &[Revocation]) {
        let kinds = Kind::ALL.into_iter().fold(KindSet::default(), KindSet::with);
        let mut statement = keyring::Statement {
            version,
            issued_at: NOW,
            keys: keys.iter().map(|seed| LayerKey::new(key(*seed).public(), kinds)).collect(),
            revocations: revoked.to_vec(),
        };
        statement.normalise();
        let message = statement.message().unwrap();
        let signatures = roots.iter().map(|seed| key(*seed).sign(&message).unwrap()).collect();
        let bytes = Keyring::new(statement, Signatures::new(signatures).unwrap()).unwrap().emit().unwrap();
        let name = *blake3::hash(name.as_bytes()).as_bytes();
        self.writer.put_record(RecordType::Keyring, &name, &bytes).unwrap();
    }

    /// Builds a layer of a directory, keeps all of it and certifies it.
    pub fn layer(&mut self, folder: &Path, descriptor: &Descriptor) -> GenerationLayer {
        let id = self.uncertified(folder, descriptor, usize::MAX);
        self.certify(id, 1, LAYERS);
        listed(descriptor, id)
    }

    /// Builds a layer of a directory and keeps the first `present` of its chunks, every third one raw.
    pub fn uncertified(&mut self, folder: &Path, descriptor: &Descriptor, present: usize) -> LayerId {
        let tree = scan(folder, &ScanOptions::default()).unwrap();
        let mut blob = Vec::new();
        let options = BuildOptions { level: 3, ..BuildOptions::default() };
        let built = build(&tree, descriptor, &options, &mut blob, &|_| {}).unwrap();
        let mut blob = Blob::open(Cursor::new(blob), &Limits::default()).unwrap();
        let (index, frames) = blob.parts().unwrap();
        let mut places: Vec<Option<Place>> = Vec::new();
        for (ordinal, chunk) in (0u64..).zip(index.chunks()) {
            let chunk = chunk.unwrap();
            let (codec, bytes) = match ordinal % 3 {
                2 => (Codec::Raw, frames.chunk(ordinal, &chunk).unwrap()),
                _ => (Codec::Zstd, frames.frame(ordinal).unwrap()),
            };
            let place = || self.writer.append_chunk(codec, &bytes).unwrap();
            places.push((places.len() < present).then(place));
        }
        let hashes = PageHashes::compute(&built.index);
        let update = LayerUpdate {
            id: built.layer,
            index: &built.index,
            page_hashes: hashes.as_list(),
            places: &places,
            manifest: None,
        };
        self.writer.put_layer(update).unwrap();
        built.layer
    }

    /// Puts a certificate of a layer, signed by the key of a seed.
    pub fn certify(&mut self, layer: LayerId, epoch: u32, seed: u8) {
        let statement = Statement { layer, issued_at: NOW, epoch };
        let signature = key(seed).sign(&statement.message()).unwrap();
        let bytes = Certificate::new(statement, Signatures::new(vec![signature]).unwrap());
        self.writer.put_record(RecordType::Certificate, layer.as_bytes(), &bytes.emit()).unwrap();
    }

    /// Raises the floor of a layer's name.
    pub fn floor(&mut self, layer: &GenerationLayer, epoch: u32) {
        let mut floors = Floors::default();
        floors.raise(layer.kind, &layer.name, epoch).unwrap();
        self.writer.put_record(RecordType::Floors, &RecordType::ONLY, &floors.emit()).unwrap();
    }

    /// Writes a generation of these layers into a slot, in one commit. Gives its number.
    pub fn activate(&mut self, layers: &[GenerationLayer], how: As) -> u64 {
        let number = self.writer.take_generation_number();
        let before = self.writer.slots().active().copied();
        let parts = GenerationParts {
            number,
            parent: before.map_or(0, |slot| slot.number),
            created_at: NOW,
            state_version: 0,
            tries: 0,
            health: None,
            created_by: "pkg install".to_owned(),
            layers: layers.to_vec(),
        };
        let generation = Generation::new(parts).unwrap();
        let id = generation.id();
        self.writer.put_record(RecordType::Generation, id.as_bytes(), &generation.emit()).unwrap();
        let candidate = Candidate { number, generation: id, layer_set: generation.layer_set() };
        let event = match how {
            As::Good => Event::Activate(candidate),
            As::Trial(tries) => Event::ActivateTrial(candidate, tries),
        };
        let slots = self.writer.slots().apply(event, NOW).unwrap();
        let mut history = self.writer.history().unwrap();
        history.push(HistoryEntry {
            number,
            from: before.map_or(0, |slot| slot.number),
            at: NOW,
            generation: id,
            action: Action::Install,
            command: "pkg install".to_owned(),
        });
        self.writer.put_record(RecordType::History, &RecordType::ONLY, &history.emit()).unwrap();
        self.writer.set_slots(slots);
        self.writer.commit(before.map(|slot| slot.generation)).unwrap();
        number
    }

    /// Commits what was put since the last generation.
    pub fn commit(&mut self) {
        let active = self.writer.slots().active().map(|slot| slot.generation);
        self.writer.commit(active).unwrap();
    }

    /// The device with the store.
    pub fn device(&self) -> Memory {
        self.device.clone()
    }
}

/// The record of a certified layer in a generation.
pub fn listed(descriptor: &Descriptor, id: LayerId) -> GenerationLayer {
    GenerationLayer {
        id,
        kind: descriptor.kind(),
        mount: Mount::of(descriptor.kind(), descriptor.name()),
        asked: true,
        unsigned: false,
        epoch: 1,
        name: descriptor.name().to_owned(),
        version: descriptor.version().to_owned(),
        arch: descriptor.arch().to_owned(),
        repo: REPOSITORY.to_owned(),
    }
}
