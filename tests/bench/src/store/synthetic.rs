//! Generations of many layers, made by code: real indexes, certificates and maps over tiny chunks, so that a million
//! chunks fit into 128 MB. Every identity is true.

use crate::ours::REPOSITORY;
use anyhow::{Context, Result};
use plyos_custody::{SecretKey, Signer, keys};
use plyos_ids::{ChunkId, Codec, Kind, LayerId, Mount};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::{self, Chunk, IndexInput, MtimeRule};
use plyos_layer_format::pages::PageHashes;
use plyos_layer_format::stream::{self, EPOCH};
use plyos_namespace::generation::{Generation, GenerationLayer, GenerationParts};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{Action, HistoryEntry, LayerUpdate, RecordType, Store, StoreDevice, Writer};
use plyos_trust::certificate::{Certificate, Statement};
use plyos_trust::signatures::Signatures;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Bytes of each chunk: small, for it is their number that counts here.
const CHUNK: u64 = 128;
/// A layer has a file for each so many of its chunks.
const CHUNKS_OF_A_FILE: u64 = 20;
/// Seconds since 1970 of everything that is made here.
const WHEN: u64 = 1_800_000_000;

/// How many layers of which size.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Layers of the generation.
    pub layers: usize,
    /// Chunks of each layer: a multiple of 4, at least 64.
    pub chunks: u64,
}

/// Layers and chunks of the store in which a mount is measured: a million chunks.
const MANY: Shape = Shape { layers: 100, chunks: 10_000 };

/// Puts a million chunks into the store at `path`, certified with the layer key in the file `key`.
pub fn fill_store(path: &Path, key: &Path) -> Result<Value> {
    let key = keys::open(key, keys::Role::Layer).context("opening the layer key")?;
    let mut writer = Store::writer(path, Duration::ZERO)?;
    fill(&mut writer, MANY, &key, REPOSITORY)?;
    Ok(json!({"layers": MANY.layers}))
}

/// Puts packages of this shape into a store, certified with a layer key of the repository that the store calls
/// `repository`, and makes a generation of them the active one.
pub fn fill<D: StoreDevice>(
    writer: &mut Writer<D>,
    shape: Shape,
    key: &SecretKey,
    repository: &str,
) -> Result<Generation> {
    let mut listed = Vec::with_capacity(shape.layers);
    for number in 0..shape.layers {
        let name = format!("layer-{number:03}");
        let id = put(writer, &name, shape.chunks)?;
        let certificate = certify(key, id)?;
        writer.put_record(RecordType::Certificate, id.as_bytes(), &certificate.emit())?;
        listed.push(GenerationLayer {
            id,
            kind: Kind::Package,
            mount: Mount::of(Kind::Package, &name),
            asked: true,
            unsigned: false,
            epoch: 1,
            name,
            version: "1".to_owned(),
            arch: "any".to_owned(),
            repo: repository.to_owned(),
        });
    }
    activate(writer, listed)
}

/// Makes a generation of layers that the store has, and flips to it as `pkg` does: the generation's record, the history
/// and the slots in one commit.
pub fn activate<D: StoreDevice>(writer: &mut Writer<D>, layers: Vec<GenerationLayer>) -> Result<Generation> {
    let before = writer.slots().active().copied();
    let generation = Generation::new(GenerationParts {
        number: writer.take_generation_number(),
        parent: before.map_or(0, |slot| slot.number),
        created_at: WHEN,
        state_version: 0,
        tries: 0,
        health: None,
        created_by: "bench".to_owned(),
        layers,
    })?;
    let id = generation.id();
    writer.put_record(RecordType::Generation, id.as_bytes(), &generation.emit())?;
    let candidate =
        Candidate { number: generation.number, generation: id, layer_set: generation.layer_set() };
    let slots = writer.slots().apply(Event::Activate(candidate), WHEN)?;
    let mut history = writer.history()?;
    history.push(HistoryEntry {
        number: generation.number,
        from: before.map_or(0, |slot| slot.number),
        at: WHEN,
        generation: id,
        action: Action::Install,
        command: "bench".to_owned(),
    });
    writer.put_record(RecordType::History, &RecordType::ONLY, &history.emit())?;
    writer.set_slots(slots);
    writer.commit(before.map(|slot| slot.generation))?;
    Ok(generation)
}

