//! Streaming over entries, children and chunks: one page is held at a time, and nothing is yielded after an error.

use alloc::vec::Vec;

use super::page::{ChunkWalk, EntryWalk};
use super::{Chunk, Index, IndexError};
use crate::entry::Entry;
use crate::pages::PageSource;
use crate::record::EntryType;
use crate::stream::EntryError;

/// Every entry of an index in order. See [`Index::entries`].
#[derive(Debug)]
pub struct Entries<'a, S> {
    index: &'a Index<S>,
    /// Number of the next entry to yield.
    next: u64,
    walk: Option<EntryWalk>,
}

impl<'a, S: PageSource> Entries<'a, S> {
    pub(super) const fn new(index: &'a Index<S>) -> Self {
        Self { index, next: 0, walk: None }
    }

    /// The next entry with its number.
    pub fn next_numbered(&mut self) -> Option<Result<(u64, Entry), IndexError>> {
        let step = self.step();
        if step.is_err() {
            (self.walk, self.next) = (None, u64::MAX);
        }
        step.transpose()
    }

    /// Goes on with entry `ordinal` when that is ahead. Pages in between are not read.
    pub fn skip_to(&mut self, ordinal: u64) {
        self.next = self.next.max(ordinal);
    }

    fn step(&mut self) -> Result<Option<(u64, Entry)>, IndexError> {
        loop {
            if let Some(walk) = &mut self.walk {
                let end = walk.end_ordinal();
                if self.next < end {
                    if let Some(step) = walk.seek(self.next)? {
                        self.next = step.ordinal + 1;
                        return Ok(Some((step.ordinal, step.entry()?)));
                    }
                } else if walk.next_ordinal() == end {
                    // The page was read to its end, where nothing may be left over.
                    walk.advance()?;
                }
            }
            let Some(page) = self.index.entry_run.of_ordinal(self.next) else { return Ok(None) };
            self.walk = Some(self.index.entry_page(page)?);
        }
    }
}

impl<S: PageSource> Iterator for Entries<'_, S> {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_numbered().map(|numbered| numbered.map(|(_, entry)| entry))
    }
}

/// The entries directly in a directory. See [`Index::children`].
#[derive(Debug)]
pub struct Children<'a, S> {
    index: &'a Index<S>,
    walk: Option<EntryWalk>,
    /// What a child's path starts with: the directory's path and a `/`; empty for the root.
    base: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The directory has not been read.
    New(u64),
    /// Between children.
    Within {
        /// The next child, if it is below `end`.
        next: u64,
        end: u64,
    },
    Over,
}

impl<'a, S: PageSource> Children<'a, S> {
    pub(super) const fn new(index: &'a Index<S>, ordinal: u64) -> Self {
        Self { index, walk: None, base: Vec::new(), state: State::New(ordinal) }
    }

    /// The children whose names stand after `name`.
    pub(super) fn after(index: &'a Index<S>, ordinal: u64, name: &[u8]) -> Result<Self, IndexError> {
        let mut children = Self::new(index, ordinal);
        // No child is called so; the path of an empty name would be the directory's own.
        let name = name.split(|byte| *byte == b'/').next().unwrap_or_default();
        if name.is_empty() {
            return Ok(children);
        }
        children.state = children.start(ordinal)?;
        if let State::Within { next, end } = children.state {
            let path = [children.base.as_slice(), name].concat();
            let next = index.position_after(&path)?.max(next);
            (children.walk, children.state) = (None, State::Within { next, end });
        }
        Ok(children)
    }

    fn step(&mut self) -> Result<Option<(u64, Entry)>, IndexError> {
        if let State::New(ordinal) = self.state {
            self.state = self.start(ordinal)?;
        }
        let State::Within { next, end } = self.state else { return Ok(None) };
        if next >= end {
            return Ok(None);
        }
        let walk = match self.walk.take() {
            Some(walk) if next < walk.end_ordinal() => walk,
            _ => self.index.walk_at(next)?,
        };
        let walk = self.walk.insert(walk);
        let Some(step) = walk.seek(next)? else { return Err(self.index.no_entry(next)) };
        let name = step.path.strip_prefix(self.base.as_slice()).unwrap_or_default();
        if name.is_empty() || name.contains(&b'/') {
            return Err(step.refuse(EntryError::Descendants));
        }
        let after = step.after_subtree();
        if after > end {
            return Err(step.refuse(EntryError::Descendants));
        }
        let child = (next, step.entry()?);
        self.state = State::Within { next: after, end };
        Ok(Some(child))
    }

    /// Reads the directory itself; the walk then stands before its first child.
    fn start(&mut self, ordinal: u64) -> Result<State, IndexError> {
        let walk = self.walk.insert(self.index.walk_at(ordinal)?);
        let Some(step) = walk.seek(ordinal)? else { return Err(self.index.no_entry(ordinal)) };
        if step.record.entry_type != EntryType::Directory {
            return Ok(State::Over);
        }
        let end = step.after_subtree();
        if end > self.index.entry_count() {
            return Err(step.refuse(EntryError::Descendants));
        }
        self.base.extend_from_slice(step.path);
        if !step.path.is_empty() {
            self.base.push(b'/');
        }
        Ok(State::Within { next: ordinal + 1, end })
    }
}

impl<S: PageSource> Iterator for Children<'_, S> {
    type Item = Result<(u64, Entry), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.state = State::Over;
        }
        step.transpose()
    }
}

/// Chunks of an index in order of the stream. See [`Index::chunks`].
#[derive(Debug)]
pub struct Chunks<'a, S> {
    index: &'a Index<S>,
    next_page: usize,
    walk: Option<ChunkWalk>,
}

impl<'a, S: PageSource> Chunks<'a, S> {
    /// From the start of page `page` of the chunk pages.
    pub(super) const fn new(index: &'a Index<S>, page: usize) -> Self {
        Self { index, next_page: page, walk: None }
    }

    /// What is left of a walk, then the pages from `page` on.
    pub(super) const fn going_on(index: &'a Index<S>, page: usize, walk: ChunkWalk) -> Self {
        Self { index, next_page: page, walk: Some(walk) }
    }

    /// The next chunk with its number and the stream offset at which it starts.
    pub fn next_placed(&mut self) -> Option<Result<(u64, u64, Chunk), IndexError>> {
        let step = self.step();
        if step.is_err() {
            (self.walk, self.next_page) = (None, self.index.chunk_run.len());
        }
        step.transpose()
    }

    fn step(&mut self) -> Result<Option<(u64, u64, Chunk)>, IndexError> {
        loop {
            if let Some(walk) = &mut self.walk
                && let Some(step) = walk.advance()?
            {
                return Ok(Some((step.ordinal, step.start, step.chunk)));
            }
            if self.next_page == self.index.chunk_run.len() {
                return Ok(None);
            }
            self.walk = Some(self.index.chunk_page(self.next_page)?);
            self.next_page += 1;
        }
    }
}

impl<S: PageSource> Iterator for Chunks<'_, S> {
    type Item = Result<Chunk, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_placed().map(|placed| placed.map(|(_, _, chunk)| chunk))
    }
}
