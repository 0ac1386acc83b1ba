//! From the number of a chunk to its verified bytes: cache, place, read, decompress, BLAKE3.
//!
//! For a reader that goes on ([`crate::read_ahead`]) the chunks that lie behind it on the disk come with the same read.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use plyos_blockstore::{Place, PlaceError};
use plyos_ids::Codec;
use plyos_layer_format::chunks::MAX_CHUNK;
use plyos_layer_format::index::{Chunk, Index};

use crate::read_ahead::GAP;
use crate::store::{Device, Store};
use crate::{BadFrame, Pages};

/// Of the cache, one part in so many may be filled by one read ahead.
const AHEAD_SHARE: u64 = 4;

/// Chunks that one read brings at most. Bytes bound it too, but chunks of a byte each would make a list without end.
const MOST_AT_ONCE: usize = 256;

/// Why a chunk could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// The map has no place for it.
    #[error("it is not in the store")]
    Absent,
    /// The map's place for it makes no sense.
    #[error("its place in the map is wrong: {0}")]
    Place(#[from] PlaceError),
    /// It lies on another device.
    #[error("it lies on another device (source {0}), which is not supported")]
    Elsewhere(u16),
    /// The device.
    #[error("the device failed: {0}")]
    Device(String),
    /// Its frame.
    #[error("{0}")]
    Frame(#[from] BadFrame),
    /// It has another length than the index says.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes by the index.
        expected: u32,
    },
    /// Other bytes.
    #[error("its bytes do not match its hash")]
    Hash,
}

/// A chunk of a layer's stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub ordinal: u64,
    /// The stream offset at which it starts.
    pub start: u64,
    pub chunk: Chunk,
}

impl<D: Device> Pages<D> {
    /// The bytes of a chunk, verified. Who reads on will want the stream up to `end`.
    pub(crate) fn chunk(
        &self,
        index: &Index<Self>,
        wanted: &Wanted,
        end: u64,
    ) -> Result<Arc<Vec<u8>>, ChunkFault> {
        let Wanted { ordinal, chunk, .. } = *wanted;
        if let Some(kept) = self.store.cache.chunk(&chunk.id) {
            self.layer.flows.lock().hit(ordinal);
            return of_length(kept, chunk.length);
        }
        let window = self.layer.flows.lock().miss(ordinal);
        let found = self.fetch_with_followers(index, wanted, window, end);
        if found.is_err() {
            self.forget_place(ordinal);
        }
        found
    }

    fn fetch_with_followers(
        &self,
        index: &Index<Self>,
        wanted: &Wanted,
        window: u64,
        end: u64,
    ) -> Result<Arc<Vec<u8>>, ChunkFault> {
        let ordinal = wanted.ordinal;
        let place = self.place(ordinal)?;
        let mut run = Run::new(*wanted, place);
        if window > 0 {
            self.extend(&mut run, index, window, end);
            self.layer.flows.lock().fetched(ordinal, ordinal + run.chunks.len() as u64);
        }
        self.fetch(&run)
    }

    /// Takes chunks along that lie behind the first one, as long as one read of `window` bytes reaches them.
    fn extend(&self, run: &mut Run, index: &Index<Self>, window: u64, end: u64) {
        let room = self.store.cache.room_for_chunks() / AHEAD_SHARE;
        let mut decoded = run.chunks.first().map_or(0, |(first, _)| u64::from(first.chunk.length));
        let behind = run.chunks.first().map_or(end, |(first, _)| first.start + u64::from(first.chunk.length));
        if behind >= end {
            return;
        }
        // What cannot be read ahead is met, and told, when it is wanted.
        let Ok(mut chunks) = index.chunks_from(behind) else { return };
        while let Some(Ok((ordinal, start, chunk))) = chunks.next_placed() {
            decoded += u64::from(chunk.length);
            if start >= end || decoded > room || self.store.cache.has_chunk(&chunk.id) {
                return;
            }
            let Ok(place) = self.place(ordinal) else { return };
            if !run.take(Wanted { ordinal, start, chunk }, place, window) {
                return;
            }
        }
    }

