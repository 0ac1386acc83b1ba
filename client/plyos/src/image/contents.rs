//! What goes into an image: the layers of its generations, what vouches for them, and what the new store says of itself.
//!
//! Of the machine that the store comes from nothing goes in but what the layers need: no settings, no audit, no other
//! generations, and of each catalog the root alone, as after `pkg repo add`. Floors go in, for they may never fall.

use super::admission::{Gate, key_of};
use super::failure;
use super::generations::Chosen;
use super::options::StoreImage;
use plyos_disk_image::{Contents, ImageLayer, Source, StoredChunk};
use plyos_ids::ChunkId;
use plyos_layer_format::index::{Chunk, Limits, check};
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_slots::{Candidate, Event, Slots};
use plyos_storefile::{Action, History, HistoryEntry, Place, RecordType, Store, StoreError, StoredLayer};
use plyos_trust::pins::Pins;
use plyos_trust::tuf;
use std::collections::{BTreeMap, BTreeSet};

type Records = BTreeMap<(RecordType, [u8; 32]), Vec<u8>>;

/// What goes in, and where its bytes are.
pub struct Gathered<'a> {
    /// What goes in.
    pub contents: Contents,
    /// Whom the kernel is to trust.
    pub pins: Pins,
    store: &'a Store,
    layers: Vec<(StoredLayer, Vec<Chunk>)>,
}

impl<'a> Gathered<'a> {
    /// Reads and checks everything but the chunks, which are checked as they are read.
    pub fn of(args: &StoreImage, store: &'a Store, chosen: &Chosen) -> Result<Self, Failure> {
        // `pkg` has followed the catalog's roots from the one that was given.
        let files = if args.repo.is_some() { &[] } else { args.root.as_slice() };
        let mut gate = Gate::new(store, files)?;
        let (mut image, mut layers, mut records) = (Vec::new(), Vec::new(), Records::new());
        let mut seen = BTreeSet::new();
        for listed in chosen.generations.iter().flat_map(|generation| &generation.layers) {
            if !seen.insert(listed.id) {
                continue;
            }
            let Some((layer, stored, chunks)) = read(store, listed, &mut gate, &mut records)? else {
                continue;
            };
            image.push(layer);
            layers.push((stored, chunks));
        }
        let (repositories, pins) = gate.finish()?;
        for name in &repositories {
            copy(store, &mut records, RecordType::Repository, key_of(name))?;
            copy(store, &mut records, RecordType::Keyring, key_of(name))?;
            copy(store, &mut records, RecordType::TufMetadata, key_of(&format!("{name}/{}", tuf::ROOT)))?;
        }
        copy(store, &mut records, RecordType::Floors, RecordType::ONLY)?;
        let (slots, history) = activated(args, chosen)?;
        records.insert((RecordType::History, RecordType::ONLY), history.emit());
        for generation in &chosen.generations {
            records.insert((RecordType::Generation, *generation.id().as_bytes()), generation.emit());
        }
        let superblock = store.superblock();
        let contents = Contents {
            layers: image,
            records,
            slots,
            at: chosen.at,
            time_floor: superblock.time_floor,
            keyring_floor: superblock.keyring_floor,
            state_version: chosen.generations.first().map_or(0, |generation| generation.state_version),
        };
        Ok(Self { contents, pins, store, layers })
    }
}

impl Source for Gathered<'_> {
    type Error = StoreError;

    fn index(&self, layer: usize) -> Result<Vec<u8>, StoreError> {
        let (stored, _) = self.layers.get(layer).ok_or_else(|| self.defect())?;
        stored.index_bytes()
    }

    fn chunk(&self, layer: usize, ordinal: usize) -> Result<Vec<u8>, StoreError> {
        let (stored, chunks) = self.layers.get(layer).ok_or_else(|| self.defect())?;
        let place = stored.place(ordinal as u64).ok_or_else(|| self.defect())?;
        let chunk = chunks.get(ordinal).ok_or_else(|| self.defect())?;
        self.store.read_stored(place, chunk.length, &chunk.id)
    }
}

