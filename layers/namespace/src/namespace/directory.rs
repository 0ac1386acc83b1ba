//! One directory of a namespace: its children by name and in order.

use alloc::vec::Vec;
use core::iter::FusedIterator;

use plyos_layer_format::{entry::Entry, index::Children, pages::PageSource};

use super::{Found, Member, Namespace, NamespaceError, NamespaceLayer, SKELETON, Source};
use crate::{
    merge::{Claim, EntrySource, LayerStream, Merge},
    rules::is_below,
};

impl Found {
    /// The one layer that has this directory, when no other takes part in it: all below is that layer's.
    pub(super) fn lone_source(&self) -> Option<Source> {
        // In the root, the skeleton takes part, too.
        match self.members.as_slice() {
            [Member::Has(source)] if !self.entry.path.is_empty() => Some(*source),
            _ => None,
        }
    }
}

impl<S: PageSource> Namespace<S> {
    /// The root directory, which always exists.
    pub fn root(&self) -> Result<Found, NamespaceError> {
        let mut claims = Vec::new();
        for (number, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.info.is_mounted()) {
            claims.push(layer.claim_above(number, b"")?);
        }
        claims.push(Claim::to_directory(self.layers.len(), b""));
        self.combine(claims).ok_or(NamespaceError::NoLayer(0))
    }

    /// What is called `name` in `directory`, one component; `None` when there is nothing, or `directory` is none.
    pub fn child(&self, directory: &Found, name: &[u8]) -> Result<Option<Found>, NamespaceError> {
        // What no entry can be called must not reach an index, which would look further down.
        if name.is_empty() || name.contains(&b'/') {
            return Ok(None);
        }
        let path = match directory.entry.path.as_slice() {
            [] => name.to_vec(),
            above => [above, b"/", name].concat(),
        };
        Ok(self.combine(self.claims_in(directory, &path)?))
    }

    /// Whether two directories of two namespaces are known to be the same with all that is below, without reading anything: the
    /// same layers take part with the same entries. Whose layers' ranks are as their descriptors say.
    pub fn is_same_directory(&self, found: &Found, other: &Self, other_found: &Found) -> bool {
        let told = |namespace: &Self, member: &Member| {
            let id = namespace.layers.get(member.layer()).map(|layer| layer.index.id());
            (id, if let Member::Has(source) = member { Some(source.ordinal) } else { None })
        };
        found.entry.is_directory()
            && other_found.entry.is_directory()
            && found.members.len() == other_found.members.len()
            && (found.members.iter().zip(&other_found.members)).all(|(a, b)| told(self, a) == told(other, b))
    }

    /// The layers that have something at the path of `found` which is not seen: files that another layer replaces, or that
    /// the base does. None for a directory, into which all merge. In layer order.
    pub fn hidden_by(&self, found: &Found) -> Result<Vec<Source>, NamespaceError> {
        let path = found.entry.path.as_slice();
        if found.entry.is_directory() || path.is_empty() {
            return Ok(Vec::new());
        }
        let above = path.len().saturating_sub(found.entry.name().len() + 1);
        let Some(above) = self.lookup(path.get(..above).unwrap_or_default())? else { return Ok(Vec::new()) };
        let claims = self.claims_in(&above, path)?.into_iter();
        let sources = claims.filter_map(|claim| Some(Source { layer: claim.layer, ordinal: claim.ordinal? }));
        Ok(sources.filter(|source| Some(*source) != found.source).collect())
    }

    /// All claims to `path`, a child of `directory`, in layer order.
    fn claims_in(&self, directory: &Found, path: &[u8]) -> Result<Vec<Claim>, NamespaceError> {
        let mut claims = Vec::new();
        for member in &directory.members {
            let layer = self.layer(member.layer())?;
            match member {
                Member::Has(source) => claims.extend(layer.claim_at(source.layer, path)?),
                Member::LeadsTo(number) if layer.leads_to(path) => {
                    claims.push(layer.claim_above(*number, path)?);
                }
                Member::LeadsTo(_) => {}
            }
        }
        if SKELETON.contains(&path) {
            claims.push(Claim::to_directory(self.layers.len(), path));
        }
        Ok(claims)
    }

