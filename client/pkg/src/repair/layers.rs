//! Damaged layers: index, map and chunks.

use super::Outcome;
use super::records::readable_repositories;
use crate::active::{StoredPages, page_hashes};
use crate::candidate::{self, Candidate};
use crate::catalogs;
use crate::pull::{self, Job, Known};
use crate::repositories::Repository;
use crate::target::{Target, record};
use crate::verify::{LayerDamage, Report};
use bytes::Bytes;
use plyos_ids::ManifestDigest;
use plyos_layer_build::reader;
use plyos_layer_format::annotations::MAX_MANIFEST;
use plyos_layer_format::index::{Chunk, Index};
use plyos_layer_format::pages::{PageHashes, SlicePages};
use plyos_namespace::generation::GenerationLayer;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{ChunkCheck, LayerEntry, LayerUpdate, Place, RecordType, Store, Writer};
use plyos_transfer::layer::{LayerManifest, Source};
use plyos_transfer::{Http, catalog};
use plyos_trust::custom::LayerCustom;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;

/// Chunks that are looked at together.
const WINDOW: usize = 1024;

/// Repairs every damaged layer; what was fetched and written is still to be committed.
pub async fn repair(
    target: &Target,
    writer: &mut Writer,
    report: &Report,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    if report.layers.is_empty() {
        return Ok(());
    }
    let mut known = sound(writer, report);
    let lost_generation = report.records.iter().any(|(entry, _)| entry.record_type == RecordType::Generation);
    for damage in &report.layers {
        let what = damage.what();
        if damage.listed.is_none() && !lost_generation {
            outcome.repaired.push(without(target, writer, damage)?);
            continue;
        }
        match again(target, writer, damage, &mut known, outcome).await {
            Ok(()) => outcome.repaired.push(what),
            // Without a network there is no use in going on, and nothing shall change.
            Err(failure) if matches!(failure.code, ExitCode::Network | ExitCode::Store) => {
                return Err(failure);
            }
            Err(failure) => {
                if damage.has_unreadable_map() {
                    let_go(target, writer, damage, &known)?;
                }
                outcome.to_do.push(format!("{what} is damaged still: {failure}"));
            }
        }
    }
    Ok(())
}

/// A broken download, or what a clean-up would take: nothing is fetched for it. What is whole of it is kept.
fn without(target: &Target, writer: &mut Writer, damage: &LayerDamage) -> Result<String, Failure> {
    let entry = &damage.entry;
    let what = damage.what();
    let whole = damage.index.is_none() && damage.map.is_none();
    if let (true, Ok(stored), Ok(index)) = (whole, writer.verify_map(entry), writer.read_index(entry)) {
        let mut places = stored.places().to_vec();
        for chunk in &damage.chunks {
            let at = usize::try_from(chunk.ordinal).ok();
            if let Some(place) = at.and_then(|at| places.get_mut(at)) {
                *place = None;
            }
        }
        put(target, writer, entry, &index, &places)?;
        return Ok(format!("{what}: nothing needs it, its damaged chunks were taken out"));
    }
    writer.remove_layer(&entry.id);
    Ok(format!("{what}: nothing needs it, it was removed"))
}

/// Gives a layer that could not be made whole a map of what is known to be here: one that cannot be read would stop every
/// other writer, also those that could help (`pkg repo add`, `pkg remove`). Without its index nothing can be done.
fn let_go(target: &Target, writer: &mut Writer, damage: &LayerDamage, known: &Known) -> Result<(), Failure> {
    let Ok(index) = writer.read_index(&damage.entry) else { return Ok(()) };
    let chunks = chunks(&index, &damage.entry)?;
    let places: Vec<_> = chunks.iter().map(|chunk| known.get(&chunk.id).copied()).collect();
    put(target, writer, &damage.entry, &index, &places)
}

