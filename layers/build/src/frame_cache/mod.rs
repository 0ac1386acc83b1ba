//! Frames that were made before: the next version of a tree costs reading and hashing, and compressing only what is new.
//!
//! A cache is a folder of segments ([`segment`]), each a pair of files that one process appends to and nobody changes afterwards. All
//! that is known of them is held in memory, read from the segments' keys when the cache is opened. So pushes may share a folder without
//! a lock, and anyone may delete it, or any file of it, at any moment: what is gone is made again.
//!
//! Nothing here can fail a build. Whatever cannot be read, is damaged or cannot be written is a frame that is not in the cache. A frame
//! is given out only if it has, with its key, the hash that was kept when it was put in.

mod record;
mod segment;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::record::Record;
use self::segment::{Segment, SegmentWriter};

pub(crate) use self::record::Key;

/// The part of the limit that one segment takes: what is dropped at a time when there is no more room.
const SEGMENTS: u64 = 16;
/// A segment is never larger, however large the cache.
const LARGEST_SEGMENT: u64 = 128 << 20;

/// A folder of frames, open for one process.
#[derive(Debug)]
pub struct FrameCache {
    folder: PathBuf,
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frames: HashMap<Key, (Arc<Segment>, Record)>,
    writer: Option<SegmentWriter>,
    /// Set when writing failed: no more is put in.
    closed: bool,
    found: u64,
    made: u64,
    damaged: u64,
}

/// What a cache holds, and what it was good for since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheUsage {
    /// Frames that can be found.
    pub frames: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Frames that were taken from it.
    pub found: u64,
    /// Frames that it did not have.
    pub made: u64,
    /// Frames of it that were damaged, among those made.
    pub damaged: u64,
}

impl FrameCache {
    /// Opens a folder, making it if need be. `limit` is the most bytes that it holds after [`FrameCache::trim`].
    pub fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut state = State::default();
        for segment in segment::list(folder)? {
            let segment = Arc::new(segment);
            // Later segments win: one that was made again stands after the damaged one.
            for (key, record) in segment.records() {
                state.frames.insert(key, (Arc::clone(&segment), record));
            }
        }
        Ok(Self { folder: folder.to_owned(), limit, state: Mutex::new(state) })
    }

    /// What it holds.
    pub fn usage(&self) -> CacheUsage {
        let bytes = segment::list(&self.folder).unwrap_or_default().iter().map(Segment::bytes).sum();
        let state = self.lock();
        let frames = state.frames.len() as u64;
        CacheUsage { frames, bytes, found: state.found, made: state.made, damaged: state.damaged }
    }

    /// Ends writing and deletes the oldest segments until at most the limit is left.
    pub fn trim(&self) -> io::Result<()> {
        self.lock().writer = None;
        segment::drop_oldest(&self.folder, self.limit)
    }

    /// Deletes all segments in a folder, and the folder if nothing else is in it. A push that uses it goes on without.
    pub fn clear(folder: &Path) -> io::Result<()> {
        segment::drop_oldest(folder, 0)?;
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        }
    }

    /// The frame of a key, if it is there and whole.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let (segment, record) = {
            let mut state = self.lock();
            let found = state.frames.get(key).map(|(segment, record)| (Arc::clone(segment), *record));
            if found.is_none() {
                state.made += 1;
            }
            found?
        };
        let frame = segment.read(&record).filter(|frame| record.is_of(key, frame));
        let mut state = self.lock();
        if frame.is_some() {
            state.found += 1;
        } else {
            state.frames.remove(key);
            state.made += 1;
            state.damaged += 1;
        }
        frame
    }

    /// Keeps a frame. Does nothing when it cannot.
    pub(crate) fn put(&self, key: &Key, frame: &[u8]) {
        let check = record::check(key, frame);
        let mut state = self.lock();
        if state.closed || state.frames.contains_key(key) {
            return;
        }
        match self.append(&mut state, key, frame, check) {
            Ok(entry) => drop(state.frames.insert(*key, entry)),
            // A full disk, or a folder that somebody deleted: this run goes on without.
            Err(_) => (state.closed, state.writer) = (true, None),
        }
    }

    fn append(
        &self,
        state: &mut State,
        key: &Key,
        frame: &[u8],
        check: record::Check,
    ) -> io::Result<(Arc<Segment>, Record)> {
        let largest = LARGEST_SEGMENT.min(self.limit / SEGMENTS);
        if state.writer.as_ref().is_some_and(|writer| writer.bytes() >= largest) {
            state.writer = None;
            segment::drop_oldest(&self.folder, self.limit)?;
        }
        let writer = match &mut state.writer {
            Some(writer) => writer,
            none => none.insert(SegmentWriter::create(&self.folder)?),
        };
        let record = writer.append(key, frame, check)?;
        Ok((writer.segment(), record))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FrameCache {
    fn drop(&mut self) {
        // Nobody can be told, and nothing is lost but room.
        let _ = self.trim();
    }
}

#[cfg(test)]
mod tests;
