//! The activation manifest: the exact layers, mounts and policy that are a system.
//!
//! [`GenerationParts`] is what somebody wants; [`Generation`] is what passed every rule of docs/formats.md,
//! "Generation", and can be written. A generation carries no signature: what a layer may do is decided by its
//! certificate and its descriptor, so whoever mounts one also calls [`GenerationLayer::agrees_with`].

use alloc::{string::String, vec::Vec};
use core::ops::Deref;

use plyos_bytemap::PreambleError;
use plyos_ids::{GenerationId, Kind, LayerId, LayerSetId, Mount, MountType};
use plyos_layer_format::descriptor::{Descriptor, DescriptorError};

mod codec;
mod heap;

pub use codec::{LAYOUTS, MAX_LEN};

/// Most layers of a generation; a reader refuses more.
pub const MAX_LAYERS: usize = 4096;

/// How it is found out whether a trial went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum HealthKind {
    /// A command that ends with status 0.
    Command = 1,
    /// A URL that answers with a status of success.
    Http = 2,
    /// An address that accepts a connection.
    Tcp = 3,
    /// Every service that the layers declare is up.
    Services = 4,
}

impl HealthKind {
    /// The kind of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Command),
            2 => Some(Self::Http),
            3 => Some(Self::Tcp),
            4 => Some(Self::Services),
            _ => None,
        }
    }
}

/// The health check that ends a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub kind: HealthKind,
    /// The command, URL or address; may be empty for [`HealthKind::Services`] only.
    pub spec: String,
    /// Seconds until the check counts as failed; at least 1.
    pub timeout: u32,
    /// Seconds for which it must go on passing; 0: once is enough.
    pub hold: u32,
}

/// One layer of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationLayer {
    /// Which layer.
    pub id: LayerId,
    /// Kind, as its descriptor says.
    pub kind: Kind,
    /// Where it stands; always [`Mount::of`] kind and name.
    pub mount: Mount,
    /// Asked for by name (else it came as a dependency and may go when nothing needs it).
    pub asked: bool,
    /// A local layer that is accepted without a certificate.
    pub unsigned: bool,
    /// Security epoch of its certificate.
    pub epoch: u32,
    /// Name, as its descriptor says.
    pub name: String,
    /// Version, as its descriptor says.
    pub version: String,
    /// Architecture, as its descriptor says.
    pub arch: String,
    /// Name of the repository that it came from; empty for a local layer.
    pub repo: String,
}

impl GenerationLayer {
    /// Checks that the layer's own descriptor says what this record says. The record is not signed, the descriptor is
    /// committed by the layer's identity: where they differ, the layer must not be mounted.
    pub fn agrees_with(&self, descriptor: &Descriptor) -> Result<(), Disagreement> {
        let said = (descriptor.kind(), descriptor.name(), descriptor.version(), descriptor.arch());
        if said == (self.kind, self.name.as_str(), self.version.as_str(), self.arch.as_str()) {
            return Ok(());
        }
        Err(Disagreement {
            id: self.id,
            listed: alloc::format!("{}/{}/{}/{}", self.kind, self.name, self.version, self.arch),
            described: alloc::format!("{}/{}/{}/{}", said.0, said.1, said.2, said.3),
        })
    }

    fn sort_key(&self) -> (MountType, Kind, &str) {
        (self.mount.mount_type, self.kind, &self.name)
    }
}

/// A generation calls a layer by another name than the layer itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot mount layer {id}: the generation lists it as {listed}, its descriptor says {described}; \
     the generation was tampered with or damaged, choose another one"
)]
pub struct Disagreement {
    /// Which layer.
    pub id: LayerId,
    /// `KIND/NAME/VERSION/ARCH` of the generation.
    pub listed: String,
    /// The same of the descriptor.
    pub described: String,
}

/// What a generation shall say; [`Generation::new`] checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationParts {
    /// Its number, at least 1, never used twice in a store.
    pub number: u64,
    /// Number of the generation that it was made from, 0 for none.
    pub parent: u64,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
    /// Version of the machine's state that it needs, 0 for none.
    pub state_version: u32,
    /// Tries of its trial; 0: it is good at once.
    pub tries: u8,
    /// The check that ends its trial.
    pub health: Option<Health>,
    /// The command that made it, for people.
    pub created_by: String,
    /// The layers, in any order.
    pub layers: Vec<GenerationLayer>,
}

/// A generation that passed every rule; its layers are sorted by (mount type, kind, name).
///
/// Its parts are read through `Deref`: `generation.layers`, `generation.number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    parts: GenerationParts,
    /// Feature bits that may be ignored; kept so that the identity stays what it was.
    compat: u32,
}

impl Deref for Generation {
    type Target = GenerationParts;

    fn deref(&self) -> &GenerationParts {
        &self.parts
    }
}

impl Generation {
    /// Sorts the layers and checks every rule; a generation that exists can be written.
    pub fn new(mut parts: GenerationParts) -> Result<Self, GenerationError> {
        parts.layers.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        check(&parts)?;
        Ok(Self { parts, compat: 0 })
    }

    /// Reads a generation. Only the spelling that [`Self::emit`] writes is accepted, so that an identity stands for one
    /// generation.
    pub fn parse(bytes: &[u8]) -> Result<Self, GenerationError> {
        codec::parse(bytes)
    }

    /// Its bytes, at most [`MAX_LEN`].
    pub fn emit(&self) -> Vec<u8> {
        codec::emit(self)
    }

    /// Its identity: the BLAKE3 of its bytes.
    pub fn id(&self) -> GenerationId {
        GenerationId::from_bytes(*blake3::hash(&self.emit()).as_bytes())
    }

