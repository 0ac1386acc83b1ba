//! Fetching what is missing: chunks that the store has, in whichever layer, are never fetched again.
//!
//! Ranges are fetched a few at a time and verified on other threads; each chunk is appended as its stored frame. What
//! was fetched is committed now and then as a partial layer, so that a broken download goes on where it stopped.

use crate::candidate::Candidate;
use crate::target::Target;
use bytes::Bytes;
use futures_util::StreamExt;
use plyos_blockstore::LayerMap;
use plyos_ids::{ChunkId, Codec};
use plyos_layer_build::reader::{self, Kept};
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::{Chunk, Index};
use plyos_layer_format::pages::PageHashes;
use plyos_plan::ranges::{self, Piece, Request};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{INDEX_PAGE, Place, RecordType};
use plyos_storefile::{LayerUpdate, Store, Writer};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Requests under way at a time.
const PARALLEL: usize = 4;
/// Bytes fetched after which a partial layer is committed.
const COMMIT_EVERY: u64 = 64 << 20;
/// Time after which it is committed all the same, so that a slow download that is killed loses little.
const COMMIT_AFTER: Duration = Duration::from_secs(2);

/// Where each chunk lies that the store has.
pub type Known = HashMap<ChunkId, Place>;

/// Collects what the store has, from the maps of all its layers.
pub fn known(target: &Target, store: &Store) -> Result<Known, Failure> {
    let mut known = Known::new();
    let layers: Vec<_> = store.layers().map(|entry| entry.id).collect();
    for id in layers {
        let Some(stored) = store.layer(&id).map_err(|error| target.fail(&error))? else { continue };
        let places = stored.places().to_vec();
        let hashes = crate::active::page_hashes(&stored)?;
        let pages = crate::active::StoredPages(std::sync::Arc::new(stored));
        let index =
            Index::open(id, hashes, pages).or_fail(ExitCode::Store, format_args!("opening layer {id}"))?;
        for (chunk, place) in index.chunks().zip(places) {
            let chunk = chunk.or_fail(ExitCode::Store, format_args!("reading layer {id}"))?;
            if let Some(place) = place {
                known.insert(chunk.id, place);
            }
        }
    }
    Ok(known)
}

/// What has to be fetched of one layer.
pub struct Job {
    /// The layer.
    pub candidate: Candidate,
    chunks: Vec<Chunk>,
    places: Vec<Option<Place>>,
    pieces: Vec<Piece>,
    requests: Vec<Request>,
    /// Places in the store that damaged chunks keep until they are fetched again; none but in a repair.
    damaged: Vec<Option<Place>>,
    /// Chunks that were fetched and appended.
    appended: u64,
}

impl Job {
    /// Compares the layer's chunks with what is known; fetches the frame table only when something is missing.
    /// `promised` collects what earlier jobs of the same command will bring.
    pub async fn plan(
        mut candidate: Candidate,
        known: &Known,
        promised: &mut HashSet<ChunkId>,
    ) -> Result<Self, Failure> {
        let doing = format!("reading the index of {}", candidate.what);
        let chunks: Vec<Chunk> =
            candidate.open()?.chunks().collect::<Result<_, _>>().or_fail(ExitCode::Signature, &doing)?;
        let places: Vec<Option<Place>> = chunks.iter().map(|chunk| known.get(&chunk.id).copied()).collect();
        let missing: Vec<usize> = chunks
            .iter()
            .enumerate()
            .filter(|(_, chunk)| !known.contains_key(&chunk.id) && promised.insert(chunk.id))
            .map(|(at, _)| at)
            .collect();
        let mut pieces = Vec::with_capacity(missing.len());
        if !missing.is_empty() {
            let table = candidate.fetch_table().await?;
            let mut wanted = missing.iter().copied().peekable();
            for (at, (offset, length)) in table.places().enumerate() {
                if wanted.next_if_eq(&at).is_some() {
                    pieces.push(Piece { offset, length, ordinal: at as u64 });
                }
            }
        }
        let requests = ranges::merge(&pieces);
        let damaged = Vec::new();
        Ok(Self { candidate, chunks, places, pieces, requests, damaged, appended: 0 })
    }

