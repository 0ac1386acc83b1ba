//! The page directory: what each entry and chunk page starts with. Offsets stand here and not in the pages, so that a change leaves
//! the pages after it equal.

use alloc::vec::Vec;

use plyos_bytemap::{View, put};

use super::header::IndexHeader;
use super::{IndexError, page};
use crate::layouts::page_record as map;

/// Numbers of page kinds. Frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PageKind {
    Entries = 1,
    Chunks = 2,
}

/// One page of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageRecord {
    /// Number of the page's first entry or chunk.
    pub first_ordinal: u64,
    /// Stream offset at which the page begins to describe the stream.
    pub stream_base: u64,
}

/// All pages of one kind; ordinals and bases rise strictly from 0.
#[derive(Debug)]
pub(super) struct Run {
    kind: PageKind,
    /// Number in the index of the run's first page.
    first_page: u32,
    records: Vec<PageRecord>,
    /// Entries or chunks in all.
    pub count: u64,
}

/// One page of a run with the bounds that its neighbours give it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PagePlace {
    pub kind: PageKind,
    /// Number of the page in the index.
    pub page: u32,
    pub first_ordinal: u64,
    /// Entries or chunks of the page, at least 1.
    pub record_count: u64,
    pub stream_base: u64,
}

impl Run {
    /// Pages of the run.
    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    /// Page number `at` of the run.
    pub(super) fn place(&self, at: usize) -> Option<PagePlace> {
        let record = self.records.get(at)?;
        let end = self.records.get(at + 1).map_or(self.count, |next| next.first_ordinal);
        Some(PagePlace {
            kind: self.kind,
            page: self.first_page.checked_add(u32::try_from(at).ok()?)?,
            first_ordinal: record.first_ordinal,
            record_count: end.checked_sub(record.first_ordinal)?,
            stream_base: record.stream_base,
        })
    }

    /// The page of the run that holds `ordinal`.
    pub(super) fn of_ordinal(&self, ordinal: u64) -> Option<usize> {
        if ordinal >= self.count {
            return None;
        }
        self.records.partition_point(|record| record.first_ordinal <= ordinal).checked_sub(1)
    }

    /// The page of the run that holds stream offset `offset`.
    pub(super) fn of_offset(&self, offset: u64) -> Option<usize> {
        self.records.partition_point(|record| record.stream_base <= offset).checked_sub(1)
    }
}

// An index of the greatest length cannot hold more entries than the format allows, so the page counts are bound enough.
const _: () = {
    let most = super::MAX_INDEX / crate::pages::PAGE_SIZE as u64 * page::most_records(PageKind::Entries);
    assert!(most <= crate::stream::MAX_ENTRIES);
};

/// Reads the entry run and the chunk run from the bytes of the directory.
pub(super) fn parse(header: &IndexHeader, bytes: &[u8]) -> Result<(Run, Run), IndexError> {
    let records = bytes.as_chunks::<{ map::SIZE }>().0;
    let (entries, chunks) = records
        .split_at_checked(header.entry_pages as usize)
        .ok_or(IndexError::Header("its page directory is too short"))?;
    let first_chunk_page = header.head_pages + header.entry_pages;
    Ok((
        run(PageKind::Entries, header, header.head_pages, header.entry_count, entries)?,
        run(PageKind::Chunks, header, first_chunk_page, header.chunk_count, chunks)?,
    ))
}

fn run(
    kind: PageKind,
    header: &IndexHeader,
    first_page: u32,
    count: u64,
    records: &[[u8; map::SIZE]],
) -> Result<Run, IndexError> {
    let most = page::most_records(kind);
    let mut parsed: Vec<PageRecord> = Vec::with_capacity(records.len());
    for (page, bytes) in (first_page..).zip(records) {
        let refuse = |reason| IndexError::Page { page, reason };
        let view = View::new(bytes, &map::LAYOUT).ok_or(refuse("its directory record"))?;
        if view.u8(map::PAGE_KIND) != kind as u8 || !view.is_zero(map::RESERVED) {
            return Err(refuse("its directory record has another kind or uses reserved bytes"));
        }
        let record = PageRecord {
            first_ordinal: view.u64(map::FIRST_ORDINAL),
            stream_base: view.u64(map::STREAM_BASE),
        };
        let in_order = match parsed.last() {
            None => record.first_ordinal == 0 && record.stream_base == 0,
            Some(before) => {
                record.stream_base > before.stream_base
                    && record.first_ordinal > before.first_ordinal
                    && record.first_ordinal - before.first_ordinal <= most
            }
        };
        if !in_order {
            return Err(refuse("its first number or stream base are out of order in the page directory"));
        }
        if record.first_ordinal >= count || record.stream_base >= header.stream_len {
            return Err(refuse("its first number or stream base are beyond the end"));
        }
        parsed.push(record);
    }
    let last = parsed.last().map_or(0, |record| record.first_ordinal);
    if count - last > most {
        return Err(IndexError::Header("a count is greater than its pages can hold"));
    }
    Ok(Run { kind, first_page, records: parsed, count })
}

/// Writes one record of the directory.
pub(super) fn emit(kind: PageKind, record: PageRecord) -> [u8; map::SIZE] {
    let mut out = [0; map::SIZE];
    put(&mut out, map::PAGE_KIND, &[kind as u8]);
    put(&mut out, map::FIRST_ORDINAL, &record.first_ordinal.to_le_bytes());
    put(&mut out, map::STREAM_BASE, &record.stream_base.to_le_bytes());
    out
}
