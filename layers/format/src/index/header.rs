//! The fixed header of an index.

use plyos_bytemap::preamble::preamble;
use plyos_bytemap::{Preamble, View, put};

use super::{IndexError, MAGIC, MAX_DESCRIPTOR};
use crate::chunks::{CUT_RULE, MAX_CHUNK};
use crate::layouts::{index as map, page_record};
use crate::pages::PAGE_SIZE;
use crate::stream::{MAX_STREAM, STREAM_FORM};

/// Where mtimes come from. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MtimeRule {
    /// A fixed epoch plus a bounded hash of the content.
    Content = 1,
    /// The file's own, whole seconds.
    Kept = 2,
}

impl MtimeRule {
    /// The rule of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Content),
            2 => Some(Self::Kept),
            _ => None,
        }
    }
}

/// The numbers at the start of an index, consistent with each other and within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexHeader {
    /// Bytes of the canonical stream.
    pub stream_len: u64,
    /// Entries, the root included.
    pub entry_count: u64,
    /// Chunks of the stream, repetitions included.
    pub chunk_count: u64,
    /// Sum of the files' sizes, each inode once.
    pub content_len: u64,
    /// Bytes of the descriptor.
    pub descriptor_len: u32,
    /// Pages of the head.
    pub head_pages: u32,
    /// Pages of entries.
    pub entry_pages: u32,
    /// Pages of chunks.
    pub chunk_pages: u32,
    /// Where mtimes come from.
    pub mtime_rule: MtimeRule,
    /// Bytes of the longest chunk.
    pub max_chunk_len: u32,
}

impl IndexHeader {
    /// Reads the header of an index of `page_count` pages from its first page.
    pub(super) fn parse(first_page: &[u8], page_count: u32) -> Result<Self, IndexError> {
        let head: [u8; map::SIZE] = *first_page.first_chunk().ok_or(IndexError::Header("its length"))?;
        let total = View::new(&head, &preamble::LAYOUT).map(|view| view.u64(preamble::TOTAL_LEN));
        // Only the header is at hand, so its own length stands in for the total, which is compared here.
        let mut alone = head;
        put(&mut alone, preamble::TOTAL_LEN, &(map::SIZE as u64).to_le_bytes());
        let (found, _) = Preamble::parse(&alone, &MAGIC, map::SIZE, 0).map_err(IndexError::Preamble)?;
        if total != Some(u64::from(page_count) * PAGE_SIZE as u64) {
            return Err(IndexError::Header("its total length is not that of its pages"));
        }
        let view = View::new(&head, &map::LAYOUT).ok_or(IndexError::Header("its length"))?;
        let one = |field, expected: u8| view.u8(field) == expected;
        if !one(map::HASH_ALGORITHM, 1)
            || !one(map::STREAM_FORM, STREAM_FORM)
            || !one(map::CUT_RULE, CUT_RULE)
        {
            return Err(IndexError::Header("hash algorithm, stream form or cut rule are not known"));
        }
        if found.compat != 0 || !view.is_zero(map::RESERVED) {
            return Err(IndexError::Header("reserved bytes are in use"));
        }
        let header = Self {
            stream_len: view.u64(map::STREAM_LEN),
            entry_count: view.u64(map::ENTRY_COUNT),
            chunk_count: view.u64(map::CHUNK_COUNT),
            content_len: view.u64(map::CONTENT_LEN),
            descriptor_len: view.u32(map::DESCRIPTOR_LEN),
            head_pages: view.u32(map::HEAD_PAGES),
            entry_pages: view.u32(map::ENTRY_PAGES),
            chunk_pages: view.u32(map::CHUNK_PAGES),
            mtime_rule: MtimeRule::from_number(view.u8(map::MTIME_RULE))
                .ok_or(IndexError::Header("its mtime rule is not known"))?,
            max_chunk_len: view.u32(map::MAX_CHUNK_LEN),
        };
        header.check(page_count)?;
        Ok(header)
    }

    fn check(&self, page_count: u32) -> Result<(), IndexError> {
        let refuse = |reason| Err(IndexError::Header(reason));
        let pages = u64::from(self.head_pages) + u64::from(self.entry_pages) + u64::from(self.chunk_pages);
        if pages != u64::from(page_count) || self.entry_pages == 0 || self.chunk_pages == 0 {
            return refuse("its page counts");
        }
        if self.descriptor_len as usize > MAX_DESCRIPTOR {
            return refuse("its descriptor is too long");
        }
        if u64::from(self.head_pages) != self.head_len().div_ceil(PAGE_SIZE as u64) {
            return refuse("the size of its head");
        }
        if !(1..=MAX_STREAM).contains(&self.stream_len) || self.content_len > self.stream_len {
            return refuse("its stream length");
        }
        // Counts of entries and chunks are bounded by the pages that hold them: see the page directory.
        if !(1..=MAX_CHUNK).contains(&self.max_chunk_len) {
            return refuse("its longest chunk");
        }
        Ok(())
    }

    /// Offset of the page directory: after header and descriptor, at the next multiple of 8.
    pub(super) const fn directory_offset(&self) -> u64 {
        (map::SIZE as u64 + self.descriptor_len as u64).next_multiple_of(8)
    }

    /// Bytes of the head before the zeroes at its end.
    pub(super) const fn head_len(&self) -> u64 {
        let records = self.entry_pages as u64 + self.chunk_pages as u64;
        self.directory_offset() + records * page_record::SIZE as u64
    }

    /// Writes the header of an index of `total_len` bytes at the start of `out`.
    pub(super) fn emit(&self, total_len: u64, out: &mut [u8]) {
        Preamble::v1(MAGIC, map::SIZE, total_len).emit(out);
        for (field, value) in [
            (map::STREAM_LEN, self.stream_len),
            (map::ENTRY_COUNT, self.entry_count),
            (map::CHUNK_COUNT, self.chunk_count),
            (map::CONTENT_LEN, self.content_len),
        ] {
            put(out, field, &value.to_le_bytes());
        }
        for (field, value) in [
            (map::DESCRIPTOR_LEN, self.descriptor_len),
            (map::HEAD_PAGES, self.head_pages),
            (map::ENTRY_PAGES, self.entry_pages),
            (map::CHUNK_PAGES, self.chunk_pages),
            (map::MAX_CHUNK_LEN, self.max_chunk_len),
        ] {
            put(out, field, &value.to_le_bytes());
        }
        put(out, map::HASH_ALGORITHM, &[1]);
        put(out, map::STREAM_FORM, &[STREAM_FORM]);
        put(out, map::CUT_RULE, &[CUT_RULE]);
        put(out, map::MTIME_RULE, &[self.mtime_rule as u8]);
    }
}
