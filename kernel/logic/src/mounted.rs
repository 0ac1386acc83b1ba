//! One generation, mounted: its namespace, and the bytes of its files.
//!
//! Whoever holds one goes on seeing it, whatever becomes the shown generation meanwhile. It reads nothing from the store but what is
//! asked for, and gives no byte that was not verified: damage is an error and a line in the log.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;

use plyos_ids::{ChunkId, GenerationId};
use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::IndexError;
use plyos_namespace::generation::Generation;
use plyos_namespace::namespace::{Found, Namespace, NamespaceError, NamespaceLayer};
use plyos_namespace::rules::{self, Breach};

use crate::chunks::{ChunkFault, Wanted};
use crate::store::{Device, Store};
use crate::{Level, Pages};

/// Why bytes could not be read. To a program each of them is an I/O error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// There is no layer of this number.
    #[error("the namespace has no layer number {0}")]
    NoLayer(usize),
    /// It has no content: it is no file.
    #[error("/{path} is no file")]
    NotAFile {
        /// Its path.
        path: String,
    },
    /// A layer of this mount type may not hold it.
    #[error("/{path} is not given out: layer {layer} may not hold it ({})", breach_of(*breach))]
    Forbidden {
        /// Its path.
        path: String,
        /// The layer's name.
        layer: String,
        /// What is wrong.
        breach: Breach,
    },
    /// The index of the layer.
    #[error("cannot read /{path}: the index of layer {layer}: {reason}")]
    Index {
        /// The file's path.
        path: String,
        /// The layer: its name and identity.
        layer: String,
        /// Why.
        reason: Box<IndexError>,
    },
    /// A chunk of it.
    #[error("cannot read /{path}: chunk {chunk} of layer {layer}: {reason}")]
    Chunk {
        /// The file's path.
        path: String,
        /// The layer: its name and identity.
        layer: String,
        /// The chunk.
        chunk: ChunkId,
        /// Why.
        reason: ChunkFault,
    },
}

impl ReadFault {
    /// Whether it is damage: bytes that are not what they should be. A device that did not give them is not, for it may the next time.
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::NoLayer(_) | Self::NotAFile { .. } | Self::Forbidden { .. } => false,
            Self::Index { reason, .. } => !matches!(**reason, IndexError::Read { .. }),
            Self::Chunk { reason, .. } => !matches!(reason, ChunkFault::Device(_) | ChunkFault::Elsewhere(_)),
        }
    }
}

const fn breach_of(breach: Breach) -> &'static str {
    match breach {
        Breach::Place => "it stands outside of the places of its kind of layer",
        Breach::Rights => "it would run with rights of its own",
        Breach::Device => "it is a device node",
    }
}

/// A generation that is mounted.
#[derive(Debug)]
pub struct Mounted<D> {
    generation: Generation,
    id: GenerationId,
    namespace: Namespace<Pages<D>>,
    store: Arc<Store<D>>,
}

impl<D: Device> Mounted<D> {
    pub(crate) const fn new(
        generation: Generation,
        id: GenerationId,
        namespace: Namespace<Pages<D>>,
        store: Arc<Store<D>>,
    ) -> Self {
        Self { generation, id, namespace, store }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.generation.number
    }

    /// Its identity.
    pub const fn id(&self) -> GenerationId {
        self.id
    }

    /// Its manifest.
    pub const fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Its tree.
    pub const fn namespace(&self) -> &Namespace<Pages<D>> {
        &self.namespace
    }

    /// What is seen at a path, without following links. An index that is damaged is told in the log.
    ///
    /// # Errors
    /// When the index of a layer cannot be read or is damaged.
    pub fn lookup(&self, path: &[u8]) -> Result<Option<Found>, NamespaceError> {
        self.namespace.lookup(path).inspect_err(|error| self.tell(error))
    }

    /// What a path leads to, with all links followed. An index that is damaged is told in the log.
    ///
    /// # Errors
    /// When the index of a layer cannot be read or is damaged, and for links without end.
    pub fn resolve(&self, path: &[u8]) -> Result<Option<Found>, NamespaceError> {
        self.namespace.resolve(path).inspect_err(|error| self.tell(error))
    }

    /// Tells an error of the namespace in the log, as often as damage is told.
    pub fn tell(&self, error: &NamespaceError) {
        if let NamespaceError::TooManyLinks { .. } | NamespaceError::NoLayer(_) = error {
            return;
        }
        let is_damage = !matches!(error, NamespaceError::Index { source: IndexError::Read { .. }, .. });
        self.told(is_damage, blake3::hash(error.to_string().as_bytes()).as_bytes(), format_args!("{error}"));
    }