/// Fetches what is damaged of a layer and puts it again.
async fn again(
    target: &Target,
    writer: &mut Writer,
    damage: &LayerDamage,
    known: &mut Known,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let entry = &damage.entry;
    let what = damage.what();
    let held = writer.verify_map(entry).map(|stored| stored.places().to_vec()).unwrap_or_default();
    let index = writer.read_index(entry).ok();
    if let Some(index) = &index
        && damage.map.is_some()
    {
        learn(writer, index, entry, &held, known)?;
    }
    if let Some(index) = &index
        && let Some(places) = all_known(index, entry, known)?
    {
        // Only the map, or chunks that another layer has as well: no network is needed.
        return put(target, writer, entry, index, &places);
    }
    target.need_network(&format!("fetching what is damaged of {what}"))?;
    let (manifest_bytes, mut source) = origin(target, writer, entry, damage.listed.as_ref(), &what).await?;
    let manifest = LayerManifest::parse(&manifest_bytes, &what)?;
    if manifest.layer != entry.id {
        let line = format!("the manifest of {what} names another layer");
        return Err(Failure::new(ExitCode::Signature, line));
    }
    let mut moved = 0;
    let index = match index {
        Some(index) => index,
        None => {
            let (stored, from) = manifest.stored_index_at(source).await?;
            source = from;
            moved = if source.is_held() { manifest.blob_len } else { manifest.index.stored };
            let index = reader::decode_index(&manifest.index, &stored, &entry.id)
                .or_fail(ExitCode::Signature, format_args!("{what} is refused"))?;
            // Its chunks could not be looked at without it.
            learn(writer, &index, entry, &held, known)?;
            index
        }
    };
    let candidate = Candidate {
        offer: usize::MAX,
        what,
        manifest_bytes: manifest_bytes.to_vec(),
        manifest,
        source,
        index,
        epoch: 0,
        moved,
    };
    let mut job = Job::plan(candidate, known, &mut HashSet::new()).await?.over(held);
    let bar = target.progress.bytes("repairing", job.to_fetch());
    let jobs = std::slice::from_mut(&mut job);
    let done = pull::run(jobs, target, writer, known, &|_, bytes| bar.inc(bytes)).await;
    bar.finish_and_clear();
    outcome.fetched += job.candidate.moved;
    done
}

/// The manifest by which a layer came, and where its blob lies: first in the repository that a generation names.
async fn origin(
    target: &Target,
    store: &Store,
    entry: &LayerEntry,
    listed: Option<&GenerationLayer>,
    what: &str,
) -> Result<(Bytes, Source), Failure> {
    let digest = entry.manifest.ok_or_else(|| {
        let line = format!("{what} is a local layer, which no repository has; install it again");
        Failure::new(ExitCode::NotFound, line)
    })?;
    let kept = record(store, RecordType::Manifest, digest.as_bytes()).ok().flatten().map(Bytes::from);
    let mut repositories = readable_repositories(store);
    repositories.sort_by_key(|repository| listed.is_none_or(|layer| layer.repo != repository.name));
    let mut failed = Failure::new(ExitCode::NotFound, format!("no repository that has {what} is known"));
    for repository in &repositories {
        let source = source(target, store, repository, entry)?;
        let bytes = match (&kept, listed) {
            (Some(kept), _) => Ok(kept.clone()),
            (None, Some(layer)) => {
                fetch_manifest(&target.client(store, repository)?, repository, layer, &digest).await
            }
            (None, None) => continue,
        };
        // One byte of the blob tells whether this repository has it.
        let found = match bytes {
            Ok(bytes) => match LayerManifest::parse(&bytes, what) {
                Ok(manifest) => manifest.range(&source, 0, 1).await.map(|_| bytes).map_err(Failure::from),
                Err(error) => Err(error.into()),
            },
            Err(failure) => Err(failure),
        };
        match found {
            Ok(bytes) => return Ok((bytes, source)),
            Err(failure) => failed = failure,
        }
    }
    Err(failed)
}

/// Where a repository says that the layer's blob lies: in an ordinary registry, where its catalog names one, else beside it.
fn source(
    target: &Target,
    store: &Store,
    repository: &Repository,
    entry: &LayerEntry,
) -> Result<Source, Failure> {
    let http = target.client(store, repository)?;
    // A catalog that is not believed now, as one that is out of date, names nothing.
    let offered = catalogs::trusted(store, repository.clone(), target.now(store)).ok();
    let named = offered.and_then(|trusted| {
        let customs =
            trusted.catalog.targets.values().filter_map(|file| LayerCustom::parse(&file.custom).ok());
        customs.filter(|custom| custom.layer == entry.id).find_map(|custom| custom.registry)
    });
    match named {
        Some(named) => {
            let doing = format!("fetching layer {}", entry.id);
            Ok(Source::Registry(candidate::registry(&http, &named, &doing)?))
        }
        None => Ok(Source::Catalog(catalog::Catalog::new(http, &repository.url)?)),
    }
}

