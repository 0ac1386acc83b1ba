//! What has to be fetched: chunks that the store has, in whichever layer, are never fetched again.
//!
//! A [`Job`] compares a layer's chunks with what is [`known`] to be in the store; [`store::run`] pulls what is missing for all jobs of a
//! command at once.

mod store;

pub use store::run;

use crate::candidate::Candidate;
use crate::target::Target;
use plyos_blockstore::LayerMap;
use plyos_ids::ChunkId;
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::{Chunk, Index};
use plyos_plan::fetch::{Piece, Policy, spans};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{INDEX_PAGE, Place, Store};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

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
    chunks: Arc<Vec<Chunk>>,
    places: Vec<Option<Place>>,
    pieces: Vec<Piece>,
    to_fetch: u64,
    /// Places in the store that damaged chunks keep until they are fetched again; none but in a repair.
    damaged: Vec<Option<Place>>,
    /// Chunks that were fetched and appended, and how many of them are committed.
    appended: u64,
    committed: u64,
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
        let to_fetch = spans::bytes(&spans::spans(&pieces, &Policy::default()));
        let (chunks, damaged) = (Arc::new(chunks), Vec::new());
        Ok(Self { candidate, chunks, places, pieces, to_fetch, damaged, appended: 0, committed: 0 })
    }

    /// The same as a repair of a layer whose chunks lie at `held`: a chunk that is not fetched yet stays where it is, so
    /// that the layer is as complete as before at each moment.
    #[must_use]
    pub fn over(self, held: Vec<Option<Place>>) -> Self {
        Self { damaged: held, ..self }
    }

    /// Bytes that the ranges will bring.
    pub const fn to_fetch(&self) -> u64 {
        self.to_fetch
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

    /// Most room that the layer takes in the store when all of it is there.
    pub fn room(&self, store: &Store) -> u64 {
        // Of the three maps that a long download may write one stays.
        let others = self.other_lens(store);
        let [manifest, _, _, rest @ ..] = others.as_slice() else { return 0 };
        self.chunk_lens().sum::<u64>() + manifest + rest.iter().sum::<u64>()
    }
}
