//! The content of files as slices of chunks, and what follows from it: which files are known to be equal.

use alloc::vec::Vec;
use core::ops::Range;

use plyos_ids::ChunkId;
use plyos_layer_format::{
    chunks::LARGE_FILE,
    entry::{Entry, EntryKind},
    index::{Chunk, Chunks, IndexError, MtimeRule},
    pages::PageSource,
};

use super::{Namespace, NamespaceError, NamespaceLayer, walk::Whole};
use crate::conflicts::{self, Conflicts, FileClaim, MergeError};

/// A piece of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Number of the chunk in its layer.
    pub ordinal: u64,
    /// The chunk that holds it.
    pub chunk: Chunk,
    /// Which of the chunk's uncompressed bytes; never empty.
    pub range: Range<u32>,
}

/// The pieces of a range of a file, in order. Ends after an error.
#[derive(Debug)]
pub struct Slices<'a, S> {
    layer: &'a NamespaceLayer<S>,
    /// `None` when nothing is left.
    chunks: Option<Chunks<'a, S>>,
    /// What is left, as stream offsets.
    start: u64,
    end: u64,
}

impl<S: PageSource> Namespace<S> {
    /// The pieces of a file's content. `entry` is of layer number `layer`; what is no file has none.
    pub fn slices(&self, layer: usize, entry: &Entry) -> Result<Slices<'_, S>, NamespaceError> {
        self.slices_in(layer, entry, 0..u64::MAX)
    }

    /// The pieces of a part of a file's content, cut to its end.
    pub fn slices_in(
        &self,
        layer: usize,
        entry: &Entry,
        range: Range<u64>,
    ) -> Result<Slices<'_, S>, NamespaceError> {
        self.layer(layer)?.slices_in(entry, range)
    }

    /// Finds the layers that cannot stand side by side. Only directories that several layers have are read, so the cost does not
    /// grow with what a model or a site holds; every index must have passed the full check when it came in.
    ///
    /// `same` is asked about files that are alike in metadata when the index pages leave open whether their contents are
    /// ([`Sameness::Unknown`]); who does not know says no.
    pub fn conflicts<E: From<NamespaceError>>(
        &self,
        mut same: impl FnMut(FileClaim<'_>, FileClaim<'_>) -> Result<bool, E>,
    ) -> Result<Conflicts, E> {
        let layers = self.layers.iter().map(|layer| (&layer.info, Whole::<S, E>::new(layer)));
        let mut chunks = LastChunks(alloc::vec![None; self.layers.len()]);
        let found = conflicts::find_in(layers, |a, b| {
            if chunks.are_same(self, a, b)? {
                return Ok(true);
            }
            match self.layer(a.layer)?.compare(a.entry, self.layer(b.layer)?, b.entry)? {
                Sameness::Same => Ok(true),
                Sameness::Different => Ok(false),
                Sameness::Unknown => same(a, b),
            }
        });
        found.map_err(|error| match error {
            MergeError::Read(error) => error,
            MergeError::Unsorted(layer) => NamespaceError::Unsorted { layer: self.name_of(layer) }.into(),
        })
    }
}

/// The chunk of each layer that was looked at last, with the stream offset at which it starts. Files of a merge come in the order
/// in which their contents lie in the stream, and hundreds share a chunk: so its page is read once and not once for each.
struct LastChunks(Vec<Option<(u64, Chunk)>>);

impl LastChunks {
    /// Whether two files are the same slice of the same chunk, with one set of attributes. Of others nothing is said.
    fn are_same<S: PageSource>(
        &mut self,
        namespace: &Namespace<S>,
        a: FileClaim<'_>,
        b: FileClaim<'_>,
    ) -> Result<bool, NamespaceError> {
        if a.entry.size() != b.entry.size()
            || a.entry.size() >= LARGE_FILE
            || a.entry.xattrs != b.entry.xattrs
        {
            return Ok(false);
        }
        let a_slice = self.lone_slice(namespace.layer(a.layer)?, a)?;
        Ok(a_slice.is_some() && a_slice == self.lone_slice(namespace.layer(b.layer)?, b)?)
    }

    /// The slice that is the whole of a file.
    fn lone_slice<S: PageSource>(
        &mut self,
        layer: &NamespaceLayer<S>,
        claim: FileClaim<'_>,
    ) -> Result<Option<(ChunkId, Range<u64>)>, NamespaceError> {
        let EntryKind::File { size: 1.., data_offset: start, .. } = claim.entry.kind else { return Ok(None) };
        let Some(last) = self.0.get_mut(claim.layer) else { return Ok(None) };
        let holds = |(first, chunk): &(u64, Chunk)| {
            start.checked_sub(*first).is_some_and(|offset| offset < u64::from(chunk.length))
        };
        let (first, chunk) = match last.filter(holds) {
            Some(known) => known,
            None => {
                let (_, first, chunk) = layer.index.chunk_at(start).map_err(layer.error())?;
                *last.insert((first, chunk))
            }
        };
        let range =
            start.saturating_sub(first)..start.saturating_sub(first).saturating_add(claim.entry.size());
        Ok((range.end <= u64::from(chunk.length)).then_some((chunk.id, range)))
    }
}

