//! The content of files as slices of chunks, and what follows from it: which files are known to be equal.

use core::ops::Range;

use plyos_layer_format::{
    chunks::LARGE_FILE,
    entry::{Entry, EntryKind},
    index::{Chunk, Chunks, IndexError},
    pages::PageSource,
};

use super::{Namespace, NamespaceError, NamespaceLayer, directory::Descent};
use crate::{
    conflicts::{self, Conflicts, FileClaim, MergeError},
    layer::LayerInfo,
    merge::EntrySource,
};

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
        let layer = self.layer(layer)?;
        let first_path = layer.first_path(entry)?;
        let EntryKind::File { size, data_offset, .. } = first_path.as_ref().unwrap_or(entry).kind else {
            return Ok(Slices { layer, chunks: None, start: 0, end: 0 });
        };
        let start = data_offset.saturating_add(range.start.min(size));
        let end = data_offset.saturating_add(range.end.min(size));
        let chunks =
            if start < end { Some(layer.index.chunks_from(start).map_err(layer.error())?) } else { None };
        Ok(Slices { layer, chunks, start, end })
    }

    /// Finds the layers that cannot stand side by side. Only directories that several layers have are read, so the cost does not
    /// grow with what a model or a site holds; every index must have passed the full check when it came in.
    ///
    /// Files whose chunks tell that they are equal are no conflict. `same` is asked about the others that are alike in
    /// metadata and smaller than [`LARGE_FILE`], whose chunks hold their neighbours, too; who does not know says no.
    pub fn conflicts<E: From<NamespaceError>>(
        &self,
        mut same: impl FnMut(FileClaim<'_>, FileClaim<'_>) -> Result<bool, E>,
    ) -> Result<Conflicts, E> {
        let layers = self.layers.iter().map(|layer| {
            let source =
                Renamed { layer, descent: Descent::new(&layer.index), error: core::marker::PhantomData };
            (&layer.info, source)
        });
        let layers = layers.collect::<alloc::vec::Vec<(&LayerInfo, Renamed<'_, S, E>)>>();
        let found = conflicts::find_in(layers, |a, b| match self.compare(a, b)? {
            Content::Same => Ok(true),
            Content::Different => Ok(false),
            Content::Unknown => same(a, b),
        });
        found.map_err(|error| match error {
            MergeError::Read(error) => error,
            MergeError::Unsorted(layer) => NamespaceError::Unsorted { layer: self.name_of(layer) }.into(),
        })
    }

    /// Compares two files that are alike in mode and owner.
    fn compare(&self, a: FileClaim<'_>, b: FileClaim<'_>) -> Result<Content, NamespaceError> {
        let (a_first, b_first) =
            (self.layer(a.layer)?.first_path(a.entry)?, self.layer(b.layer)?.first_path(b.entry)?);
        let (a_file, b_file) = (a_first.as_ref().unwrap_or(a.entry), b_first.as_ref().unwrap_or(b.entry));
        if a_file.size() != b_file.size() || a_file.xattrs != b_file.xattrs {
            return Ok(Content::Different);
        }
        let (mut a_slices, mut b_slices) = (self.slices(a.layer, a_file)?, self.slices(b.layer, b_file)?);
        loop {
            let (a_slice, b_slice) = (a_slices.next().transpose()?, b_slices.next().transpose()?);
            let key = |slice: &Slice| (slice.chunk.id, slice.range.clone());
            match (a_slice, b_slice) {
                (None, None) => return Ok(Content::Same),
                (Some(a), Some(b)) if key(&a) == key(&b) => {}
                // Large files are cut on their own, so equal ones have equal chunks.
                _ if a_file.size() >= LARGE_FILE => return Ok(Content::Different),
                _ => return Ok(Content::Unknown),
            }
        }
    }
}

enum Content {
    Same,
    Different,
    /// The chunks differ, but they hold more than the file.
    Unknown,
}

impl<S: PageSource> NamespaceLayer<S> {
    /// The entry that holds a hard link's content; `None` for what is no hard link.
    fn first_path(&self, entry: &Entry) -> Result<Option<Entry>, NamespaceError> {
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

/// A descent whose errors name the layer and are of the caller's type.
struct Renamed<'a, S, E> {
    layer: &'a NamespaceLayer<S>,
    descent: Descent<'a, S>,
    error: core::marker::PhantomData<E>,
}

impl<S: PageSource, E: From<NamespaceError>> EntrySource for Renamed<'_, S, E> {
    type Error = E;

    fn next_entry(&mut self) -> Option<Result<(u64, Entry), E>> {
        let entry = self.descent.next_entry()?;
        Some(entry.map_err(|error| self.layer.error()(error).into()))
    }

    fn skip_below(&mut self, descendants: u64) -> Result<(), E> {
        self.descent.skip_below(descendants).map_err(|error| self.layer.error()(error).into())
    }
}
