//! The full check of an untrusted index: every rule of `docs/formats.md`, in one pass, in time linear in its size, without recursion.
//!
//! Paths are prefix-compressed, so a small index can hold many long paths. The walk therefore never looks at a whole path again: it
//! looks at what differs from the path before, at one component, and at the stack of directories that are open.
//! Because the stream has one spelling, the length of each header follows from its entry: the check knows where each file's
//! content must lie and compares, so slices can neither overlap nor leave the stream.

use alloc::vec::Vec;

use plyos_ids::LayerId;

use super::emit::breaks;
use super::page::Step;
use super::tree::Tree;
use super::{Index, IndexError, MAX_INDEX, chunk_key, entry_key, layer_id};
use crate::entry::{compare_after, shared_prefix};
use crate::layouts::chunk_record;
use crate::pages::{PAGE_SIZE, PageHashes, SlicePages};
use crate::stream::EntryError;

/// What a reader takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an index: what is held in memory while it is checked.
    pub index_bytes: u64,
    /// Entries: each costs a reader at least an inode.
    pub entries: u64,
    /// Bytes of the stream: what the layer takes in the end.
    pub stream_bytes: u64,
}

impl Default for Limits {
    /// The limits of the format itself.
    fn default() -> Self {
        Self {
            index_bytes: MAX_INDEX,
            entries: crate::stream::MAX_ENTRIES,
            stream_bytes: crate::stream::MAX_STREAM,
        }
    }
}

/// Checks a whole index. What it returns reads without hashing any page again.
pub fn check<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Index<SlicePages<'a>>, IndexError> {
    let length = bytes.len() as u64;
    let limit = limits.index_bytes.min(MAX_INDEX);
    if bytes.is_empty() || !bytes.len().is_multiple_of(PAGE_SIZE) || length > limit {
        return Err(IndexError::Length { length, limit });
    }
    let hashes = PageHashes::compute(bytes);
    let id: LayerId = hashes.root().unwrap_or_else(|| layer_id(bytes));
    let index = Index::open_with(id, hashes, SlicePages(bytes), true)?;
    if index.entry_count() > limits.entries {
        return Err(IndexError::Header("it has more entries than this reader takes"));
    }
    if index.header().stream_len > limits.stream_bytes {
        return Err(IndexError::Header("its stream is longer than this reader takes"));
    }
    check_entries(&index)?;
    check_chunks(&index)?;
    Ok(index)
}

fn check_entries(index: &Index<SlicePages<'_>>) -> Result<(), IndexError> {
    let mut tree = Tree::new(index.header());
    // Path of the last entry of the page before, and the bytes which that page uses.
    let mut before: Vec<u8> = Vec::new();
    let mut used = 0;
    for page in 0..index.entry_run.len() {
        let mut walk = index.entry_page(page)?;
        let page_used = walk.used();
        let mut is_first = true;
        while let Some(step) = walk.advance()? {
            if is_first {
                check_page_start(&step, &before, used, page, tree.offset())?;
                let shared = shared_prefix(&before, step.path);
                tree.add(&step, shared).map_err(|problem| step.refuse(problem))?;
            } else {
                if breaks(step.at, 0, || entry_key(step.path)) {
                    return Err(step.refuse(EntryError::Record("its page should have ended before it")));
                }
                tree.add(&step, step.record.prefix_len).map_err(|problem| step.refuse(problem))?;
            }
            is_first = false;
        }
        before.clear();
        before.extend_from_slice(walk.path());
        used = page_used;
    }
    tree.finish(index.header())
}

/// The first entry of a page: after the last of the page before, on a new page for a reason, at the stream base of its page.
fn check_page_start(
    step: &Step<'_>,
    before: &[u8],
    used: usize,
    page: usize,
    offset: u64,
) -> Result<(), IndexError> {
    if step.base != offset {
        return Err(step.refuse(EntryError::Slice));
    }
    if page == 0 {
        return Ok(());
    }
    let shared = shared_prefix(before, step.path);
    match compare_after(before, step.path, shared) {
        core::cmp::Ordering::Less => {}
        core::cmp::Ordering::Equal => return Err(step.refuse(EntryError::Duplicate)),
        core::cmp::Ordering::Greater => return Err(step.refuse(EntryError::Unsorted)),
    }
    let record_len = step.record.len_with(step.path.len(), shared);
    if !breaks(used, record_len, || entry_key(step.path)) {
        return Err(step.refuse(EntryError::Record("it should stand in the page before")));
    }
    Ok(())
}

fn check_chunks(index: &Index<SlicePages<'_>>) -> Result<(), IndexError> {
    let header = index.header();
    let (mut offset, mut longest, mut used) = (0u64, 0u32, 0usize);
    for page in 0..index.chunk_run.len() {
        let mut walk = index.chunk_page(page)?;
        let page_used = walk.used();
        let mut is_first = true;
        while let Some(step) = walk.advance()? {
            let refuse = |reason| IndexError::Chunk { ordinal: step.ordinal, reason };
            if step.start != offset {
                return Err(refuse("it does not start where the one before ends"));
            }
            let key = || chunk_key(&step.chunk.id);
            if is_first && page > 0 && !breaks(used, chunk_record::SIZE, key) {
                return Err(refuse("it should stand in the page before"));
            }
            if !is_first && breaks(step.at, 0, key) {
                return Err(refuse("its page should have ended before it"));
            }
            offset += u64::from(step.chunk.length);
            longest = longest.max(step.chunk.length);
            is_first = false;
        }
        used = page_used;
    }
    if offset != header.stream_len {
        return Err(IndexError::Header("the chunks' lengths do not sum to the stream's length"));
    }
    if longest != header.max_chunk_len {
        return Err(IndexError::Header("the longest chunk is not the one of the header"));
    }
    Ok(())
}