/// Fetches a manifest by its digest, and checks it.
pub async fn fetch_manifest(
    http: &Http,
    repository: &Repository,
    layer: &GenerationLayer,
    digest: &ManifestDigest,
) -> Result<Bytes, Failure> {
    let remote = catalog::Catalog::new(http.clone(), &repository.url)?;
    let GenerationLayer { kind, name, version, arch, .. } = layer;
    let path = format!("targets/{kind}/{name}/{version}/{}.{arch}", digest.to_hex());
    let bytes = remote.get(&path, MAX_MANIFEST).await?.ok_or_else(|| {
        Failure::new(ExitCode::NotFound, format!("{} has no {path} any more", remote.url()))
    })?;
    if Sha256::digest(&bytes).as_slice() != digest.as_bytes() {
        let line = format!("{path} of {} does not have its digest", remote.url());
        return Err(Failure::new(ExitCode::Signature, line));
    }
    Ok(bytes)
}

/// Where each chunk lies that is undamaged, from all layers whose index and map are.
fn sound(store: &Store, report: &Report) -> Known {
    let bad: HashSet<Place> =
        report.layers.iter().flat_map(|layer| &layer.chunks).map(|chunk| chunk.check.place).collect();
    let mut known = Known::new();
    for entry in store.layers() {
        let Ok(stored) = store.verify_map(entry) else { continue };
        let Ok(hashes) = page_hashes(&stored) else { continue };
        let unchecked = report
            .layers
            .iter()
            .any(|layer| layer.entry.id == entry.id && (layer.index.is_some() || layer.map.is_some()));
        let stored = Arc::new(stored);
        let Ok(index) = Index::open(entry.id, hashes, StoredPages(Arc::clone(&stored))) else { continue };
        if unchecked {
            continue;
        }
        for (chunk, place) in index.chunks().map_while(Result::ok).zip(stored.places()) {
            if let Some(place) = place.filter(|place| !bad.contains(place)) {
                known.insert(chunk.id, place);
            }
        }
    }
    known
}

/// Looks at the chunks of a layer whose index has just come, and adds the undamaged ones to what is known.
fn learn(
    store: &Store,
    index: &[u8],
    entry: &LayerEntry,
    held: &[Option<Place>],
    known: &mut Known,
) -> Result<(), Failure> {
    let chunks = chunks(index, entry)?;
    let checks: Vec<ChunkCheck> = chunks
        .iter()
        .zip(held)
        .filter(|(chunk, _)| !known.contains_key(&chunk.id))
        .filter_map(|(chunk, place)| {
            Some(ChunkCheck { id: chunk.id, length: chunk.length, place: (*place)? })
        })
        .collect();
    let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    for window in checks.chunks(WINDOW) {
        let damaged: HashSet<usize> =
            store.verify_chunks(window, threads, &|_| {}).into_iter().map(|(at, _)| at).collect();
        let good = window.iter().enumerate().filter(|(at, _)| !damaged.contains(at));
        known.extend(good.map(|(_, check)| (check.id, check.place)));
    }
    Ok(())
}

fn chunks(index: &[u8], entry: &LayerEntry) -> Result<Vec<Chunk>, Failure> {
    let doing = format!("reading the index of layer {}", entry.id);
    let opened = Index::open(entry.id, PageHashes::compute(index), SlicePages(index));
    opened.and_then(|index| index.chunks().collect()).or_fail(ExitCode::Signature, doing)
}

/// The places of all chunks, when every one is known.
fn all_known(index: &[u8], entry: &LayerEntry, known: &Known) -> Result<Option<Vec<Option<Place>>>, Failure> {
    let places: Option<Vec<_>> =
        chunks(index, entry)?.iter().map(|chunk| known.get(&chunk.id).copied().map(Some)).collect();
    Ok(places)
}

fn put(
    target: &Target,
    writer: &mut Writer,
    entry: &LayerEntry,
    index: &[u8],
    places: &[Option<Place>],
) -> Result<(), Failure> {
    let hashes = PageHashes::compute(index);
    let update =
        LayerUpdate { id: entry.id, index, page_hashes: hashes.as_list(), places, manifest: entry.manifest };
    writer.put_layer(update).map_err(|error| target.fail(&error))
}