    /// What `entry` of layer number `layer` may not be, if anything: asked at each use, for the rules were checked over the whole layer
    /// only by who installed it.
    pub fn breach(&self, layer: usize, entry: &Entry) -> Option<Breach> {
        // Paths of a namespace are those of the layer, but below a mount point, where any place is allowed.
        let layer = self.namespace.layers().get(layer)?;
        rules::breach(layer.info.mount.mount_type, entry)
    }

    /// Reads the content of a file from byte `offset` on, as much as `out` holds: the bytes that were read, fewer than asked for
    /// only where the file ends, and 0 behind it. `layer` and `entry` are those of a [`Found`]: its source's layer, its entry.
    ///
    /// # Errors
    /// A [`ReadFault`], which is also told in the log; `out` may then hold verified bytes of the file's start, and nothing is read
    /// of it in part.
    pub fn read(&self, layer: usize, entry: &Entry, offset: u64, out: &mut [u8]) -> Result<usize, ReadFault> {
        let read = self.read_content(layer, entry, offset, out);
        if let Err(fault) = &read {
            let what = match fault {
                ReadFault::Chunk { chunk, .. } => *chunk.as_bytes(),
                other => *blake3::hash(other.to_string().as_bytes()).as_bytes(),
            };
            self.told(fault.is_damage(), &what, format_args!("{fault}"));
        }
        read
    }

    fn read_content(
        &self,
        number: usize,
        entry: &Entry,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, ReadFault> {
        let layer = self.namespace.layers().get(number).ok_or(ReadFault::NoLayer(number))?;
        let failed = |reason| {
            let reason = Box::new(reason);
            ReadFault::Index { path: text(entry), layer: name_of(layer), reason }
        };
        let first_path = match entry.kind {
            EntryKind::HardLink { target } => Some(layer.index.entry(target).map_err(failed)?),
            _ => None,
        };
        // Of a hard link both records are asked: that they agree is checked by who installs, over the whole index.
        if let Some(breach) = [Some(entry), first_path.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|entry| self.breach(number, entry))
        {
            return Err(ReadFault::Forbidden { path: text(entry), layer: name_of(layer), breach });
        }
        let EntryKind::File { size, data_offset, .. } = first_path.as_ref().unwrap_or(entry).kind else {
            return Err(ReadFault::NotAFile { path: text(entry) });
        };
        let length = size.saturating_sub(offset).min(out.len() as u64);
        let Some(out) = out.get_mut(..length as usize).filter(|out| !out.is_empty()) else { return Ok(0) };
        let start = data_offset.saturating_add(offset);
        // A large file is cut on its own: behind its end lies nothing that its reader would want next. Small ones share their chunks with
        // their neighbours, which who reads a tree wants next.
        let end = if size >= plyos_layer_format::chunks::LARGE_FILE {
            data_offset.saturating_add(size)
        } else {
            u64::MAX
        };
        let count = layer.index.header().stream_len;
        let beyond = |number| IndexError::Beyond { what: "stream byte", number, count };
        let mut done = 0;
        let mut chunks = layer.index.chunks_from(start).map_err(failed)?;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let (ordinal, chunk_start, chunk) =
                chunks.next_placed().unwrap_or_else(|| Err(beyond(start))).map_err(failed)?;
            let wanted = Wanted { ordinal, start: chunk_start, chunk };
            let bytes = layer.index.source().chunk(&layer.index, &wanted, end).map_err(|reason| {
                ReadFault::Chunk { path: text(entry), layer: name_of(layer), chunk: chunk.id, reason }
            })?;
            // Chunks follow each other, so each holds the next byte, unless the index is not what it should be.
            let at = start.saturating_add(done as u64);
            let piece = at.checked_sub(chunk_start).and_then(|from| bytes.get(from as usize..));
            let piece = piece.filter(|piece| !piece.is_empty()).ok_or_else(|| failed(beyond(at)))?;
            let length = piece.len().min(rest.len());
            let (Some(to), Some(piece)) = (rest.get_mut(..length), piece.get(..length)) else { break };
            to.copy_from_slice(piece);
            done += length;
        }
        Ok(done)
    }

    /// Tells a fault in the log, if it was not told just so before.
    fn told(&self, is_damage: bool, what: &[u8; 32], text: core::fmt::Arguments<'_>) {
        let faults = if is_damage { &self.store.damage } else { &self.store.failures };
        let telling = faults.lock().meet(what);
        if let Some(telling) = telling {
            self.store.log(Level::Error, format_args!("{text}{telling}"));
        }
    }
}

/// How a layer is called in a fault.
fn name_of<D: Device>(layer: &NamespaceLayer<Pages<D>>) -> String {
    alloc::format!("{} ({})", layer.info.name, layer.index.id())
}

/// A path for people; what does not print is escaped.
fn text(entry: &Entry) -> String {
    entry.path.escape_ascii().to_string()
}