    /// The same as a repair of a layer whose chunks lie at `held`: a chunk that is not fetched yet stays where it is, so
    /// that the layer is as complete as before at each moment.
    #[must_use]
    pub fn over(self, held: Vec<Option<Place>>) -> Self {
        Self { damaged: held, ..self }
    }

    /// Bytes that the ranges will bring.
    pub fn to_fetch(&self) -> u64 {
        self.requests.iter().map(|request| request.length).sum()
    }

    /// Most bytes in the store of each chunk to be fetched, in the order in which they will be appended.
    pub fn chunk_lens(&self) -> impl Iterator<Item = u64> {
        self.pieces.iter().map(|piece| {
            let chunk = usize::try_from(piece.ordinal).ok().and_then(|at| self.chunks.get(at));
            match (self.candidate.manifest.form, chunk) {
                // Kept as it comes, or else compressed again.
                (Form::Gzip, Some(chunk)) => u64::from(chunk.length),
                _ => u64::from(piece.length),
            }
        })
    }

    /// Bytes of what goes into the store beside the chunks: the index, and the maps with their manifest. While a long
    /// download commits now and then, each superblock copy holds a map of its own.
    pub fn other_lens(&self, store: &Store) -> Vec<u64> {
        let index = self.candidate.index.len() as u64;
        let map = LayerMap::new(self.candidate.manifest.layer, Vec::new(), Vec::new()).emitted_len()
            + self.chunks.len() as u64 * Place::SIZE as u64
            + index.div_ceil(INDEX_PAGE) * 32;
        let mut lens = vec![self.candidate.manifest_bytes.len() as u64];
        lens.extend([map; 3]);
        if !store.layers().any(|entry| entry.id == self.candidate.manifest.layer) {
            lens.push(index);
        }
        lens
    }

    /// Fetches, verifies and appends what is missing.
    pub async fn run(
        &mut self,
        target: &Target,
        writer: &mut Writer,
        known: &mut Known,
        advance: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let fetched = self.fetch(target, writer, known, advance).await;
        // Also after a failure: what came is kept for the next try.
        self.fill(known);
        let complete = self.places.iter().all(Option::is_some);
        let worth = self.appended > 0 || self.damaged.is_empty();
        if !complete && worth && self.places.iter().any(Option::is_some) {
            self.write(target, writer)?;
            writer.commit(None).map_err(|error| target.fail(&error))?;
        }
        fetched?;
        if !complete {
            let line = format!(
                "chunks of {} are missing after the download; this is a defect of pkg",
                self.candidate.what
            );
            return Err(Failure::new(ExitCode::Failure, line));
        }
        self.write(target, writer)
    }

