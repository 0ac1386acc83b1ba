//! Content of files in a generation's namespace: chunks from the store, each verified as it is read.

use crate::active::{self, Active, MountedPages};
use crate::history;
use crate::target::Target;
use crate::trial::shown;
use plyos_ids::{GenerationId, LayerId};
use plyos_layer_build::export::ContentSource;
use plyos_layer_build::reader::{ChunkSource, StreamReader};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::{Chunk, Index};
use plyos_layer_format::pages::PageSource;
use plyos_namespace::generation::Generation;
use plyos_namespace::namespace::{Namespace, NamespaceError, NamespaceLayer};
use plyos_report::{ExitCode, Failure};
use plyos_storefile::{Lease, MountedLayer, Store};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// A generation's namespace with the places of its chunks. Holds a lease, so that no clean-up takes it away meanwhile.
pub struct View {
    /// Number of the generation.
    pub number: u64,
    /// Its identity: a number says something within one store only.
    pub id: GenerationId,
    /// Its manifest.
    pub generation: Generation,
    /// The merged tree.
    pub namespace: Namespace<MountedPages>,
    /// Places of chunks, by layer.
    stored: HashMap<LayerId, Arc<MountedLayer>>,
    store: Store,
    _lease: Option<Lease>,
}

impl View {
    /// Mounts the generation that is shown: the active one, or the one on trial.
    pub fn open(target: &Target) -> Result<Self, Failure> {
        let mut store = target.store()?;
        // The lease first, then another look: what is mounted must not be cleaned away between the two.
        let lease = loop {
            let Some(number) = shown(&store).map(|slot| slot.number) else { break None };
            let lease = store.lease(number).map_err(|error| target.fail(&error))?;
            store.refresh().map_err(|error| target.fail(&error))?;
            if shown(&store).map(|slot| slot.number) == Some(number) {
                break Some(lease);
            }
        };
        let active = active::mount(target, &store)?;
        Ok(Self::of(store, active, lease))
    }

    /// Mounts a generation of the history, active or not.
    pub fn open_number(target: &Target, number: u64) -> Result<Self, Failure> {
        let mut store = target.store()?;
        let lease = store.lease(number).map_err(|error| target.fail(&error))?;
        store.refresh().map_err(|error| target.fail(&error))?;
        let generation = history::generation_of_number(&store, number)?;
        let mounted = active::mount_generation(target, &store, generation)?;
        Ok(Self::of(store, mounted, Some(lease)))
    }

    fn of(store: Store, mounted: Active, lease: Option<Lease>) -> Self {
        let Active { generation, layers } = mounted;
        let stored = layers.iter().map(|layer| (layer.record.id, Arc::clone(&layer.stored))).collect();
        let namespace =
            Namespace::new(layers.into_iter().map(|layer| NamespaceLayer::new(layer.index)).collect());
        let (number, id) = (generation.number, generation.id());
        Self { number, id, generation, namespace, stored, store, _lease: lease }
    }

    /// A reader of one layer's stream.
    pub fn reader(&self, layer: usize) -> Result<Reader<'_>, Failure> {
        let layer = self.namespace.layers().get(layer).ok_or_else(lost)?;
        let stored = self.stored(&layer.index.id())?;
        Ok(Reader::new(&self.store, Arc::clone(stored), &layer.index))
    }

    /// Where a layer's chunks lie.
    pub fn stored(&self, layer: &LayerId) -> Result<&Arc<MountedLayer>, Failure> {
        self.stored.get(layer).ok_or_else(lost)
    }
}

fn lost() -> Failure {
    Failure::new(ExitCode::Failure, "a layer of the namespace was lost; this is a defect of pkg")
}

/// Why a search over a namespace ended that reads contents on its way.
pub struct Stopped(Failure);

impl From<NamespaceError> for Stopped {
    fn from(error: NamespaceError) -> Self {
        Self(Failure::new(ExitCode::Store, format!("reading the namespace: {error}")))
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        stopped.0
    }
}

/// Reads one layer's stream.
pub struct Reader<'a, S = MountedPages>(StreamReader<'a, S, StoredChunks<'a>>);

impl<'a, S: PageSource> Reader<'a, S> {
    /// Of a layer whose chunks lie in `store`, by its index.
    pub fn new(store: &'a Store, stored: Arc<MountedLayer>, index: &'a Index<S>) -> Self {
        Self(StreamReader::new(index, StoredChunks { store, layer: stored }))
    }

    /// The whole content of a file; `entry` is of this layer and its first path. For files that fit into memory.
    pub fn whole(&mut self, entry: &Entry) -> io::Result<Vec<u8>> {
        let EntryKind::File { size, data_offset, .. } = entry.kind else { return Ok(Vec::new()) };
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        self.0.read(data_offset, &mut bytes)?;
        Ok(bytes)
    }
}

impl<S: PageSource> ContentSource for Reader<'_, S> {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
}

/// Readers of several layers, kept while they are in use: each holds the chunk that it read last. No more than a few, for a
/// chunk may have 1 MiB.
pub struct Readers<'a, S = MountedPages>(HashMap<usize, Reader<'a, S>>);

impl<S> Default for Readers<'_, S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<'a, S: PageSource> Readers<'a, S> {
    /// Most that are kept.
    const KEPT: usize = 16;

    /// That of a layer, made by `open` if there is none.
    pub fn of(
        &mut self,
        layer: usize,
        open: impl FnOnce() -> Result<Reader<'a, S>, Failure>,
    ) -> Result<&mut Reader<'a, S>, Failure> {
        if self.0.len() >= Self::KEPT && !self.0.contains_key(&layer) {
            self.0.clear();
        }
        match self.0.entry(layer) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => Ok(new.insert(open()?)),
        }
    }
}

/// Chunks of one layer.
struct StoredChunks<'a> {
    store: &'a Store,
    layer: Arc<MountedLayer>,
}

impl ChunkSource for StoredChunks<'_> {
    fn read_chunk(&mut self, ordinal: u64, chunk: &Chunk) -> io::Result<Vec<u8>> {
        let place = self.layer.place(ordinal).map_err(io::Error::other)?.ok_or_else(|| {
            io::Error::other(format!("chunk {ordinal} of layer {} is not in the store", self.layer.id))
        })?;
        self.store.read_place(place, chunk.length, &chunk.id).map_err(io::Error::other)
    }
}
