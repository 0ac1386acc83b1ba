//! Every path of a namespace in order, for exports.

use core::iter::FusedIterator;

use plyos_layer_format::{entry::Entry, index::Entries, pages::PageSource};

use super::{Found, Namespace, NamespaceError, NamespaceLayer, SKELETON};
use crate::{
    merge::{EntrySource, Iterated, LayerStream, Merge},
    rules::is_below,
};
use alloc::vec::Vec;

/// All entries of one layer.
struct Whole<'a, S> {
    layer: &'a NamespaceLayer<S>,
    entries: Iterated<Entries<'a, S>>,
}

impl<S: PageSource> EntrySource for Whole<'_, S> {
    type Error = NamespaceError;

    fn next_entry(&mut self) -> Option<Result<(u64, Entry), NamespaceError>> {
        Some(self.entries.next_entry()?.map_err(self.layer.error()))
    }

    fn skip_below(&mut self, descendants: u64) -> Result<(), NamespaceError> {
        self.entries.skip_below(descendants).map_err(self.layer.error())
    }
}

/// All that is seen, in path order, the root first. Ends after an error.
pub struct Walk<'a, S> {
    namespace: &'a Namespace<S>,
    merge: Merge<Whole<'a, S>>,
    /// A path where something else than a directory is seen though a layer has one: what is below is not seen.
    hidden: Option<Vec<u8>>,
}

impl<S: PageSource> Namespace<S> {
    /// Walks over everything. Memory depends on the number of layers only.
    pub fn walk(&self) -> Walk<'_, S> {
        let mut streams = Vec::new();
        for (number, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.info.is_mounted()) {
            let whole = Whole { layer, entries: Iterated::new(layer.index.entries()) };
            streams.push(LayerStream::new(number, layer.info.prefix(), whole));
        }
        let skeleton = SKELETON.iter().map(|path| path.to_vec());
        streams.push(LayerStream::of_directories(self.layers.len(), skeleton));
        Walk { namespace: self, merge: Merge::new(streams), hidden: None }
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
