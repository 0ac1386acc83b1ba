//! Mounting: the layers of a generation opened by their identities and admitted, at a cost that does not grow with what they hold.
//!
//! What is checked, in this order: the generation's record against the identity in the slot; of each layer, that all of it is in
//! the store, its page hashes and head against its identity, its descriptor against the generation's list, its certificate
//! ([`crate::gate`]), and that it reads the machine's state. One doubt refuses the whole generation.
//!
//! What is not checked, because it would cost the more the larger the layers are, and why that is sound:
//!
//! - Chunks and further pages: each is verified when it is read.
//! - Conflicts between layers. `pkg` has checked them before the flip. Who writes the disk can put signed layers together that
//!   conflict; what is then seen at a path is still the file of one of them, the same one every time, and the base's unless a
//!   signed descriptor replaces it. That is no power that he has not by leaving the other layer out.
//! - What layers may hold by their mount type (`plyos_namespace::rules`). It is asked of each entry that is read, in
//!   [`crate::Mounted::read`].

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use plyos_blockstore::{LayerState, ReadError, RecordType, StoreCopy, places_of, read_page_hashes};
use plyos_ids::{GenerationId, Kind};
use plyos_layer_format::index::{Index, IndexError, MAX_INDEX};
use plyos_layer_format::pages::{PAGE_SIZE, PageHashes};
use plyos_namespace::generation::{Disagreement, Generation, GenerationError, GenerationLayer};
use plyos_namespace::namespace::{Namespace, NamespaceLayer};
use plyos_trust::pins::Pins;
use spin::Mutex;

use crate::gate::{Gate, GateError};
use crate::pages::OnDisk;
use crate::read_ahead::Flows;
use crate::records::{self, RecordError};
use crate::store::{Device, Machine, Store};
use crate::{Mounted, Pages};

/// Longest record of a generation; its parser takes no more.
pub(crate) const LONGEST_GENERATION: u64 = 4 << 20;

/// Why a generation was not mounted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// Its record could not be used.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The store has no record of it.
    #[error("its record is not in the store")]
    NoRecord,
    /// Its record is no generation.
    #[error("its record is malformed: {0}")]
    Malformed(GenerationError),
    /// Its record is another generation.
    #[error("its record is that of generation {0}")]
    Other(u64),
    /// What decides about layers could not be read.
    #[error("{0}")]
    Gate(GateError),
    /// A layer.
    #[error("{kind}/{name} {version}: {reason}")]
    Layer {
        /// Its kind, by the generation.
        kind: Kind,
        /// Its name, by the generation.
        name: String,
        /// Its version, by the generation.
        version: String,
        /// Why.
        reason: Box<LayerError>,
    },
}

/// Why a layer was not mounted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// The store does not have it.
    #[error("it is not in the store")]
    Missing,
    /// The store does not have all of it.
    #[error("it is in the store in part only")]
    Partial,
    /// The device failed.
    #[error("its map cannot be read: {0}")]
    Device(String),
    /// Its map.
    #[error("its map is damaged: {0}")]
    Map(String),
    /// Its index.
    #[error("{0}")]
    Index(#[from] IndexError),
    /// The generation calls it by another name.
    #[error("{0}")]
    Disagrees(#[from] Disagreement),
    /// It is not admitted.
    #[error("{0}")]
    Gate(#[from] GateError),
    /// It cannot read the machine's state.
    #[error("it reads the machine's state in version {oldest} to {newest}, and that is {found}")]
    State {
        /// Oldest version that it reads.
        oldest: u64,
        /// Newest version that it reads.
        newest: u64,
        /// Version of the machine's state.
        found: u64,
    },
}

impl MountError {
    /// Whether it is evidence against this generation: bytes that do not match their hash, or make no sense. A device that failed is
    /// none, nor is what all generations share (keyrings, floors), nor what a newer kernel may read, nor a layer that is not trusted
    /// here: the next kernel may have other roots.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::NoRecord | Self::Other(_) => true,
            Self::Malformed(error) => !error.is_too_new(),
            Self::Record(error) => error.is_damage(),
            Self::Gate(_) => false,
            Self::Layer { reason, .. } => match &**reason {
                LayerError::Missing | LayerError::Partial | LayerError::Map(_) | LayerError::Disagrees(_) => {
                    true
                }
                LayerError::Index(error) => !matches!(error, IndexError::Read { .. }) && !error.is_too_new(),
                LayerError::Gate(GateError::Record(error)) => error.is_damage(),
                LayerError::Device(_) | LayerError::Gate(_) | LayerError::State { .. } => false,
            },
        }
    }
}