    async fn fetch(
        &mut self,
        target: &Target,
        writer: &mut Writer,
        known: &mut Known,
        advance: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let (blob, form) = (self.candidate.manifest.blob, self.candidate.manifest.form);
        let source = self.candidate.source.clone();
        let failed = Cell::new(false);
        let failed = &failed;
        let work = std::mem::take(&mut self.requests).into_iter().map(|request| {
            let frames: Vec<(u64, u32, Chunk)> = self
                .pieces
                .get(request.pieces.clone())
                .unwrap_or_default()
                .iter()
                .filter_map(|piece| {
                    let chunk = self.chunks.get(usize::try_from(piece.ordinal).ok()?)?;
                    Some((piece.offset - request.offset, piece.length, *chunk))
                })
                .collect();
            let (source, what) = (source.clone(), self.candidate.what.clone());
            async move {
                if failed.get() {
                    return Ok(None);
                }
                let bytes = source.range(&blob, request.offset, request.length).await?;
                tokio::task::spawn_blocking(move || verify(&bytes, form, frames, &what))
                    .await
                    .or_fail(ExitCode::Failure, "verifying chunks")?
                    .map(|frames| Some((request.length, frames)))
            }
        });
        let mut arriving = futures_util::stream::iter(work).buffered(PARALLEL);
        let mut since_commit = 0;
        let mut committed = Instant::now();
        let mut partial = Vec::new();
        let mut first_failure = None;
        while let Some(arrived) = arriving.next().await {
            let (length, frames) = match arrived {
                Ok(Some(arrived)) => arrived,
                Ok(None) => continue,
                // Nothing more is asked for, but what is under way is awaited and kept.
                Err(failure) => {
                    failed.set(true);
                    first_failure.get_or_insert(failure);
                    continue;
                }
            };
            for (chunk, codec, frame) in frames {
                let place = writer.append_chunk(codec, &frame).map_err(|error| target.fail(&error))?;
                known.insert(chunk.id, place);
                self.appended += 1;
            }
            self.candidate.moved += length;
            since_commit += length;
            advance(length);
            if since_commit >= COMMIT_EVERY || committed.elapsed() >= COMMIT_AFTER {
                since_commit = 0;
                partial.clear();
                partial.extend(self.chunks.iter().map(|chunk| known.get(&chunk.id).copied()));
                keep_damaged(&mut partial, &self.damaged);
                put(target, writer, &self.candidate, &partial)?;
                writer.commit(None).map_err(|error| target.fail(&error))?;
                committed = Instant::now();
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    fn fill(&mut self, known: &Known) {
        for (place, chunk) in self.places.iter_mut().zip(&self.chunks) {
            if place.is_none() {
                *place = known.get(&chunk.id).copied();
            }
        }
    }

    /// Hands index, map and manifest to the writer; complete when every place is known.
    fn write(&self, target: &Target, writer: &mut Writer) -> Result<(), Failure> {
        let mut places = self.places.clone();
        keep_damaged(&mut places, &self.damaged);
        put(target, writer, &self.candidate, &places)?;
        writer
            .put_record(
                RecordType::Manifest,
                self.candidate.manifest.digest.as_bytes(),
                &self.candidate.manifest_bytes,
            )
            .map_err(|error| target.fail(&error))
    }
}

fn keep_damaged(places: &mut [Option<Place>], damaged: &[Option<Place>]) {
    for (place, damaged) in places.iter_mut().zip(damaged) {
        *place = place.or(*damaged);
    }
}

fn put(
    target: &Target,
    writer: &mut Writer,
    candidate: &Candidate,
    places: &[Option<Place>],
) -> Result<(), Failure> {
    let hashes = PageHashes::compute(&candidate.index);
    let update = LayerUpdate {
        id: candidate.manifest.layer,
        index: &candidate.index,
        page_hashes: hashes.as_list(),
        places,
        manifest: Some(candidate.manifest.digest),
    };
    writer.put_layer(update).map_err(|error| target.fail(&error))
}

/// A chunk with what the store keeps of it.
type Verified = (Chunk, Codec, Bytes);

/// Checks each frame of a range against its chunk's identity; gives them back as they are to be stored.
fn verify(
    bytes: &Bytes,
    form: Form,
    frames: Vec<(u64, u32, Chunk)>,
    what: &str,
) -> Result<Vec<Verified>, Failure> {
    let mut verified = Vec::with_capacity(frames.len());
    for (offset, length, chunk) in frames {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(length as usize);
        if end > bytes.len() {
            return Err(Failure::new(ExitCode::Network, format!("fetching {what}: a range came short")));
        }
        let frame = bytes.slice(start..end);
        let kept = reader::kept(form, &frame, &chunk).or_fail(
            ExitCode::Signature,
            format_args!("a chunk of {what} is refused, nothing was changed"),
        )?;
        verified.push(match kept {
            Kept::AsItCame => (chunk, Codec::Zstd, frame),
            Kept::Instead(codec, bytes) => (chunk, codec, bytes.into()),
        });
    }
    Ok(verified)
}