    /// Reads a run with one request, and gives its first chunk. The others are kept as far as they are good.
    fn fetch(&self, run: &Run) -> Result<Arc<Vec<u8>>, ChunkFault> {
        let mut stored = mem::take(&mut *self.store.buffer.lock());
        let length = (run.end - run.start) as usize;
        // No byte of what was there before is ever looked at: all of it is written over, or the read fails.
        stored.resize(length, 0);
        let read = self.store.device.read_at(run.start, &mut stored);
        let found = read.map_err(|error| ChunkFault::Device(error.to_string())).and_then(|()| {
            let mut all = run.chunks.iter().map(|(wanted, place)| {
                let bytes = place
                    .offset
                    .checked_sub(run.start)
                    .and_then(|from| stored.get(from as usize..)?.get(..place.length as usize));
                let chunk =
                    Arc::new(self.store.decode(bytes.unwrap_or_default(), place.codec, &wanted.chunk)?);
                self.store.cache.keep_chunk(wanted.chunk.id, &chunk);
                Ok(chunk)
            });
            let first = all.next().unwrap_or(Err(ChunkFault::Absent));
            for ahead in all {
                // One that is damaged is told when it is wanted.
                if ahead.is_err() {
                    break;
                }
            }
            first
        });
        *self.store.buffer.lock() = stored;
        found
    }
}

impl<D> Store<D> {
    /// Decodes stored bytes into a chunk and verifies it. Nothing but a chunk that hashes to its identity ever comes back.
    fn decode(&self, stored: &[u8], codec: Codec, chunk: &Chunk) -> Result<Vec<u8>, ChunkFault> {
        let length = chunk.length;
        if length == 0 || length > MAX_CHUNK {
            return Err(ChunkFault::Length { found: stored.len() as u64, expected: length });
        }
        let bytes = match codec {
            Codec::Zstd => self.means.decompress.decompress(stored, length as usize)?,
            // No other codec is a place's.
            _ => stored.to_vec(),
        };
        if bytes.len() != length as usize {
            return Err(ChunkFault::Length { found: bytes.len() as u64, expected: length });
        }
        if blake3::hash(&bytes).as_bytes() == chunk.id.as_bytes() { Ok(bytes) } else { Err(ChunkFault::Hash) }
    }
}

/// A chunk by its identity is what it is; an index may still say another length of it.
fn of_length(chunk: Arc<Vec<u8>>, expected: u32) -> Result<Arc<Vec<u8>>, ChunkFault> {
    let found = chunk.len() as u64;
    if found == u64::from(expected) { Ok(chunk) } else { Err(ChunkFault::Length { found, expected }) }
}

/// Chunks that one read brings, by rising place.
struct Run {
    chunks: Vec<(Wanted, Place)>,
    start: u64,
    end: u64,
}

impl Run {
    fn new(first: Wanted, place: Place) -> Self {
        let (start, end) = (place.offset, place.offset.saturating_add(u64::from(place.length)));
        Self { chunks: vec![(first, place)], start, end }
    }

    /// Takes one more chunk, if it lies behind the others and near, and a read of `window` bytes still reaches it.
    fn take(&mut self, wanted: Wanted, place: Place, window: u64) -> bool {
        let end = place.offset.saturating_add(u64::from(place.length));
        let near = place.offset.checked_sub(self.end).is_some_and(|gap| gap <= GAP);
        if !near || end - self.start > window || self.chunks.len() >= MOST_AT_ONCE {
            return false;
        }
        self.chunks.push((wanted, place));
        self.end = end;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_ids::ChunkId;

    #[test]
    fn a_run_ends_at_its_window_at_a_gap_and_at_its_most_chunks() {
        let wanted = |ordinal| Wanted {
            ordinal,
            start: ordinal,
            chunk: Chunk { id: ChunkId::from_bytes([0; 32]), length: 1 },
        };
        let place = |offset, length| Place { source: 0, codec: Codec::Raw, offset, length };
        let mut run = Run::new(wanted(0), place(0, 1));
        assert!(!run.take(wanted(1), place(2 + GAP, 1), u64::MAX), "too far");
        assert!(!run.take(wanted(1), place(1, 100), 100), "the window");
        assert!(run.take(wanted(1), place(1, 99), 100));
        let mut run = Run::new(wanted(0), place(0, 1));
        assert!((1..MOST_AT_ONCE as u64).all(|ordinal| run.take(
            wanted(ordinal),
            place(ordinal, 1),
            1 << 20
        )));
        assert!(!run.take(wanted(1000), place(MOST_AT_ONCE as u64, 1), 1 << 20), "chunks of a byte each");
    }
}