    /// What is in the directory at `path`, sorted by name; `None` when there is no directory.
    pub fn read_dir(&self, path: &[u8]) -> Result<Option<ReadDir<'_, S>>, NamespaceError> {
        match self.lookup(path)? {
            Some(found) if found.entry.is_directory() => self.children(&found).map(Some),
            _ => Ok(None),
        }
    }

    /// What is in a directory, sorted by name. Memory depends on the number of layers only; of each layer that takes part
    /// the pages are read in which its own children of the directory stand.
    pub fn children(&self, directory: &Found) -> Result<ReadDir<'_, S>, NamespaceError> {
        self.list(directory, None)
    }

    /// The same from the first one whose name stands after `name`, which need not be there: for a listing that goes on
    /// after an interruption, with the last name that it handed out as its cookie.
    pub fn children_after(&self, directory: &Found, name: &[u8]) -> Result<ReadDir<'_, S>, NamespaceError> {
        self.list(directory, Some(name))
    }

    fn list(&self, directory: &Found, after: Option<&[u8]>) -> Result<ReadDir<'_, S>, NamespaceError> {
        let path = directory.entry.path.as_slice();
        let is_ahead = |child: &[u8]| after.is_none_or(|after| name_of(child) > after);
        let mut streams = Vec::new();
        for member in &directory.members {
            let layer = self.layer(member.layer())?;
            streams.push(match *member {
                Member::Has(source) => {
                    let children = match after {
                        None => layer.index.children(source.ordinal),
                        Some(after) => {
                            layer.index.children_after(source.ordinal, after).map_err(layer.error())?
                        }
                    };
                    let listing = Listing { layer, state: State::Children(children) };
                    LayerStream::of_entries(source.layer, layer.info.prefix(), listing)
                }
                Member::LeadsTo(number) => match layer.step_from(path) {
                    step if !is_ahead(step) => continue,
                    step if step == layer.info.prefix() => {
                        let listing = Listing { layer, state: State::Root };
                        LayerStream::of_entries(number, layer.info.prefix(), listing)
                    }
                    step => LayerStream::of_directories(number, [step.to_vec()]),
                },
            });
        }
        if path.is_empty() {
            let skeleton = SKELETON.iter().filter(|path| !path.is_empty() && is_ahead(path));
            streams.push(LayerStream::of_directories(self.layers.len(), skeleton.map(|path| path.to_vec())));
        }
        Ok(ReadDir { namespace: self, merge: Merge::new(streams) })
    }

    /// What layer and path say, where no other layer takes part.
    pub(super) fn lookup_in_layer(&self, at: Source, path: &[u8]) -> Result<Option<Found>, NamespaceError> {
        let claim = self.layer(at.layer)?.claim_at(at.layer, path)?;
        Ok(claim.and_then(|claim| self.combine(alloc::vec![claim])))
    }
}

impl<S: PageSource> NamespaceLayer<S> {
    /// The claim to `path`, which is at or below the mount point.
    fn claim_at(&self, number: usize, path: &[u8]) -> Result<Option<Claim>, NamespaceError> {
        let prefix = self.info.prefix();
        let inside = if prefix.is_empty() {
            Some(path)
        } else {
            path.strip_prefix(prefix).map(|rest| rest.strip_prefix(b"/").unwrap_or(rest))
        };
        let Some(inside) = inside else { return Ok(None) };
        let found = self.index.lookup(inside).map_err(self.error())?;
        Ok(found.map(|(ordinal, entry)| Claim::to_entry(number, prefix, ordinal, entry)))
    }

    /// The claim to `path`, which is at or above the mount point.
    fn claim_above(&self, number: usize, path: &[u8]) -> Result<Claim, NamespaceError> {
        if path != self.info.prefix() {
            return Ok(Claim::to_directory(number, path));
        }
        let root = self.index.entry(0).map_err(self.error())?;
        Ok(Claim::to_entry(number, path, 0, root))
    }

    /// Whether `path` is the mount point or leads to it.
    fn leads_to(&self, path: &[u8]) -> bool {
        path == self.info.prefix() || is_below(self.info.prefix(), path)
    }

    /// The next directory on the way from `path` to the mount point.
    fn step_from(&self, path: &[u8]) -> &[u8] {
        let prefix = self.info.prefix();
        let start = if path.is_empty() { 0 } else { path.len() + 1 };
        let length = prefix.iter().skip(start).position(|byte| *byte == b'/');
        length.and_then(|length| prefix.get(..start + length)).unwrap_or(prefix)
    }
}

/// Last component of a path.
fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// One layer's entries in a directory.
struct Listing<'a, S> {
    layer: &'a NamespaceLayer<S>,
    state: State<'a, S>,
}

enum State<'a, S> {
    /// The children of a directory that the layer has.
    Children(Children<'a, S>),
    /// Its root alone, which is mounted in the directory.
    Root,
    Over,
}

impl<S: PageSource> EntrySource for Listing<'_, S> {
    type Error = NamespaceError;

    fn next_entry(&mut self) -> Option<Result<(u64, Entry), NamespaceError>> {
        let next = match &mut self.state {
            State::Children(children) => children.next()?,
            State::Root => {
                self.state = State::Over;
                self.layer.index.entry(0).map(|entry| (0, entry))
            }
            State::Over => return None,
        };
        Some(next.map_err(self.layer.error()))
    }

    fn skip_below(&mut self, _descendants: u64) -> Result<(), NamespaceError> {
        Ok(())
    }
}

/// The entries of a merged directory, each a [`Found`] whose name is `found.entry.name()`. Ends after an error.
pub struct ReadDir<'a, S> {
    namespace: &'a Namespace<S>,
    merge: Merge<Listing<'a, S>>,
}

impl<S: PageSource> Iterator for ReadDir<'_, S> {
    type Item = Result<Found, NamespaceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.merge.next_group()? {
            Ok(group) => self.namespace.combine(group.claims).map(Ok),
            Err(error) => Some(Err(self.namespace.merge_error(error))),
        }
    }
}

impl<S: PageSource> FusedIterator for ReadDir<'_, S> {}