fn put<D: StoreDevice>(writer: &mut Writer<D>, name: &str, chunks: u64) -> Result<LayerId> {
    let (input, stream) = layer(name, chunks)?;
    let places = stream
        .chunks(CHUNK as usize)
        .map(|chunk| writer.append_chunk(Codec::Raw, chunk).map(Some))
        .collect::<Result<Vec<_>, _>>()?;
    let index = index::emit(&input)?;
    let id = index::layer_id(&index);
    let hashes = PageHashes::compute(&index);
    writer.put_layer(LayerUpdate {
        id,
        index: &index,
        page_hashes: hashes.as_list(),
        places: &places,
        manifest: None,
    })?;
    Ok(id)
}

fn certify(key: &SecretKey, layer: LayerId) -> Result<Certificate> {
    let statement = Statement { layer, issued_at: WHEN, epoch: 1 };
    let signature = key.sign(&statement.message())?;
    Ok(Certificate::new(statement, Signatures::new(vec![signature])?))
}

/// A layer of `chunks` chunks: files of noise in `usr/share/NAME`, the last of them taking what is left.
fn layer(name: &str, chunks: u64) -> Result<(IndexInput, Vec<u8>)> {
    let stream_len = chunks * CHUNK;
    let files = (chunks / CHUNKS_OF_A_FILE).max(1);
    let folders =
        ["", "usr", "usr/share"].map(str::to_owned).into_iter().chain([format!("usr/share/{name}")]);
    let mut entries: Vec<Entry> = (1..)
        .zip(folders)
        .map(|(depth, path)| entry(path, EntryKind::Directory { descendants: files + 4 - depth }))
        .collect();
    for number in 0..files {
        let size = if number + 1 < files { 512 } else { 0 };
        let path = format!("usr/share/{name}/{number:06}");
        entries.push(entry(path, EntryKind::File { size, data_offset: 0, links: 1 }));
    }
    let mut noise = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
    let (mut out, mut header_offsets) = (Vec::new(), Vec::new());
    let last = entries.len().saturating_sub(1);
    for (number, entry) in entries.iter_mut().enumerate() {
        header_offsets.push(out.len() as u64);
        if let EntryKind::File { size, data_offset, .. } = &mut entry.kind {
            *data_offset = out.len() as u64 + stream::BLOCK as u64;
            if number == last {
                let end = *data_offset + stream::END.len() as u64;
                *size = stream_len.checked_sub(end).context("too few chunks for the layer's files")?;
            }
        }
        out.extend_from_slice(&stream::header(entry, None));
        let start = out.len();
        out.resize(start + entry.size() as usize, 0);
        noise.fill(out.get_mut(start..).unwrap_or_default());
    }
    out.extend_from_slice(&stream::END);
    let chunks = out.chunks(CHUNK as usize).map(|chunk| Chunk {
        id: ChunkId::from_bytes(*blake3::hash(chunk).as_bytes()),
        length: chunk.len() as u32,
    });
    let input = IndexInput {
        descriptor: Descriptor::new(Kind::Package, name, "1", "any")?,
        entries,
        header_offsets,
        chunks: chunks.collect(),
        stream_len,
        mtime_rule: MtimeRule::Kept,
    };
    Ok((input, out))
}

fn entry(path: String, kind: EntryKind) -> Entry {
    let mode = if matches!(kind, EntryKind::Directory { .. }) { 0o755 } else { 0o644 };
    Entry { path: path.into_bytes(), kind, mode, uid: 0, gid: 0, mtime: EPOCH, xattrs: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_layer_format::index::{Limits, check};

    #[test]
    fn a_layer_has_the_chunks_that_were_asked_for_and_passes_every_check() {
        for chunks in [64, 400] {
            let (input, stream) = layer("sample", chunks).unwrap();
            assert_eq!(stream.len() as u64, chunks * CHUNK);
            let index = index::emit(&input).unwrap();
            let checked = check(&index, &Limits::default()).unwrap();
            assert_eq!(checked.chunk_count(), chunks);
            assert_eq!(checked.entry_count(), 4 + chunks / CHUNKS_OF_A_FILE);
        }
        assert!(layer("sample", 8).is_err());
    }
}