impl Gathered<'_> {
    fn defect(&self) -> StoreError {
        let what = "a chunk that it does not have; this is a defect of plyos".to_owned();
        StoreError::Invalid { path: self.store.path().to_owned(), what }
    }
}

/// Reads a layer's index and map, and asks whether the kernel will take it; none when it will not.
fn read(
    store: &Store,
    listed: &GenerationLayer,
    gate: &mut Gate<'_>,
    records: &mut Records,
) -> Result<Option<(ImageLayer, StoredLayer, Vec<Chunk>)>, Failure> {
    let what = format!("{} {}", listed.name, listed.version);
    let incomplete = || {
        let line = format!(
            "{what} is not whole in {}; `pkg repair` fetches what is missing",
            store.path().display()
        );
        Failure::new(ExitCode::Store, line)
    };
    let stored = store.layer(&listed.id).map_err(|error| failure(&error))?;
    let stored = stored.filter(|stored| stored.complete).ok_or_else(incomplete)?;
    let doing = format!("reading {what}");
    let bytes = stored.index_bytes().map_err(|error| failure(&error))?;
    let index = check(&bytes, &Limits::default()).or_fail(ExitCode::Store, &doing)?;
    listed.agrees_with(index.descriptor()).or_fail(ExitCode::Signature, &doing)?;
    let Some(certificate) = gate.ask(listed, index.descriptor())? else { return Ok(None) };
    records.insert((RecordType::Certificate, *listed.id.as_bytes()), certificate);
    if let Some(digest) = stored.manifest {
        copy(store, records, RecordType::Manifest, *digest.as_bytes())?;
    }
    let chunks: Vec<Chunk> = index.chunks().collect::<Result<_, _>>().or_fail(ExitCode::Store, &doing)?;
    if chunks.len() != stored.places().len() {
        return Err(incomplete());
    }
    let places = stored.places().iter().copied().collect::<Option<Vec<Place>>>().ok_or_else(incomplete)?;
    let chunk = |(chunk, place): (&Chunk, &Place)| {
        let id: ChunkId = chunk.id;
        StoredChunk { id, length: place.length, codec: place.codec }
    };
    let layer = ImageLayer {
        id: listed.id,
        index_len: stored.index_len,
        page_hashes: stored.page_hashes().to_vec(),
        chunks: chunks.iter().zip(&places).map(chunk).collect(),
        manifest: stored.manifest,
    };
    Ok(Some((layer, stored, chunks)))
}

/// Copies a record, if the store has it.
fn copy(store: &Store, records: &mut Records, record_type: RecordType, key: [u8; 32]) -> Result<(), Failure> {
    if let Some(bytes) = store.record(record_type, &key).map_err(|error| failure(&error))? {
        records.insert((record_type, key), bytes);
    }
    Ok(())
}

/// The slots after the generations became active, the first of them last, and the history that tells of it.
fn activated(args: &StoreImage, chosen: &Chosen) -> Result<(Slots, History), Failure> {
    let (mut slots, mut history) = (Slots::default(), History::default());
    let mut before: Option<&Generation> = None;
    for (position, generation) in chosen.generations.iter().enumerate().rev() {
        let candidate = Candidate {
            number: generation.number,
            generation: generation.id(),
            layer_set: generation.layer_set(),
        };
        let event = match args.tries {
            Some(tries) if position == 0 => Event::ActivateTrial(candidate, tries),
            _ => Event::Activate(candidate),
        };
        slots = slots.apply(event, chosen.at).or_fail(ExitCode::Store, "filling the slots")?;
        history.push(HistoryEntry {
            number: generation.number,
            from: before.map_or(0, |before| before.number),
            at: chosen.at,
            generation: candidate.generation,
            action: match before {
                None => Action::Install,
                Some(before) if before.number < generation.number => Action::Upgrade,
                Some(_) => Action::Rollback,
            },
            command: generation.created_by.clone(),
        });
        before = Some(generation);
    }
    Ok((slots, history))
}
