//! The layer index: tree, chunk list and descriptor in pages, in the form that is mounted.
//!
//! [`emit`] writes an index, [`check`] checks a whole untrusted one, [`Index`] reads one page by page, each page verified
//! against the layer's identity before a byte of it is used. `check` is for who lets a layer in (publisher, registry, client);
//! `Index::open` alone is for who mounts one: it costs the same for a layer of any size, never trusts a count or an offset, but sees a
//! broken rule only where it reads.

mod check;
mod directory;
mod emit;
mod error;
mod header;
mod iterate;
mod page;
mod read;
mod tree;

pub use check::{Limits, check};
#[cfg(test)]
pub(crate) use emit::assemble;
pub use emit::{IndexInput, emit};
pub use error::IndexError;
pub use header::{IndexHeader, MtimeRule};
pub use iterate::{Children, Chunks, Entries};
pub use read::Index;

use plyos_ids::{ChunkId, LayerId};

/// First bytes of an index.
pub const MAGIC: [u8; 8] = *b"PLYINDEX";

/// Longest index in bytes that a reader takes: 65,536 pages, whose hashes are 2 MiB.
pub const MAX_INDEX: u64 = 1 << 30;

/// Longest descriptor in bytes.
pub const MAX_DESCRIPTOR: usize = 64 << 10;

/// One chunk of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// BLAKE3 of its uncompressed bytes.
    pub id: ChunkId,
    /// Uncompressed bytes, 1 to [`crate::chunks::MAX_CHUNK`].
    pub length: u32,
}

/// The identity of the layer that has this index.
pub fn layer_id(index: &[u8]) -> LayerId {
    LayerId::from_bytes(*blake3::hash(index).as_bytes())
}

/// A page that already uses this many bytes ends before a record whose key hash starts below [`BREAK_BELOW`]. Frozen.
const BREAK_FROM: usize = 8_192;
/// See [`BREAK_FROM`]. Frozen.
const BREAK_BELOW: u8 = 16;

/// First byte of an entry's key hash.
fn entry_key(path: &[u8]) -> u8 {
    let [first, ..] = *blake3::hash(path).as_bytes();
    first
}

/// First byte of a chunk's key hash.
const fn chunk_key(id: &ChunkId) -> u8 {
    let [first, ..] = *id.as_bytes();
    first
}

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod tests;
