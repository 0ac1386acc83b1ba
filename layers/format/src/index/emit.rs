//! Writing an index.

use alloc::vec::Vec;

use super::check::{Limits, check};
use super::directory::{self, PageKind, PageRecord};
use super::header::{IndexHeader, MtimeRule};
use super::{
    BREAK_BELOW, BREAK_FROM, Chunk, IndexError, MAX_DESCRIPTOR, MAX_INDEX, chunk_key, entry_key, page,
};
use crate::descriptor::Descriptor;
use crate::entry::{Entry, shared_prefix};
use crate::layouts::{chunk_record, index as map};
use crate::pages::PAGE_SIZE;
use crate::record;
use crate::stream::{EntryError, check_entry};

/// What an index is made of.
#[derive(Debug, Clone)]
pub struct IndexInput {
    /// What the publisher says.
    pub descriptor: Descriptor,
    /// The tree, sorted, the root first, with counts and data offsets.
    pub entries: Vec<Entry>,
    /// Stream offset of each entry's first header.
    pub header_offsets: Vec<u64>,
    /// Chunks of the stream in order.
    pub chunks: Vec<Chunk>,
    /// Bytes of the stream.
    pub stream_len: u64,
    /// Where the mtimes come from.
    pub mtime_rule: MtimeRule,
}

/// The bytes of the index. What is written passes [`check`]: every rule of the format holds, also those that the input could break.
pub fn emit(input: &IndexInput) -> Result<Vec<u8>, IndexError> {
    for (ordinal, entry) in (0u64..).zip(&input.entries) {
        check_entry(entry).map_err(|problem| IndexError::entry(ordinal, &entry.path, problem))?;
    }
    let out = assemble(input)?;
    check(&out, &Limits::default())?;
    Ok(out)
}

/// [`emit`] without its checks: entries must have passed [`check_entry`], or lengths are cut.
pub(crate) fn assemble(input: &IndexInput) -> Result<Vec<u8>, IndexError> {
    let mut pages = Pages::default();
    emit_entries(input, &mut pages)?;
    let entry_pages = pages.directory_len();
    emit_chunks(input, &mut pages)?;
    let chunk_pages = pages.directory_len() - entry_pages;

    let descriptor = input.descriptor.emit();
    if descriptor.len() > MAX_DESCRIPTOR {
        return Err(IndexError::Input("the descriptor is longer than 64 KiB; shorten it"));
    }
    // Page counts are below 2^32 because `Pages` stops at the longest index.
    let mut header = IndexHeader {
        stream_len: input.stream_len,
        entry_count: input.entries.len() as u64,
        chunk_count: input.chunks.len() as u64,
        content_len: input.entries.iter().map(Entry::size).fold(0, u64::saturating_add),
        descriptor_len: descriptor.len() as u32,
        head_pages: 0,
        entry_pages: entry_pages as u32,
        chunk_pages: chunk_pages as u32,
        mtime_rule: input.mtime_rule,
        max_chunk_len: input.chunks.iter().map(|chunk| chunk.length).max().unwrap_or_default(),
    };
    header.head_pages = header.head_len().div_ceil(PAGE_SIZE as u64) as u32;
    let head_bytes = header.head_pages as usize * PAGE_SIZE;

    let mut out = alloc::vec![0; map::SIZE];
    out.reserve(head_bytes - map::SIZE + pages.bytes.len());
    header.emit((head_bytes + pages.bytes.len()) as u64, &mut out);
    out.extend_from_slice(&descriptor);
    out.resize(header.directory_offset() as usize, 0);
    out.extend_from_slice(&pages.directory);
    out.resize(head_bytes, 0);
    out.append(&mut pages.bytes);
    Ok(out)
}

fn emit_entries(input: &IndexInput, pages: &mut Pages) -> Result<(), IndexError> {
    if input.header_offsets.len() != input.entries.len() {
        return Err(IndexError::Input("each entry needs one header offset"));
    }
    let mut before: &[u8] = &[];
    for (ordinal, (entry, offset)) in (0u64..).zip(input.entries.iter().zip(&input.header_offsets)) {
        let refuse = |problem: EntryError| IndexError::entry(ordinal, &entry.path, problem);
        let mut prefix = shared_prefix(before, &entry.path);
        if pages.must_break(record::record_len(entry, prefix), || entry_key(&entry.path)) {
            pages.start(PageKind::Entries, PageRecord { first_ordinal: ordinal, stream_base: *offset })?;
            prefix = 0;
        }
        record::emit(entry, ordinal, prefix, pages.base, &mut pages.bytes).map_err(refuse)?;
        pages.added();
        before = &entry.path;
    }
    pages.finish();
    Ok(())
}

fn emit_chunks(input: &IndexInput, pages: &mut Pages) -> Result<(), IndexError> {
    let mut offset = 0u64;
    for (ordinal, chunk) in (0u64..).zip(&input.chunks) {
        if pages.must_break(chunk_record::SIZE, || chunk_key(&chunk.id)) {
            pages.start(PageKind::Chunks, PageRecord { first_ordinal: ordinal, stream_base: offset })?;
        }
        pages.bytes.extend_from_slice(chunk.id.as_bytes());
        pages.bytes.extend_from_slice(&chunk.length.to_le_bytes());
        pages.added();
        offset = offset.saturating_add(chunk.length.into());
    }
    pages.finish();
    Ok(())
}

/// Whether a record of `record_len` bytes starts a new page after one that uses `used` bytes. `key` is asked only when it matters.
pub(super) fn breaks(used: usize, record_len: usize, key: impl FnOnce() -> u8) -> bool {
    used + record_len > PAGE_SIZE || (used >= BREAK_FROM && key() < BREAK_BELOW)
}

/// Pages of entries and chunks with their directory, as they grow.
#[derive(Default)]
struct Pages {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    /// Start of the open page in `bytes`, when one is open.
    open: Option<(usize, PageKind)>,
    records: u16,
    /// Stream base of the open page.
    base: u64,
}

impl Pages {
    fn directory_len(&self) -> usize {
        self.directory.len() / crate::layouts::page_record::SIZE
    }

    fn must_break(&self, record_len: usize, key: impl FnOnce() -> u8) -> bool {
        self.open.is_none_or(|(start, _)| breaks(self.bytes.len() - start, record_len, key))
    }

    fn start(&mut self, kind: PageKind, record: PageRecord) -> Result<(), IndexError> {
        self.finish();
        if self.bytes.len() as u64 >= MAX_INDEX {
            return Err(IndexError::Input("it would be longer than 1 GiB; split the layer"));
        }
        self.directory.extend_from_slice(&directory::emit(kind, record));
        self.open = Some((self.bytes.len(), kind));
        self.bytes.resize(self.bytes.len() + page::HEADER, 0);
        self.base = record.stream_base;
        Ok(())
    }

    /// Counts a record; a page holds at most some hundreds.
    const fn added(&mut self) {
        self.records += 1;
    }

    fn finish(&mut self) {
        if let Some((start, kind)) = self.open.take() {
            let used = self.bytes.len() - start;
            page::emit_header(
                kind,
                self.records,
                used as u32,
                self.bytes.get_mut(start..).unwrap_or_default(),
            );
            self.bytes.resize(start + PAGE_SIZE, 0);
        }
        self.records = 0;
    }
}