    /// The identity of its set of layers, which is what is remembered of a bad one.
    pub fn layer_set(&self) -> LayerSetId {
        layer_set(self.layers.iter().map(|layer| layer.id))
    }

    /// The layer of a kind and name.
    pub fn layer(&self, kind: Kind, name: &str) -> Option<&GenerationLayer> {
        self.layers.iter().find(|layer| layer.kind == kind && layer.name == name)
    }

    /// What it says, to make the next one from.
    pub fn into_parts(self) -> GenerationParts {
        self.parts
    }
}

/// The identity of a set of layers, in whatever order they come.
pub fn layer_set(ids: impl IntoIterator<Item = LayerId>) -> LayerSetId {
    let mut ids: Vec<LayerId> = ids.into_iter().collect();
    ids.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for id in ids {
        hasher.update(id.as_bytes());
    }
    LayerSetId::from_bytes(*hasher.finalize().as_bytes())
}

/// Why a generation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerationError {
    /// Not a generation, or of another version.
    #[error("cannot read the generation: {0}")]
    Preamble(PreambleError),
    /// Bytes that no writer writes.
    #[error("cannot read the generation: {0}; it is damaged, choose another one")]
    Malformed(&'static str),
    /// More than [`MAX_LEN`] bytes.
    #[error("cannot take a generation of {0} bytes: the limit is 4 MiB; use fewer layers or shorter texts")]
    TooLong(u64),
    /// More than [`MAX_LAYERS`].
    #[error("cannot take a generation of {0} layers: the limit is 4,096; remove some")]
    TooManyLayers(usize),
    /// A text of more than 65,535 bytes.
    #[error("cannot make the generation: its {0} is longer than 65,535 bytes; shorten it")]
    LongText(&'static str),
    /// Number 0 means none.
    #[error("cannot take generation 0: numbers start at 1")]
    NumberZero,
    /// A parent that is not older.
    #[error("cannot take generation {number}: its parent {parent} is not an earlier one")]
    Parent {
        /// Its number.
        number: u64,
        /// What it gives as its parent.
        parent: u64,
    },
    /// A health check without time, or without anything to ask.
    #[error("cannot take the generation: {0}; give its health check one")]
    Health(&'static str),
    /// A layer that no descriptor could describe.
    #[error("cannot take the generation: a {kind} layer {name:?} in it is refused: {reason}")]
    Layer {
        /// Its kind.
        kind: Kind,
        /// Its name as stated.
        name: String,
        /// What a descriptor's rules say.
        reason: DescriptorError,
    },
    /// A mount other than the one that kind and name give.
    #[error(
        "cannot take the generation: the {kind} {name} is mounted at {path:?}, where none of its kind may be"
    )]
    Mount {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Where it would stand.
        path: String,
    },
    /// Two layers of one kind and name.
    #[error("cannot take the generation: the {kind} {name} is in it twice; keep one version")]
    Twice {
        /// Their kind.
        kind: Kind,
        /// Their name.
        name: String,
    },
    /// One identity under two names.
    #[error("cannot take the generation: layer {0} is in it under two names")]
    SameLayer(LayerId),
    /// Two kernels or two bases.
    #[error("cannot take the generation: it has two layers of kind {0}; keep one of them")]
    Several(Kind),
}

impl GenerationError {
    /// Whether a newer program wrote it: who knows more than this one may be able to read it.
    pub const fn is_too_new(&self) -> bool {
        matches!(self, Self::Preamble(error) if error.is_too_new())
    }
}

/// Every rule that is not about bytes. The layers are sorted already.
fn check(parts: &GenerationParts) -> Result<(), GenerationError> {
    if parts.number == 0 {
        return Err(GenerationError::NumberZero);
    }
    if parts.parent >= parts.number {
        return Err(GenerationError::Parent { number: parts.number, parent: parts.parent });
    }
    if let Some(health) = &parts.health {
        if health.timeout == 0 {
            return Err(GenerationError::Health("its health check has no time limit"));
        }
        if health.spec.is_empty() && health.kind != HealthKind::Services {
            return Err(GenerationError::Health("its health check has no command, URL or address"));
        }
    }
    if parts.layers.len() > MAX_LAYERS {
        return Err(GenerationError::TooManyLayers(parts.layers.len()));
    }
    for layer in &parts.layers {
        check_layer(layer)?;
    }
    for (a, b) in parts.layers.iter().zip(parts.layers.iter().skip(1)) {
        if (a.kind, &a.name) == (b.kind, &b.name) {
            return Err(GenerationError::Twice { kind: a.kind, name: a.name.clone() });
        }
        if a.kind == b.kind && matches!(a.kind, Kind::Kernel | Kind::Base) {
            return Err(GenerationError::Several(a.kind));
        }
    }
    let mut ids: Vec<LayerId> = parts.layers.iter().map(|layer| layer.id).collect();
    ids.sort_unstable();
    if let Some((id, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(a, b)| a == b) {
        return Err(GenerationError::SameLayer(*id));
    }
    codec::check_lengths(parts)
}

fn check_layer(layer: &GenerationLayer) -> Result<(), GenerationError> {
    // One source for what names, versions and architectures may be: the descriptor's own rules.
    Descriptor::new(layer.kind, &layer.name, &layer.version, &layer.arch)
        .map_err(|reason| GenerationError::Layer { kind: layer.kind, name: layer.name.clone(), reason })?;
    if layer.mount != Mount::of(layer.kind, &layer.name) {
        return Err(GenerationError::Mount {
            kind: layer.kind,
            name: layer.name.clone(),
            path: layer.mount.path.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