/// What index pages tell of two files' contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// They are made of the same slices of the same chunks.
    Same,
    /// They cannot be the same.
    Different,
    /// Their chunks differ, but hold their neighbours, too: only the bytes can tell.
    Unknown,
}

impl<S: PageSource> NamespaceLayer<S> {
    /// Compares two regular files, or other names of some: their sizes, extended attributes and contents. Modes and owners
    /// are not looked at.
    pub fn compare(
        &self,
        entry: &Entry,
        other: &Self,
        other_entry: &Entry,
    ) -> Result<Sameness, NamespaceError> {
        let (a_first, b_first) = (self.first_path(entry)?, other.first_path(other_entry)?);
        let (a, b) = (a_first.as_ref().unwrap_or(entry), b_first.as_ref().unwrap_or(other_entry));
        if a.size() != b.size() || a.xattrs != b.xattrs {
            return Ok(Sameness::Different);
        }
        self.compare_content(a, other, b)
    }

    /// Compares the contents of two regular files, or other names of some, and nothing else.
    pub fn compare_content(&self, a: &Entry, other: &Self, b: &Entry) -> Result<Sameness, NamespaceError> {
        let (a_first, b_first) = (self.first_path(a)?, other.first_path(b)?);
        let (a, b) = (a_first.as_ref().unwrap_or(a), b_first.as_ref().unwrap_or(b));
        if a.size() != b.size() {
            return Ok(Sameness::Different);
        }
        let (mut a_slices, mut b_slices) =
            (self.slices_in(a, 0..u64::MAX)?, other.slices_in(b, 0..u64::MAX)?);
        loop {
            let (a_slice, b_slice) = (a_slices.next().transpose()?, b_slices.next().transpose()?);
            let key = |slice: &Slice| (slice.chunk.id, slice.range.clone());
            match (a_slice, b_slice) {
                (None, None) => return Ok(Sameness::Same),
                (Some(a), Some(b)) if key(&a) == key(&b) => {}
                // Large files are cut on their own, so equal ones have equal chunks.
                _ if a.size() >= LARGE_FILE => return Ok(Sameness::Different),
                // A time that is made of the content says nothing when it is equal, for it has 26 bits.
                _ if self.has_times_of_content() && other.has_times_of_content() && a.mtime != b.mtime => {
                    return Ok(Sameness::Different);
                }
                _ => return Ok(Sameness::Unknown),
            }
        }
    }

    /// Whether a file's time changes exactly when its bytes do.
    pub fn has_times_of_content(&self) -> bool {
        self.index.header().mtime_rule == MtimeRule::Content
    }

    /// The pieces of a part of a file's content, cut to its end. `entry` is of this layer.
    fn slices_in(&self, entry: &Entry, range: Range<u64>) -> Result<Slices<'_, S>, NamespaceError> {
        let first_path = self.first_path(entry)?;
        let EntryKind::File { size, data_offset, .. } = first_path.as_ref().unwrap_or(entry).kind else {
            return Ok(Slices { layer: self, chunks: None, start: 0, end: 0 });
        };
        let start = data_offset.saturating_add(range.start.min(size));
        let end = data_offset.saturating_add(range.end.min(size));
        let chunks =
            if start < end { Some(self.index.chunks_from(start).map_err(self.error())?) } else { None };
        Ok(Slices { layer: self, chunks, start, end })
    }

    /// The entry that holds a hard link's content; `None` for what is no hard link.
    pub fn first_path(&self, entry: &Entry) -> Result<Option<Entry>, NamespaceError> {
        match entry.kind {
            EntryKind::HardLink { target } => self.index.entry(target).map(Some).map_err(self.error()),
            _ => Ok(None),
        }
    }
}

impl<S: PageSource> Slices<'_, S> {
    fn step(&mut self) -> Result<Option<Slice>, NamespaceError> {
        let Some(chunks) = self.chunks.as_mut().filter(|_| self.start < self.end) else { return Ok(None) };
        let next = chunks.next_placed().unwrap_or(Err(IndexError::Beyond {
            what: "stream byte",
            number: self.start,
            count: self.layer.index.header().stream_len,
        }));
        let (ordinal, chunk_start, chunk) = next.map_err(self.layer.error())?;
        // `start` lies in this chunk: the walk began at the chunk that holds it and chunks follow each other.
        let from = self.start.saturating_sub(chunk_start);
        let to = (self.end - chunk_start.min(self.end)).min(u64::from(chunk.length));
        self.start = chunk_start.saturating_add(u64::from(chunk.length));
        Ok((from < to).then_some(Slice { ordinal, chunk, range: from as u32..to as u32 }))
    }
}

impl<S: PageSource> Iterator for Slices<'_, S> {
    type Item = Result<Slice, NamespaceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.chunks = None;
        }
        step.transpose()
    }
}
