//! Walking over the records of one verified page.

use alloc::sync::Arc;
use alloc::vec::Vec;

use plyos_bytemap::{Cursor, View, put};
use plyos_ids::ChunkId;

use super::directory::{PageKind, PagePlace};
use super::{Chunk, IndexError};
use crate::entry::{Entry, compare_after};
use crate::layouts::{chunk_record, entry, page_header as map};
use crate::pages::{PAGE_SIZE, Page};
use crate::record::{EntryType, Record};
use crate::stream::names::check_tail;
use crate::stream::{EntryError, MAX_PATH, NameError};

/// Bytes of a page's header.
pub(super) const HEADER: usize = map::SIZE;

/// Most records that a page can hold.
pub(super) const fn most_records(kind: PageKind) -> u64 {
    let least = match kind {
        PageKind::Entries => entry::SIZE,
        PageKind::Chunks => chunk_record::SIZE,
    };
    ((PAGE_SIZE - HEADER) / least) as u64
}

/// Writes a page's header at its start.
pub(super) fn emit_header(kind: PageKind, record_count: u16, used: u32, out: &mut [u8]) {
    put(out, map::PAGE_KIND, &[kind as u8]);
    put(out, map::RECORD_COUNT, &record_count.to_le_bytes());
    put(out, map::USED, &used.to_le_bytes());
}

/// Where a walk stands in a page whose header is right.
#[derive(Debug, Clone, Copy)]
struct Position {
    place: PagePlace,
    used: usize,
    at: usize,
    taken: u64,
}

impl Position {
    /// Before the first record of the page.
    fn new(bytes: &Page, place: PagePlace) -> Result<Self, IndexError> {
        let refuse = |reason| IndexError::Page { page: place.page, reason };
        let view = View::new(bytes, &map::LAYOUT).ok_or(refuse("its length"))?;
        if view.u8(map::PAGE_KIND) != place.kind as u8 {
            return Err(refuse("it is of another kind than the page directory says"));
        }
        if !view.is_zero(map::RESERVED) || !view.is_zero(map::RESERVED2) {
            return Err(refuse("reserved bytes are in use"));
        }
        if u64::from(view.u16(map::RECORD_COUNT)) != place.record_count {
            return Err(refuse("its record count is not the one of the page directory"));
        }
        let used = view.u32(map::USED) as usize;
        let after = bytes.get(used..).filter(|_| used > HEADER).ok_or(refuse("its count of used bytes"))?;
        // Word by word: most of a page may be empty, and this is asked at every look into a kept one.
        let (words, bytes) = after.as_chunks();
        let set = words.iter().fold(0, |bits, word| bits | u64::from_ne_bytes(*word));
        if set != 0 || bytes.iter().any(|byte| *byte != 0) {
            return Err(refuse("bytes after its records are in use"));
        }
        Ok(Self { place, used, at: HEADER, taken: 0 })
    }

    /// The bytes from the next record on; `None` after the last, when nothing may be left over.
    fn rest<'a>(&self, bytes: &'a Page) -> Result<Option<&'a [u8]>, IndexError> {
        if self.taken < self.place.record_count {
            return Ok(Some(bytes.get(self.at..self.used).unwrap_or_default()));
        }
        if self.at != self.used {
            let reason = "it uses more bytes than its records have";
            return Err(IndexError::Page { page: self.place.page, reason });
        }
        Ok(None)
    }

    const fn took(&mut self, bytes: usize) {
        self.at += bytes;
        self.taken += 1;
    }

    const fn next_ordinal(&self) -> u64 {
        self.place.first_ordinal + self.taken
    }

    const fn end_ordinal(&self) -> u64 {
        self.place.first_ordinal + self.place.record_count
    }
}

/// Walks over the entries of a page.
#[derive(Debug, Clone)]
pub(super) struct EntryWalk {
    bytes: Arc<Page>,
    position: Position,
    path: Vec<u8>,
}

/// The entry at which a walk stands.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub ordinal: u64,
    pub record: Record<'a>,
    pub path: &'a [u8],
    /// Stream base of the page.
    pub base: u64,
    /// Where the record starts in its page.
    pub at: usize,
}

impl Step<'_> {
    pub(super) fn entry(&self) -> Result<Entry, IndexError> {
        self.record.entry(self.ordinal, self.path, self.base).map_err(|problem| self.refuse(problem))
    }

    pub(super) fn refuse(&self, problem: EntryError) -> IndexError {
        IndexError::entry(self.ordinal, self.path, problem)
    }

    /// Ordinal of the next entry that is not below this one.
    pub(super) fn after_subtree(&self) -> u64 {
        let below = if self.record.entry_type == EntryType::Directory { self.record.size } else { 0 };
        self.ordinal.saturating_add(below).saturating_add(1)
    }
}

impl EntryWalk {
    pub(super) fn new(bytes: Arc<Page>, place: PagePlace) -> Result<Self, IndexError> {
        let position = Position::new(&bytes, place)?;
        Ok(Self { bytes, position, path: Vec::new() })
    }

