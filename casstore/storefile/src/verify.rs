//! Looking whether everything that a store's directory reaches is still what it was.
//!
//! Each object is read and hashed by its own function, and what does not verify is an answer here, not an error: a device
//! that cannot read a range is one kind of damage. What an index says is opaque to this crate, so the caller hands over the
//! chunks that it names; [`Store::verify_chunks`] spreads them over threads and holds two chunks for each of them.
//!
//! No lock is held, so a clean-up may take away what is being looked at. [`Store::still_holds_layer`] and
//! [`Store::still_holds_record`], asked after [`Store::refresh`], tell that from damage: what a valid copy reaches is never
//! written over.

use std::fmt;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use plyos_blockstore::layout::SUPERBLOCK_OFFSETS;
use plyos_blockstore::{
    CopyDefect, LayerEntry, Place, ReadError, RecordEntry, Superblock, read_extent, read_map, read_record,
};
use plyos_ids::ChunkId;

use crate::decode::decode;
use crate::{Store, StoreDevice, StoredLayer};

/// Bytes of an index that are read at a time.
const PIECE: u64 = 1 << 20;

/// How something does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// The device could not read it.
    Unreadable(String),
    /// It was read, and is not what it should be.
    Wrong(String),
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "it cannot be read ({why})"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

impl From<ReadError<std::io::Error>> for Defect {
    fn from(error: ReadError<std::io::Error>) -> Self {
        match error {
            ReadError::Io(error) => error.into(),
            other => Self::Wrong(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Defect {
    fn from(error: std::io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// A chunk to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkCheck {
    /// Its identity.
    pub id: ChunkId,
    /// Its bytes, uncompressed.
    pub length: u32,
    /// Where it should lie.
    pub place: Place,
}

impl<D: StoreDevice> Store<D> {
    /// The superblock copy that does not count because it is damaged, with the number of the copy (0 or 1). The second copy
    /// of a store that was never written since it was made is blank, not damaged. The next commit writes it anew.
    pub fn damaged_copy(&self) -> Option<(usize, CopyDefect)> {
        let defect = *self.view.other.as_ref().err()?;
        let number = 1 - self.view.chosen.number.min(1);
        let mut copy = [0; Superblock::SIZE];
        let offset = SUPERBLOCK_OFFSETS.get(number).copied().unwrap_or_default();
        let read = self.device.read_at(offset, &mut copy);
        let is_new = self.superblock().sequence == 1 && read.is_ok() && copy.iter().all(|byte| *byte == 0);
        (!is_new).then_some((number, defect))
    }

    /// Reads a record and compares it with its hash.
    pub fn verify_record(&self, entry: &RecordEntry) -> Result<(), Defect> {
        Ok(read_record(&*self.device, entry).map(|_| ())?)
    }

    /// Reads the map of a layer and compares it with its hash. What it says is believed by nobody: each chunk is compared
    /// with its own identity.
    pub fn verify_map(&self, entry: &LayerEntry) -> Result<StoredLayer<D>, Defect> {
        let store_len = self.superblock().store_len();
        let map = read_map(&*self.device, entry, store_len)?;
        let (device, path) = (std::sync::Arc::clone(&self.device), self.path.clone());
        Ok(StoredLayer::new(entry, map, store_len, device, path))
    }

    /// Reads the whole index of a layer, a piece at a time, and compares it with the layer's identity.
    pub fn verify_index(&self, entry: &LayerEntry) -> Result<(), Defect> {
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; entry.index.len.min(PIECE) as usize];
        let mut done = 0;
        while done < entry.index.len {
            let count = (entry.index.len - done).min(PIECE);
            let part = piece.get_mut(..count as usize).unwrap_or_default();
            self.device.read_at(entry.index.offset + done, part)?;
            hasher.update(part);
            done += count;
        }
        let is_it = hasher.finalize().as_bytes() == entry.id.as_bytes();
        if is_it { Ok(()) } else { Err(wrong_hash()) }
    }

    /// The whole index of a layer, whatever became of its map.
    pub fn read_index(&self, entry: &LayerEntry) -> Result<Vec<u8>, Defect> {
        let bytes = read_extent(&*self.device, entry.index)?;
        let is_it = blake3::hash(&bytes).as_bytes() == entry.id.as_bytes();
        if is_it { Ok(bytes) } else { Err(wrong_hash()) }
    }

    /// Whether the directory still names this layer with this index and this map.
    pub fn still_holds_layer(&self, entry: &LayerEntry) -> bool {
        let now = self.view.chosen.directory.layers.get(&entry.id);
        now.is_some_and(|now| now.index == entry.index && now.map == entry.map)
    }

    /// Whether the directory still names this record in this place.
    pub fn still_holds_record(&self, entry: &RecordEntry) -> bool {
        let now = self.view.chosen.directory.records.get(&(entry.record_type, entry.key));
        now.is_some_and(|now| now.extent == entry.extent && now.hash == entry.hash)
    }

    fn verify_chunk(&self, check: &ChunkCheck) -> Result<Vec<u8>, Defect> {
        let place = check.place;
        if place.source != 0 || !place.fits(self.superblock().store_len()) {
            return Err(Defect::Wrong(String::from("its place is not in this store")));
        }
        let mut stored = vec![0; place.length as usize];
        self.device.read_at(place.offset, &mut stored)?;
        decode(place.codec, stored, check.length, &check.id).map_err(Defect::Wrong)
    }
}

impl<D: StoreDevice + Send + Sync> Store<D> {
    /// Reads chunks, decodes them and compares each with its identity, on `threads` threads. The answer has the position in
    /// `checks` of each one that does not verify, in order. `advance` is told the stored bytes of each chunk done.
    pub fn verify_chunks(
        &self,
        checks: &[ChunkCheck],
        threads: NonZero<usize>,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Vec<(usize, Defect)> {
        self.look_at_chunks(checks, threads, advance, &|_, _| {})
    }

    /// [`Store::verify_chunks`] that also shows the bytes of each chunk that verifies, with its position in `checks`, to
    /// `look`: for who wants to know more of them, so that they are read once.
    pub fn look_at_chunks(
        &self,
        checks: &[ChunkCheck],
        threads: NonZero<usize>,
        advance: &(dyn Fn(u64) + Sync),
        look: &(dyn Fn(usize, &[u8]) + Sync),
    ) -> Vec<(usize, Defect)> {
        let next = AtomicUsize::new(0);
        let damaged = Mutex::new(Vec::new());
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(check) = checks.get(at) else { return };
                match self.verify_chunk(check) {
                    Ok(bytes) => look(at, &bytes),
                    Err(defect) => {
                        damaged.lock().unwrap_or_else(PoisonError::into_inner).push((at, defect));
                    }
                }
                advance(u64::from(check.place.length));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.get().min(checks.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
        damaged.sort_by_key(|(at, _)| *at);
        damaged
    }
}

fn wrong_hash() -> Defect {
    Defect::Wrong(String::from("its bytes do not match their hash"))
}
