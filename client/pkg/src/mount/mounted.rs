//! One generation that is in use: its tree, where its chunks lie, its lease.

use super::caches::{Caches, KeptPages};
use super::nodes::locked;
use crate::active;
use crate::target::Target;
use crate::trial::shown;
use plyos_ids::{GenerationId, LayerId};
use plyos_layer_format::index::Chunk;
use plyos_namespace::namespace::{Found, Namespace, NamespaceError, NamespaceLayer};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Lease, MountedLayer, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A generation in use. The last who lets go of it gives its lease back.
pub struct Mounted {
    /// Which generation; zeroes while nothing is installed.
    pub id: GenerationId,
    /// Its number; 0 while nothing is installed.
    pub number: u64,
    /// The merged tree.
    pub namespace: Namespace<KeptPages>,
    /// Its root directory.
    pub root: Found,
    /// What stands in the root, by name, as it was asked for. Each path that leads into the mount asks for one of these names.
    in_root: Mutex<HashMap<Vec<u8>, Found>>,
    /// Places of chunks, by the namespace's numbers of layers.
    stored: Vec<Arc<MountedLayer>>,
    store: Store,
    _lease: Option<Lease>,
}

impl Mounted {
    /// The generation that the store shows. While nothing is installed this is a tree of empty folders.
    pub fn open(target: &Target, caches: &Arc<Caches>) -> Result<Self, Failure> {
        let mut store = target.store()?;
        // The lease first, then another look: what is mounted must not be cleaned away between the two.
        let (id, lease) = loop {
            let Some(slot) = shown(&store).copied() else { break (None, None) };
            let lease = store.lease(slot.number).map_err(|error| target.fail(&error))?;
            store.refresh().map_err(|error| target.fail(&error))?;
            if shown(&store).map(|slot| slot.generation) == Some(slot.generation) {
                break (Some(slot.generation), Some(lease));
            }
        };
        let mut layers = Vec::new();
        let mut number = 0;
        if let Some(id) = &id {
            let generation = active::generation(&store, id)?;
            number = generation.number;
            let pages = |stored| KeptPages::new(stored, Arc::clone(caches));
            layers = active::mount_with(target, &store, generation, pages)?.layers;
        }
        let mut places: Vec<(LayerId, Arc<MountedLayer>)> =
            layers.iter().map(|layer| (layer.record.id, Arc::clone(&layer.stored))).collect();
        let namespace =
            Namespace::new(layers.into_iter().map(|layer| NamespaceLayer::new(layer.index)).collect());
        let root = namespace.root().or_fail(ExitCode::Store, "reading the root of the generation")?;
        let mut stored = Vec::with_capacity(places.len());
        for layer in namespace.layers() {
            let at = places.iter().position(|(id, _)| *id == layer.index.id());
            let at = at.ok_or_else(|| {
                Failure::new(ExitCode::Failure, "a layer of the namespace was lost; this is a defect of pkg")
            })?;
            stored.push(places.swap_remove(at).1);
        }
        let id = id.unwrap_or_else(|| GenerationId::from_bytes([0; 32]));
        let in_root = Mutex::default();
        Ok(Self { id, number, namespace, root, in_root, stored, store, _lease: lease })
    }

    /// What has this name in the root.
    pub fn in_root(&self, name: &[u8]) -> Result<Option<Found>, NamespaceError> {
        if let Some(known) = locked(&self.in_root).get(name) {
            return Ok(Some(known.clone()));
        }
        let found = self.namespace.child(&self.root, name)?;
        // A name that is not there is not remembered: of those there is no end.
        if let Some(found) = &found {
            locked(&self.in_root).insert(name.to_vec(), found.clone());
        }
        Ok(found)
    }

    /// The namespace's number of a layer.
    pub fn layer_number(&self, id: &LayerId) -> Option<usize> {
        self.namespace.layers().iter().position(|layer| layer.index.id() == *id)
    }

    /// What a layer is called in messages.
    pub fn name_of(&self, layer: usize) -> String {
        let layer = self.namespace.layers().get(layer);
        layer.map_or_else(String::new, |layer| {
            let about = layer.index.descriptor();
            format!("{}/{} {}", about.kind(), about.name(), about.version())
        })
    }

    /// A chunk of a layer, verified.
    pub fn chunk(&self, layer: usize, ordinal: u64, chunk: &Chunk) -> Result<Vec<u8>, StoreError> {
        let damaged = |what: &str| StoreError::Damaged {
            path: self.store.path().into(),
            what: format!("chunk {} {what}", chunk.id),
        };
        let stored = self.stored.get(layer).ok_or_else(|| damaged("is of no layer here"))?;
        let place = stored.place(ordinal)?.ok_or_else(|| damaged("is not in the store"))?;
        let read = self.store.read_place(place, chunk.length, &chunk.id);
        match read {
            Err(StoreError::Damaged { .. } | StoreError::Io { .. }) => {
                // `pkg repair` may have put it elsewhere since: a mount need not start again for that.
                let store = Store::open(self.store.path())?;
                let moved = store.mounted_layer(&stored.id)?.map(|now| now.place(ordinal)).transpose()?;
                match moved.flatten().filter(|moved| *moved != place) {
                    Some(moved) => store.read_place(moved, chunk.length, &chunk.id),
                    None => read,
                }
            }
            read => read,
        }
    }

    /// Entries of all layers, and bytes of the store, for `statfs`.
    pub fn size(&self) -> (u64, u64) {
        let entries = self.namespace.layers().iter().map(|layer| layer.index.entry_count()).sum();
        (entries, self.store.superblock().store_len())
    }
}