    /// Bytes that the page uses.
    pub(super) const fn used(&self) -> usize {
        self.position.used
    }

    /// Number of the next entry.
    pub(super) const fn next_ordinal(&self) -> u64 {
        self.position.next_ordinal()
    }

    /// Number of the first entry after the page.
    pub(super) const fn end_ordinal(&self) -> u64 {
        self.position.end_ordinal()
    }

    /// Path of the entry that was last taken.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The next entry: its record and its path, which is checked to be spelt well and to follow the one before it in the page.
    pub(super) fn advance(&mut self) -> Result<Option<Step<'_>>, IndexError> {
        let Self { bytes, position, path } = self;
        let Some(rest) = position.rest(bytes)? else { return Ok(None) };
        let (ordinal, at, is_first) = (position.next_ordinal(), position.at, position.taken == 0);
        let mut cursor = Cursor::new(rest);
        let record = Record::take(&mut cursor)
            .and_then(|record| step_path(path, &record, is_first, ordinal).map(|()| record))
            .map_err(|problem| IndexError::entry(ordinal, path, problem))?;
        position.took(cursor.position());
        Ok(Some(Step { ordinal, record, path, base: position.place.stream_base, at }))
    }

    /// Skips to entry `ordinal`, which the page must hold after the present position.
    pub(super) fn seek(&mut self, ordinal: u64) -> Result<Option<Step<'_>>, IndexError> {
        while self.next_ordinal() < ordinal {
            if self.advance()?.is_none() {
                return Ok(None);
            }
        }
        self.advance()
    }
}

/// Turns the path of the entry before into the one of `record`. Costs the bytes of the suffix and one component.
fn step_path(
    path: &mut Vec<u8>,
    record: &Record<'_>,
    is_first: bool,
    ordinal: u64,
) -> Result<(), EntryError> {
    let prefix_len = record.prefix_len;
    if prefix_len > path.len() || (is_first && prefix_len != 0) {
        return Err(EntryError::Record("its prefix is longer than the path before it"));
    }
    if prefix_len + record.suffix.len() > MAX_PATH {
        return Err(EntryError::Path(NameError::PathTooLong));
    }
    let before = path.get(prefix_len).copied();
    let after = record.suffix.first().copied();
    if !is_first {
        match (before, after) {
            (None, None) => return Err(EntryError::Duplicate),
            (Some(x), Some(y)) if x == y => {
                return Err(EntryError::Record("its prefix is shorter than what the paths share"));
            }
            _ => {}
        }
        if compare_after(path.get(prefix_len..).unwrap_or_default(), record.suffix, 0).is_ge() {
            return Err(EntryError::Unsorted);
        }
    }
    path.truncate(prefix_len);
    path.extend_from_slice(record.suffix);
    let is_root = record.entry_type == EntryType::Directory && path.is_empty();
    if (ordinal == 0) != path.is_empty() || (path.is_empty() && !is_root) {
        return Err(EntryError::Root);
    }
    if !path.is_empty() {
        check_tail(path, prefix_len)?;
    }
    Ok(())
}

/// Walks over the chunks of a page.
#[derive(Debug, Clone)]
pub(super) struct ChunkWalk {
    bytes: Arc<Page>,
    position: Position,
    /// Stream offset of the next chunk.
    offset: u64,
    most: u32,
}

/// The chunk at which a walk stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkStep {
    pub ordinal: u64,
    /// Stream offset of its first byte.
    pub start: u64,
    pub chunk: Chunk,
    /// Where the record starts in its page.
    pub at: usize,
}

impl ChunkWalk {
    /// `most` is the longest chunk that the header allows.
    pub(super) fn new(bytes: Arc<Page>, place: PagePlace, most: u32) -> Result<Self, IndexError> {
        let position = Position::new(&bytes, place)?;
        Ok(Self { bytes, position, offset: place.stream_base, most })
    }

    /// Bytes that the page uses.
    pub(super) const fn used(&self) -> usize {
        self.position.used
    }

    /// Number of the next chunk.
    pub(super) const fn next_ordinal(&self) -> u64 {
        self.position.next_ordinal()
    }

    /// The next chunk.
    pub(super) fn advance(&mut self) -> Result<Option<ChunkStep>, IndexError> {
        let Some(rest) = self.position.rest(&self.bytes)? else { return Ok(None) };
        let (ordinal, at) = (self.position.next_ordinal(), self.position.at);
        let refuse = |reason| IndexError::Chunk { ordinal, reason };
        let view = View::new(rest, &chunk_record::LAYOUT).ok_or(refuse("its record ends beyond its page"))?;
        let id = ChunkId::from_bytes(view.array(chunk_record::CHUNK_ID));
        let length = view.u32(chunk_record::LENGTH);
        if !(1..=self.most).contains(&length) {
            return Err(refuse("its length is 0 or above the longest of the header"));
        }
        let start = self.offset;
        self.offset = start.checked_add(length.into()).ok_or(refuse("it ends beyond the stream"))?;
        self.position.took(chunk_record::SIZE);
        Ok(Some(ChunkStep { ordinal, start, chunk: Chunk { id, length }, at }))
    }
}
