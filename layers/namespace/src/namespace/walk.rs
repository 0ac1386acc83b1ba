//! Every path of a namespace in order, for exports.

use core::{iter::FusedIterator, marker::PhantomData};

use plyos_layer_format::{entry::Entry, index::Entries, pages::PageSource};

use super::{Found, Namespace, NamespaceError, NamespaceLayer, SKELETON};
use crate::{
    merge::{EntrySource, LayerStream, Merge},
    rules::is_below,
};
use alloc::vec::Vec;

/// All entries of one layer, and the directories of it that are passed over. Errors are of the caller's type.
pub(super) struct Whole<'a, S, E> {
    layer: &'a NamespaceLayer<S>,
    entries: Entries<'a, S>,
    /// Number of the entry after the one that was handed out last.
    next: u64,
    error: PhantomData<E>,
}

impl<'a, S: PageSource, E> Whole<'a, S, E> {
    pub(super) fn new(layer: &'a NamespaceLayer<S>) -> Self {
        Self { layer, entries: layer.index.entries(), next: 0, error: PhantomData }
    }
}

impl<S: PageSource, E: From<NamespaceError>> EntrySource for Whole<'_, S, E> {
    type Error = E;

    fn next_entry(&mut self) -> Option<Result<(u64, Entry), E>> {
        let next = self.entries.next_numbered()?.map_err(|error| self.layer.error()(error).into());
        if let Ok((ordinal, _)) = &next {
            self.next = ordinal + 1;
        }
        Some(next)
    }

    fn skip_below(&mut self, descendants: u64) -> Result<(), E> {
        self.entries.skip_to(self.next.saturating_add(descendants));
        Ok(())
    }
}

/// All that is seen, in path order, the root first. Ends after an error.
pub struct Walk<'a, S> {
    namespace: &'a Namespace<S>,
    merge: Merge<Whole<'a, S, NamespaceError>>,
    /// A path where something else than a directory is seen though a layer has one: what is below is not seen.
    hidden: Option<Vec<u8>>,
}

impl<S: PageSource> Namespace<S> {
    /// Walks over everything. Memory depends on the number of layers only.
    pub fn walk(&self) -> Walk<'_, S> {
        let mut streams = Vec::new();
        for (number, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.info.is_mounted()) {
            streams.push(LayerStream::new(number, layer.info.prefix(), Whole::new(layer)));
        }
        let skeleton = SKELETON.iter().map(|path| path.to_vec());
        streams.push(LayerStream::of_directories(self.layers.len(), skeleton));
        Walk { namespace: self, merge: Merge::new(streams), hidden: None }
    }
}

impl<S: PageSource> Walk<'_, S> {
    /// Passes over everything below what was handed out last; pages in which nothing else stands are not read.
    pub fn skip_below(&mut self) -> Result<(), NamespaceError> {
        self.merge.skip_below().map_err(|error| self.namespace.merge_error(error))
    }
}

impl<S: PageSource> Iterator for Walk<'_, S> {
    type Item = Result<Found, NamespaceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let group = match self.merge.next_group()? {
                Ok(group) => group,
                Err(error) => return Some(Err(self.namespace.merge_error(error))),
            };
            let has_directory = group.claims.iter().any(|claim| claim.entry.is_directory());
            let found = self.namespace.combine(group.claims)?;
            if self.hidden.as_ref().is_some_and(|hidden| is_below(&found.entry.path, hidden)) {
                continue;
            }
            if has_directory && !found.entry.is_directory() {
                self.hidden = Some(found.entry.path.clone());
            }
            return Some(Ok(found));
        }
    }
}

impl<S: PageSource> FusedIterator for Walk<'_, S> {}
