//! Indexes as an attacker, or a broken publisher, would make them: each is named, and each is refused for its own reason.
//!
//! Every index here has good hashes: a hash only says that the bytes are the publisher's, not that they mean anything.

mod layout;
mod tree;

use alloc::vec;
use alloc::vec::Vec;

use plyos_bytemap::Field;

use super::emit::assemble;
use super::tests::read_all;
use super::*;
use crate::entry::{Entry, EntryKind};
use crate::layouts::{self, index as map, page_header};
use crate::pages::{PAGE_SIZE, PageHashes, SlicePages};
use crate::samples::{dir, file, layer, many};
use crate::stream::EntryError;

/// What `check` says of these bytes. Whoever opens them without `check` must not panic either.
fn verdict(bytes: &[u8]) -> Option<IndexError> {
    if bytes.len().is_multiple_of(PAGE_SIZE)
        && let Ok(index) = Index::open(layer_id(bytes), PageHashes::compute(bytes), SlicePages(bytes))
    {
        read_all(&index);
    }
    check(bytes, &Limits::default()).err()
}

/// What is wrong with an entry of this input, and which.
fn problem(input: &IndexInput) -> Option<(u64, EntryError)> {
    match verdict(&assemble(input).unwrap()) {
        Some(IndexError::Entry { ordinal, problem, .. }) => Some((ordinal, problem)),
        other => panic!("expected an error of an entry, got {other:?}"),
    }
}

/// [`problem`] of a tree whose counts and places are right.
fn of_tree(entries: Vec<Entry>) -> Option<(u64, EntryError)> {
    problem(&layer(entries))
}

/// A good small index: head, one page of entries (root, `a`, `a/b`, `c`), one of chunks.
fn good() -> IndexInput {
    layer(vec![dir(""), dir("a"), file("a/b", 600), file("c", 5)])
}

/// What `check` says when bytes of the good index are replaced.
fn with(edits: &[(usize, &[u8])]) -> Option<IndexError> {
    let mut bytes = emit(&good()).unwrap();
    assert_eq!(verdict(&bytes), None);
    let before = bytes.clone();
    for (at, value) in edits {
        bytes[*at..at + value.len()].copy_from_slice(value);
    }
    assert_ne!(bytes, before, "the edit changes nothing");
    verdict(&bytes)
}

fn with_field(start: usize, field: Field, value: u64) -> Option<IndexError> {
    with(&[(start + field.offset, &value.to_le_bytes()[..field.size])])
}

/// Where the page directory of the good index starts.
fn directory() -> usize {
    (map::SIZE + good().descriptor.emit().len()).next_multiple_of(8)
}

/// First ordinal of entry page `page`.
fn directory_of(bytes: &[u8], page: usize) -> u64 {
    let index = check(bytes, &Limits::default()).unwrap();
    index.entry_run.place(page).unwrap().first_ordinal
}
