//! The two sides of a comparison: whole namespaces, or single layers.

use plyos_layer_format::{entry::Entry, index::Entries, pages::PageSource};

use super::{Compare, Tree};
use crate::namespace::{Found, Namespace, NamespaceError, NamespaceLayer, Sameness, Walk};

impl AsRef<Entry> for Found {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

impl<S: PageSource> Tree for Walk<'_, S> {
    type Item = Found;
    type Error = NamespaceError;

    fn next_item(&mut self) -> Option<Result<Found, NamespaceError>> {
        self.next()
    }

    fn skip_below(&mut self) -> Result<(), NamespaceError> {
        Walk::skip_below(self)
    }
}

/// Compares two namespaces. Directories to which the same layers contribute the same are not gone into, so that the cost is
/// that of what layers that changed touch.
#[derive(Debug)]
pub struct Namespaces<'a, S, F> {
    before: &'a Namespace<S>,
    after: &'a Namespace<S>,
    read: F,
}

impl<'a, S, F> Namespaces<'a, S, F> {
    /// `read` is asked about two files when their index pages leave open whether their contents are the same.
    pub const fn new(before: &'a Namespace<S>, after: &'a Namespace<S>, read: F) -> Self {
        Self { before, after, read }
    }
}

impl<S, F, E> Compare<Found> for Namespaces<'_, S, F>
where
    S: PageSource,
    F: FnMut(&Found, &Found) -> Result<Sameness, E>,
    E: From<NamespaceError>,
{
    type Error = E;

    fn is_same_below(&mut self, before: &Found, after: &Found) -> bool {
        self.before.is_same_directory(before, self.after, after)
    }

    fn content(&mut self, before: &Found, after: &Found) -> Result<Sameness, E> {
        let layer = |namespace: &'_ Namespace<S>, found: &Found| {
            found.source.and_then(|source| namespace.layers().get(source.layer).map(|layer| layer.index.id()))
        };
        let (Some(old), Some(new)) = (before.source, after.source) else { return Ok(Sameness::Unknown) };
        if layer(self.before, before) == layer(self.after, after) && old.ordinal == new.ordinal {
            return Ok(Sameness::Same);
        }
        let (Some(old), Some(new)) =
            (self.before.layers().get(old.layer), self.after.layers().get(new.layer))
        else {
            return Err(NamespaceError::NoLayer(old.layer).into());
        };
        match old.compare_content(&before.entry, new, &after.entry)? {
            Sameness::Unknown => (self.read)(before, after),
            known => Ok(known),
        }
    }
}

/// All entries of one layer, their paths as in the layer.
#[derive(Debug)]
pub struct LayerTree<'a, S> {
    layer: &'a NamespaceLayer<S>,
    entries: Entries<'a, S>,
}

impl<'a, S: PageSource> LayerTree<'a, S> {
    /// From the root on.
    pub fn new(layer: &'a NamespaceLayer<S>) -> Self {
        Self { layer, entries: layer.index.entries() }
    }
}

/// An entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerEntry(pub Entry);

impl AsRef<Entry> for LayerEntry {
    fn as_ref(&self) -> &Entry {
        &self.0
    }
}

impl<S: PageSource> Tree for LayerTree<'_, S> {
    type Item = LayerEntry;
    type Error = NamespaceError;

    fn next_item(&mut self) -> Option<Result<LayerEntry, NamespaceError>> {
        let entry = self.entries.next()?;
        Some(entry.map(LayerEntry).map_err(|error| self.layer.failed(error)))
    }

    /// Two layers never say that a directory is the same without their entries, so nothing is passed over.
    fn skip_below(&mut self) -> Result<(), NamespaceError> {
        Ok(())
    }
}

/// Compares two layers by their indexes alone. Where chunks leave it open, files with one size and one time are taken for
/// the same if times are made of the content: one changed file in 67 million would be missed, and only in what is shown.
#[derive(Debug)]
pub struct Layers<'a, S> {
    before: &'a NamespaceLayer<S>,
    after: &'a NamespaceLayer<S>,
}

impl<'a, S> Layers<'a, S> {
    /// Of these two.
    pub const fn new(before: &'a NamespaceLayer<S>, after: &'a NamespaceLayer<S>) -> Self {
        Self { before, after }
    }
}

impl<S: PageSource> Compare<LayerEntry> for Layers<'_, S> {
    type Error = NamespaceError;

    fn is_same_below(&mut self, _before: &LayerEntry, _after: &LayerEntry) -> bool {
        false
    }

    fn content(&mut self, before: &LayerEntry, after: &LayerEntry) -> Result<Sameness, NamespaceError> {
        let known = self.before.compare_content(&before.0, self.after, &after.0)?;
        let times_tell = self.before.has_times_of_content() && self.after.has_times_of_content();
        // Other times would have said already that the contents differ.
        Ok(if known == Sameness::Unknown && times_tell { Sameness::Same } else { known })
    }
}