/// A generation by number and identity, as a slot or the history names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    pub number: u64,
    pub id: GenerationId,
}

/// Mounts a generation of the store as `copy` describes it.
pub(crate) fn mount<D: Device>(
    store: &Arc<Store<D>>,
    copy: &StoreCopy,
    named: Named,
    pins: &Pins,
    machine: &Machine,
) -> Result<Mounted<D>, MountError> {
    let generation = generation(&store.device, copy, named)?;
    let gate = Gate::new(store, copy, pins, machine).map_err(MountError::Gate)?;
    let mut layers = Vec::new();
    for listed in &generation.layers {
        let index = layer(store, copy, listed, &gate).map_err(|reason| MountError::Layer {
            kind: listed.kind,
            name: listed.name.clone(),
            version: listed.version.clone(),
            reason: Box::new(reason),
        })?;
        layers.push(NamespaceLayer::new(index));
    }
    Ok(Mounted::new(generation, named.id, Namespace::new(layers), Arc::clone(store)))
}

/// A generation's record, checked against its name.
pub(crate) fn generation<D: Device>(
    device: &D,
    copy: &StoreCopy,
    named: Named,
) -> Result<Generation, MountError> {
    let key = (RecordType::Generation, *named.id.as_bytes());
    let bytes =
        records::record(device, &copy.directory, key, LONGEST_GENERATION)?.ok_or(MountError::NoRecord)?;
    let found = Generation::parse(&bytes).map_err(MountError::Malformed)?;
    if found.id() == named.id && found.number == named.number {
        Ok(found)
    } else {
        Err(MountError::Other(found.number))
    }
}

fn layer<D: Device>(
    store: &Arc<Store<D>>,
    copy: &StoreCopy,
    listed: &GenerationLayer,
    gate: &Gate<'_, D>,
) -> Result<Index<Pages<D>>, LayerError> {
    let entry = copy.directory.layers.get(&listed.id).ok_or(LayerError::Missing)?;
    if entry.state != LayerState::Complete {
        return Err(LayerError::Partial);
    }
    // Bounds of lists that the store states the length of, before they are read.
    let length = entry.index.len;
    if length > MAX_INDEX || length % PAGE_SIZE as u64 != 0 {
        return Err(IndexError::Length { length, limit: MAX_INDEX }.into());
    }
    let pages = (length / PAGE_SIZE as u64) as u32;
    let hashes = read_page_hashes(&store.device, entry, pages).map_err(|error| match error {
        ReadError::Io(error) => LayerError::Device(error.to_string()),
        ReadError::Hash => LayerError::Map(ReadError::<String>::Hash.to_string()),
        ReadError::Contradiction => LayerError::Map(ReadError::<String>::Contradiction.to_string()),
        ReadError::Map(error) => LayerError::Map(error.to_string()),
    })?;
    let places = places_of(entry, hashes.len()).ok_or(LayerError::Map(String::from("it is too short")))?;
    let hashes = PageHashes::from_list(hashes, pages).map_err(|error| LayerError::Map(error.to_string()))?;
    let on_disk = OnDisk {
        id: listed.id,
        index: entry.index,
        places,
        map_hash: entry.map_hash,
        store_len: copy.superblock.store_len(),
        flows: Mutex::new(Flows::default()),
    };
    let source = Pages { store: Arc::clone(store), layer: Arc::new(on_disk) };
    let index = Index::open(listed.id, hashes, source)?;
    listed.agrees_with(index.descriptor())?;
    gate.admit(listed, index.descriptor())?;
    let found = u64::from(copy.superblock.state_version);
    if let Some(reads) = index.descriptor().state_versions()
        && found != 0
        && !reads.contains(&found)
    {
        return Err(LayerError::State { oldest: *reads.start(), newest: *reads.end(), found });
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_bytemap::PreambleError;

    #[test]
    fn what_a_newer_kernel_may_read_is_no_damage() {
        let layer = |reason: IndexError| MountError::Layer {
            kind: Kind::Base,
            name: String::from("base"),
            version: String::from("1"),
            reason: Box::new(reason.into()),
        };
        for newer in [PreambleError::Version(2), PreambleError::Features(1)] {
            assert!(!MountError::Malformed(GenerationError::Preamble(newer)).is_damage());
            assert!(!layer(IndexError::Preamble(newer)).is_damage());
        }
        assert!(MountError::Malformed(GenerationError::Preamble(PreambleError::Magic)).is_damage());
        assert!(MountError::Malformed(GenerationError::NumberZero).is_damage());
        assert!(layer(IndexError::Preamble(PreambleError::Malformed)).is_damage());
        assert!(layer(IndexError::Hash { page: 0 }).is_damage());
    }
}
