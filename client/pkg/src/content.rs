//! Content of files in the active namespace: chunks from the store, each verified as it is read.

use crate::active::{Active, StoredPages};
use crate::target::Target;
use plyos_layer_build::export::ContentSource;
use plyos_layer_build::reader::{ChunkSource, StreamReader};
use plyos_layer_format::index::Chunk;
use plyos_namespace::namespace::{Namespace, NamespaceLayer};
use plyos_report::{ExitCode, Failure};
use plyos_storefile::{Lease, Store, StoredLayer};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use plyos_ids::{GenerationId, LayerId};

/// The active namespace with the places of its chunks. Holds a lease, so that no clean-up takes it away meanwhile.
pub struct View {
    /// Number of the generation.
    pub number: u64,
    /// Its identity: a number says something within one store only.
    pub id: GenerationId,
    /// The merged tree.
    pub namespace: Namespace<StoredPages>,
    /// Places of chunks, by layer.
    stored: HashMap<LayerId, Rc<StoredLayer>>,
    store: Rc<Store>,
    _lease: Option<Lease>,
}

impl View {
    /// Mounts the active generation.
    pub fn open(target: &Target) -> Result<Self, Failure> {
        let mut store = target.store()?;
        // The lease first, then another look: what is mounted must not be cleaned away between the two.
        let lease = loop {
            let Some(number) = store.slots().active().map(|slot| slot.number) else { break None };
            let lease = store.lease(number).map_err(|error| target.fail(&error))?;
            store.refresh().map_err(|error| target.fail(&error))?;
            if store.slots().active().map(|slot| slot.number) == Some(number) {
                break Some(lease);
            }
        };
        let Active { generation, layers } = crate::active::mount(target, &store)?;
        let stored = layers.iter().map(|layer| (layer.record.id, Rc::clone(&layer.stored))).collect();
        let namespace =
            Namespace::new(layers.into_iter().map(|layer| NamespaceLayer::new(layer.index)).collect());
        Ok(Self {
            number: generation.number,
            id: generation.id(),
            namespace,
            stored,
            store: Rc::new(store),
            _lease: lease,
        })
    }

    /// A reader of one layer's stream.
    pub fn reader(&self, layer: usize) -> Result<Reader<'_>, Failure> {
        let lost =
            || Failure::new(ExitCode::Failure, "a layer of the namespace was lost; this is a defect of pkg");
        let layer = self.namespace.layers().get(layer).ok_or_else(lost)?;
        let stored = self.stored.get(&layer.index.id()).ok_or_else(lost)?;
        let chunks = StoredChunks { store: Rc::clone(&self.store), layer: Rc::clone(stored) };
        Ok(Reader(StreamReader::new(&layer.index, chunks)))
    }
}

/// Reads one layer's stream.
pub struct Reader<'a>(StreamReader<'a, StoredPages, StoredChunks>);

impl ContentSource for Reader<'_> {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
}

/// Chunks of one layer.
struct StoredChunks {
    store: Rc<Store>,
    layer: Rc<StoredLayer>,
}

impl ChunkSource for StoredChunks {
    fn read_chunk(&mut self, ordinal: u64, chunk: &Chunk) -> io::Result<Vec<u8>> {
        let place = self.layer.place(ordinal).ok_or_else(|| {
            io::Error::other(format!("chunk {ordinal} of layer {} is not in the store", self.layer.id))
        })?;
        self.store.read_place(place, chunk.length, &chunk.id).map_err(io::Error::other)
    }
}
