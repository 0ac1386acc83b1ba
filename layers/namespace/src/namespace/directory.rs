//! One directory of a namespace: its children by name and in order.

use alloc::{collections::VecDeque, vec::Vec};
use core::iter::FusedIterator;

use plyos_layer_format::{
    entry::Entry,
    index::{Children, Index, IndexError},
    pages::PageSource,
};

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
        let mut claims = Vec::new();
        for member in &directory.members {
            let layer = self.layer(member.layer())?;
            match member {
                Member::Has(source) => claims.extend(layer.claim_at(source.layer, &path)?),
                Member::LeadsTo(number) if layer.leads_to(&path) => {
                    claims.push(layer.claim_above(*number, &path)?);
                }
                Member::LeadsTo(_) => {}
            }
        }
        if SKELETON.contains(&path.as_slice()) {
            claims.push(Claim::to_directory(self.layers.len(), &path));
        }
        Ok(self.combine(claims))
    }

    /// What is in the directory at `path`, sorted by name; `None` when there is no directory.
    pub fn read_dir(&self, path: &[u8]) -> Result<Option<ReadDir<'_, S>>, NamespaceError> {
        match self.lookup(path)? {
            Some(found) if found.entry.is_directory() => self.children(&found).map(Some),
            _ => Ok(None),
        }
    }

    /// What is in a directory, sorted by name. Memory depends on the number of layers only.
    pub fn children(&self, directory: &Found) -> Result<ReadDir<'_, S>, NamespaceError> {
        let path = directory.entry.path.as_slice();
        let mut streams = Vec::new();
        for member in &directory.members {
            let layer = self.layer(member.layer())?;
            streams.push(match *member {
                Member::Has(source) => {
                    let listing =
                        Listing { layer, state: State::Children(layer.index.children(source.ordinal)) };
                    LayerStream::of_entries(source.layer, layer.info.prefix(), listing)
                }
                Member::LeadsTo(number) => match layer.step_from(path) {
                    step if step == layer.info.prefix() => {
                        let listing = Listing { layer, state: State::Root };
                        LayerStream::of_entries(number, layer.info.prefix(), listing)
                    }
                    step => LayerStream::of_directories(number, [step.to_vec()]),
                },
            });
        }
        if path.is_empty() {
            let skeleton = SKELETON.iter().filter(|path| !path.is_empty()).map(|path| path.to_vec());
            streams.push(LayerStream::of_directories(self.layers.len(), skeleton));
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

/// Entries in index order that can pass over a whole directory without reading it.
pub(super) struct Descent<'a, S> {
    index: &'a Index<S>,
    open: VecDeque<Children<'a, S>>,
    /// Directory that was handed out last and is gone into unless it is skipped.
    next: Next,
}

enum Next {
    Root,
    Into(u64),
    On,
}

impl<'a, S: PageSource> Descent<'a, S> {
    pub(super) const fn new(index: &'a Index<S>) -> Self {
        Self { index, open: VecDeque::new(), next: Next::Root }
    }

    fn step(&mut self) -> Result<Option<(u64, Entry)>, IndexError> {
        let found = match core::mem::replace(&mut self.next, Next::On) {
            Next::Root => Some((0, self.index.entry(0)?)),
            next => {
                if let Next::Into(ordinal) = next {
                    self.open.push_back(self.index.children(ordinal));
                }
                self.next_child()?
            }
        };
        if let Some((ordinal, entry)) = &found
            && entry.is_directory()
        {
            self.next = Next::Into(*ordinal);
        }
        Ok(found)
    }

    fn next_child(&mut self) -> Result<Option<(u64, Entry)>, IndexError> {
        while let Some(innermost) = self.open.back_mut() {
            match innermost.next() {
                Some(child) => return child.map(Some),
                None => self.open.pop_back(),
            };
        }
        Ok(None)
    }
}

impl<S: PageSource> EntrySource for Descent<'_, S> {
    type Error = IndexError;

    fn next_entry(&mut self) -> Option<Result<(u64, Entry), IndexError>> {
        let step = self.step();
        if step.is_err() {
            self.open.clear();
            self.next = Next::On;
        }
        step.transpose()
    }

    fn skip_below(&mut self, _descendants: u64) -> Result<(), IndexError> {
        self.next = Next::On;
        Ok(())
    }
}
