//! What a generation looks like as one file tree.
//!
//! A [`Namespace`] holds the open indexes of a generation's layers and nothing else: each answer is read from verified
//! index pages when it is asked for, so making one costs the same for layers of any size. Paths are relative (`usr/bin/jq`, the root
//! empty; one leading `/` is passed over). Whether the layers may stand side by side is asked once, before a flip, with
//! [`Namespace::conflicts`]; on a tree with conflicts each answer is still the same every time.

use alloc::{string::String, vec::Vec};

use plyos_layer_format::{
    entry::Entry,
    index::{Index, IndexError},
    pages::PageSource,
};

use crate::{
    layer::LayerInfo,
    merge::{Claim, MergeError},
    precedence::{self, Has},
};

mod content;
mod directory;
mod resolve;
mod walk;

pub use content::{Sameness, Slice, Slices};
pub use directory::ReadDir;
pub use resolve::MAX_LINKS;
pub use walk::Walk;

/// Directories that are there even when no layer has them: what is mounted comes and goes below them.
const SKELETON: [&[u8]; 4] = [b"", b"models", b"usr", b"www"];

/// Why a namespace gave no answer. That a path does not exist is no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// A layer's index could not be read.
    #[error("cannot read the index of {layer}: {source}")]
    Index {
        /// The layer's name.
        layer: String,
        /// Why.
        source: IndexError,
    },
    /// Symbolic links that never end.
    #[error(
        "cannot follow /{}: more than {MAX_LINKS} symbolic links on the way; name the file itself",
        String::from_utf8_lossy(path)
    )]
    TooManyLinks {
        /// What was asked for.
        path: Vec<u8>,
    },
    /// A layer's entries are not sorted: its index never passed the full check.
    #[error("cannot merge the files of {layer}: its paths are not sorted; fetch it again")]
    Unsorted {
        /// The layer's name.
        layer: String,
    },
    /// A number of a layer that is not in the namespace.
    #[error("the namespace has no layer number {0}")]
    NoLayer(usize),
}

/// A layer with its open index.
#[derive(Debug)]
pub struct NamespaceLayer<S> {
    /// Its place and rank.
    pub info: LayerInfo,
    /// Its index.
    pub index: Index<S>,
}

impl<S: PageSource> NamespaceLayer<S> {
    /// A layer as its own descriptor says.
    pub fn new(index: Index<S>) -> Self {
        Self { info: LayerInfo::of(index.descriptor()), index }
    }

    /// The error of a namespace for one of this layer's index.
    pub(crate) fn failed(&self, source: IndexError) -> NamespaceError {
        NamespaceError::Index { layer: self.info.name.clone(), source }
    }

    fn error(&self) -> impl Fn(IndexError) -> NamespaceError + '_ {
        |source| self.failed(source)
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Number of the layer in [`Namespace::layers`].
    pub layer: usize,
    /// Number of the entry in the layer's index.
    pub ordinal: u64,
}

/// What is seen at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it comes from; `None` for a directory that no layer describes, as one that only leads to a mount point.
    pub source: Option<Source>,
    /// The entry, its path that of the namespace. A directory's count of descendants is that of its own layer.
    pub entry: Entry,
    /// For a directory: all layers that take part in it.
    members: Vec<Member>,
}

/// A layer that takes part in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    /// It has the directory.
    Has(Source),
    /// It is mounted deeper.
    LeadsTo(usize),
}

impl Found {
    /// For a directory: the entries that are merged into it, of one layer each, the one that is seen among them.
    pub fn merged(&self) -> impl Iterator<Item = Source> + '_ {
        self.members.iter().filter_map(|member| match member {
            Member::Has(source) => Some(*source),
            Member::LeadsTo(_) => None,
        })
    }
}

/// The merged view of a generation's layers.
#[derive(Debug)]
pub struct Namespace<S> {
    layers: Vec<NamespaceLayer<S>>,
}

impl<S: PageSource> Namespace<S> {
    /// The namespace of these layers, in any order. Layers that are not mounted (kernels) may be among them.
    pub fn new(mut layers: Vec<NamespaceLayer<S>>) -> Self {
        layers.sort_by(|a, b| a.info.sort_key().cmp(&b.info.sort_key()));
        Self { layers }
    }

    /// The layers in generation order: by mount type, kind, name.
    pub fn layers(&self) -> &[NamespaceLayer<S>] {
        &self.layers
    }

    /// What is seen at `path`. Symbolic links are not followed; see [`Namespace::resolve`].
    pub fn lookup(&self, path: &[u8]) -> Result<Option<Found>, NamespaceError> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let mut found = self.root()?;
        let mut at = 0;
        while at < path.len() {
            if let Some(source) = found.lone_source() {
                return self.lookup_in_layer(source, path);
            }
            let rest = path.get(at..).unwrap_or_default();
            let name = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
            at += name.len() + 1;
            let Some(child) = self.child(&found, name)? else { return Ok(None) };
            found = child;
        }
        // A path that ends in a slash has an empty component left, which nothing is called.
        Ok((!path.ends_with(b"/")).then_some(found))
    }

    /// The layer whose file, link or directory is seen at `path`; `None` where there is nothing, or a directory that no
    /// layer describes.
    pub fn owner_of(&self, path: &[u8]) -> Result<Option<&LayerInfo>, NamespaceError> {
        let source = self.lookup(path)?.and_then(|found| found.source);
        Ok(source.and_then(|source| self.layers.get(source.layer)).map(|layer| &layer.info))
    }

    fn layer(&self, number: usize) -> Result<&NamespaceLayer<S>, NamespaceError> {
        self.layers.get(number).ok_or(NamespaceError::NoLayer(number))
    }

    fn name_of(&self, number: usize) -> String {
        self.layers.get(number).map(|layer| layer.info.name.clone()).unwrap_or_default()
    }

    fn merge_error(&self, error: MergeError<NamespaceError>) -> NamespaceError {
        match error {
            MergeError::Read(error) => error,
            MergeError::Unsorted(layer) => NamespaceError::Unsorted { layer: self.name_of(layer) },
        }
    }

    /// What is seen of all claims to one path, which are in layer order.
    fn combine(&self, mut claims: Vec<Claim>) -> Option<Found> {
        let has = |claim: &Claim| match (claim.entry.is_directory(), claim.ordinal) {
            (false, _) => Has::Other,
            (true, Some(_)) => Has::Directory,
            (true, None) => Has::ImpliedDirectory,
        };
        let ranked =
            claims.iter().filter_map(|claim| Some((&self.layers.get(claim.layer)?.info, has(claim))));
        let at = precedence::seen(ranked);
        let is_directory = claims.get(at)?.entry.is_directory();
        let members = claims.iter().filter(|claim| is_directory && claim.entry.is_directory());
        let members = members.filter(|claim| claim.layer < self.layers.len()).map(Member::of).collect();
        let seen = claims.swap_remove(at);
        let source = seen.ordinal.map(|ordinal| Source { layer: seen.layer, ordinal });
        Some(Found { source, entry: seen.entry, members })
    }
}

impl Member {
    fn of(claim: &Claim) -> Self {
        match claim.ordinal {
            Some(ordinal) => Self::Has(Source { layer: claim.layer, ordinal }),
            None => Self::LeadsTo(claim.layer),
        }
    }

    const fn layer(self) -> usize {
        match self {
            Self::Has(source) => source.layer,
            Self::LeadsTo(layer) => layer,
        }
    }
}

#[cfg(test)]
mod tests;
