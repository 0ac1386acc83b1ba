//! The header that history, audit, bad layer sets and floors share, and the strings of the first two.

use alloc::string::String;
use alloc::vec::Vec;

use plyos_bytemap::{Preamble, PreambleError, View, put};

use crate::layout::list;

/// Why bytes are not a history, an audit, a list of bad layer sets or a list of floors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The preamble.
    #[error("{0}")]
    Preamble(#[from] PreambleError),
    /// More entries than the list may have.
    #[error("it states {0} entries, more than allowed")]
    TooMany(u32),
    /// A number that is not known here.
    #[error("an entry holds number {0} that is not known here; update this program")]
    Unknown(u8),
    /// Not sorted, or something twice.
    #[error("its entries are not sorted")]
    Order,
    /// Lengths, strings or reserved bytes.
    #[error("its entries or its length are malformed")]
    Malformed,
    /// No room for another entry.
    #[error("it is full")]
    Full,
}

/// A checked header with the bytes of the entries and of the heap.
pub(crate) struct Sections<'a> {
    pub compat: u32,
    pub count: usize,
    pub entries: &'a [u8],
    pub heap: &'a [u8],
}

/// Splits a list into entries of `entry_size` and heap. `bytes` is the whole list and no more.
pub(crate) fn split<'a>(
    bytes: &'a [u8],
    magic: &[u8; 8],
    entry_size: usize,
    limit: u32,
) -> Result<Sections<'a>, ListError> {
    let (head, object) = Preamble::parse(bytes, magic, list::SIZE, 0)?;
    let view = View::new(object, &list::LAYOUT).ok_or(PreambleError::Truncated)?;
    let count = view.u32(list::COUNT);
    if count > limit {
        return Err(ListError::TooMany(count));
    }
    let heap_len = view.u32(list::HEAP_LEN) as usize;
    let (_, rest) = object.split_at_checked(list::SIZE).ok_or(PreambleError::Truncated)?;
    let (entries, heap) = rest.split_at_checked(count as usize * entry_size).ok_or(ListError::Malformed)?;
    if heap.len() != heap_len || object.len() != bytes.len() || !view.is_zero(list::RESERVED) {
        return Err(ListError::Malformed);
    }
    Ok(Sections { compat: head.compat, count: count as usize, entries, heap })
}

/// Puts a list together.
pub(crate) fn join(magic: [u8; 8], compat: u32, count: usize, entries: &[u8], heap: &[u8]) -> Vec<u8> {
    let total = list::SIZE + entries.len() + heap.len();
    let mut out = Vec::with_capacity(total);
    out.resize(list::SIZE, 0);
    Preamble { compat, ..Preamble::v1(magic, list::SIZE, total as u64) }.emit(&mut out);
    put(&mut out, list::COUNT, &(count as u32).to_le_bytes());
    put(&mut out, list::HEAP_LEN, &(heap.len() as u32).to_le_bytes());
    out.extend_from_slice(entries);
    out.extend_from_slice(heap);
    out
}

/// The string of a reference (u32 offset, u16 length, u16 zero), which must be the next one of the heap.
pub(crate) fn string(reference: u64, heap: &[u8], heap_at: &mut usize) -> Result<String, ListError> {
    if reference == 0 {
        return Ok(String::new());
    }
    let (offset, len) = ((reference & 0xffff_ffff) as usize, (reference >> 32) as usize);
    let end = offset.checked_add(len).ok_or(ListError::Malformed)?;
    if offset != *heap_at || len == 0 || len > usize::from(u16::MAX) {
        return Err(ListError::Malformed);
    }
    let bytes = heap.get(offset..end).ok_or(ListError::Malformed)?;
    *heap_at = end;
    core::str::from_utf8(bytes).map(String::from).map_err(|_| ListError::Malformed)
}

/// Puts a string into the heap and gives its reference.
pub(crate) fn reference(text: &str, heap: &mut Vec<u8>) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let reference = heap.len() as u64 | (text.len() as u64) << 32;
    heap.extend_from_slice(text.as_bytes());
    reference
}
