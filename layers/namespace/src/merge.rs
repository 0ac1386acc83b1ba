//! Merging the sorted entries of all layers into one sorted sequence of paths.
//!
//! Each stream holds one entry at a time, so memory depends on the number of layers and never on that of their files.
//! Paths are namespace paths: relative, the root empty. A layer that is mounted deeper also claims the
//! directories that lead to its mount point.

use alloc::{
    collections::{BinaryHeap, VecDeque},
    vec::Vec,
};
use core::cmp::{Ordering, Reverse};

use plyos_layer_format::entry::{Entry, EntryKind, compare_paths};
use plyos_layer_format::stream::EPOCH;

use crate::rules::is_below;

/// Why entries could not be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError<E> {
    /// A layer's index could not be read.
    #[error("{0}")]
    Read(E),
    /// A layer's entries are not sorted: its index never passed the full check.
    #[error("cannot merge layer number {0} of the generation: its paths are not sorted; fetch it again")]
    Unsorted(usize),
}

/// What one layer has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Number of the layer.
    pub layer: usize,
    /// Number of the entry; `None` for a directory that only leads to the layer's mount point.
    pub ordinal: Option<u64>,
    /// The entry, its path that of the namespace.
    pub entry: Entry,
}

impl Claim {
    /// A claim to an entry of a layer whose root stands at `prefix`.
    pub fn to_entry(layer: usize, prefix: &[u8], ordinal: u64, mut entry: Entry) -> Self {
        entry.path = placed(prefix, entry.path);
        Self { layer, ordinal: Some(ordinal), entry }
    }

    /// A claim to a directory that only leads to the layer's mount point.
    pub fn to_directory(layer: usize, path: &[u8]) -> Self {
        Self { layer, ordinal: None, entry: synthetic_directory(path) }
    }
}

/// A directory that no layer describes: owned by root, mode 0755.
fn synthetic_directory(path: &[u8]) -> Entry {
    Entry {
        path: path.to_vec(),
        kind: EntryKind::Directory { descendants: 0 },
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: EPOCH,
        xattrs: Vec::new(),
    }
}

/// `path` of a layer's tree as a path of the namespace.
fn placed(prefix: &[u8], path: Vec<u8>) -> Vec<u8> {
    match (prefix, path.as_slice()) {
        ([], _) => path,
        (_, []) => prefix.to_vec(),
        _ => [prefix, b"/", &path].concat(),
    }
}

/// The proper ancestors of a path, the root first.
pub(crate) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let root = (!path.is_empty()).then_some(&[][..]);
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    root.into_iter().chain(slashes.filter_map(|(at, _)| path.get(..at)))
}

/// One layer's entries in index order, with their numbers.
pub(crate) trait EntrySource {
    /// Why an entry could not be read.
    type Error;

    /// The next entry; after an error, none.
    fn next_entry(&mut self) -> Option<Result<(u64, Entry), Self::Error>>;

    /// Passes over the `descendants` of the directory that was just handed out.
    fn skip_below(&mut self, descendants: u64) -> Result<(), Self::Error>;
}

/// Any iterator over all entries of a layer.
pub(crate) struct Iterated<I> {
    entries: I,
    next: u64,
}

impl<I> Iterated<I> {
    /// `entries` start with the root.
    pub const fn new(entries: I) -> Self {
        Self { entries, next: 0 }
    }
}

impl<I: Iterator<Item = Result<Entry, E>>, E> EntrySource for Iterated<I> {
    type Error = E;

    fn next_entry(&mut self) -> Option<Result<(u64, Entry), E>> {
        let entry = self.entries.next()?;
        let ordinal = self.next;
        self.next += 1;
        Some(entry.map(|entry| (ordinal, entry)))
    }

    fn skip_below(&mut self, descendants: u64) -> Result<(), E> {
        for _ in 0..descendants {
            let Some(entry) = self.next_entry() else { break };
            entry?;
        }
        Ok(())
    }
}

/// One layer's claims in path order.
pub(crate) struct LayerStream<I> {
    layer: usize,
    prefix: Vec<u8>,
    implied: VecDeque<Vec<u8>>,
    entries: Option<I>,
}

impl<I: EntrySource> LayerStream<I> {
    /// The claims of layer number `layer`, whose root stands at `prefix`.
    pub fn new(layer: usize, prefix: &[u8], entries: I) -> Self {
        let implied = ancestors(prefix).map(<[u8]>::to_vec).collect();
        Self { implied, ..Self::of_entries(layer, prefix, entries) }
    }

    /// Like [`Self::new`], without the directories that lead to `prefix`.
    pub fn of_entries(layer: usize, prefix: &[u8], entries: I) -> Self {
        Self { layer, prefix: prefix.to_vec(), implied: VecDeque::new(), entries: Some(entries) }
    }

    /// Claims to directories without any entry; `paths` are sorted.
    pub fn of_directories(layer: usize, paths: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { layer, prefix: Vec::new(), implied: paths.into_iter().collect(), entries: None }
    }

    fn next_claim(&mut self) -> Option<Result<Claim, I::Error>> {
        if let Some(path) = self.implied.pop_front() {
            return Some(Ok(Claim::to_directory(self.layer, &path)));
        }
        let entry = self.entries.as_mut()?.next_entry()?;
        Some(entry.map(|(ordinal, entry)| Claim::to_entry(self.layer, &self.prefix, ordinal, entry)))
    }

    /// Passes over what is below directory `path`, which was handed out last: of an entry with so many descendants, or
    /// one that only leads to the mount point.
    fn skip_below(&mut self, path: &[u8], descendants: Option<u64>) -> Result<(), I::Error> {
        while self.implied.front().is_some_and(|implied| is_below(implied, path)) {
            self.implied.pop_front();
        }
        match (descendants, &mut self.entries) {
            (Some(descendants), Some(entries)) => entries.skip_below(descendants)?,
            (None, Some(_)) if is_below(&self.prefix, path) => self.entries = None,
            _ => {}
        }
        Ok(())
    }
}

/// The next claim of stream number `stream`, ordered by path and then by layer.
struct Head {
    claim: Claim,
    stream: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_paths(&self.claim.entry.path, &other.claim.entry.path)
            .then(self.claim.layer.cmp(&other.claim.layer))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// All claims to one path, in layer order; never empty.
#[derive(Debug)]
pub(crate) struct Group {
    pub claims: Vec<Claim>,
}

/// The merge: groups of claims, one for each path, in path order.
pub(crate) struct Merge<I> {
    streams: Vec<LayerStream<I>>,
    heads: BinaryHeap<Reverse<Head>>,
    /// Streams whose claim was handed out and that have to be moved on.
    due: Vec<usize>,
    last: Option<Vec<u8>>,
    /// The streams that handed out a directory last, with how much is below it.
    directories: Vec<(usize, Option<u64>)>,
}

impl<I: EntrySource> Merge<I> {
    /// A merge of streams, of which each has its own layer number.
    pub fn new(streams: Vec<LayerStream<I>>) -> Self {
        let due = (0..streams.len()).collect();
        Self { streams, heads: BinaryHeap::new(), due, last: None, directories: Vec::new() }
    }

    /// The next path's claims; after an error, the merge is at its end.
    pub fn next_group(&mut self) -> Option<Result<Group, MergeError<I::Error>>> {
        let group = self.advance().transpose();
        if matches!(group, Some(Err(_))) {
            self.heads.clear();
            self.due.clear();
        }
        group
    }

    /// Passes over everything that is below the path handed out last, in whichever layers. Sound as long as their
    /// indexes were checked, so that their counts of descendants are right.
    pub fn skip_below(&mut self) -> Result<(), MergeError<I::Error>> {
        let Some(path) = &self.last else { return Ok(()) };
        for (stream, descendants) in self.directories.drain(..) {
            if let Some(stream) = self.streams.get_mut(stream) {
                stream.skip_below(path, descendants).map_err(MergeError::Read)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Group>, MergeError<I::Error>> {
        while let Some(stream) = self.due.pop() {
            if let Some(claim) = self.streams.get_mut(stream).and_then(LayerStream::next_claim) {
                self.heads.push(Reverse(Head { claim: claim.map_err(MergeError::Read)?, stream }));
            }
        }
        let Some(Reverse(first)) = self.heads.pop() else { return Ok(None) };
        let path = &first.claim.entry.path;
        // Paths come in strictly rising order as long as each stream does.
        if self.last.as_ref().is_some_and(|last| compare_paths(last, path).is_ge()) {
            return Err(MergeError::Unsorted(first.claim.layer));
        }
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(path);
        self.directories.clear();
        self.note(&first);
        let mut claims = alloc::vec![first.claim];
        while let Some(Reverse(next)) = self.heads.peek()
            && self.last.as_ref() == Some(&next.claim.entry.path)
        {
            let Some(Reverse(next)) = self.heads.pop() else { break };
            self.note(&next);
            claims.push(next.claim);
        }
        Ok(Some(Group { claims }))
    }

    /// Remembers what has to be done with the stream of a claim that is handed out.
    fn note(&mut self, head: &Head) {
        self.due.push(head.stream);
        if let EntryKind::Directory { descendants } = head.claim.entry.kind {
            self.directories.push((head.stream, head.claim.ordinal.map(|_| descendants)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{directory, file};
    use alloc::string::String;
    use core::convert::Infallible;

    fn stream(
        layer: usize,
        prefix: &str,
        entries: Vec<Entry>,
    ) -> LayerStream<Iterated<impl Iterator<Item = Result<Entry, Infallible>>>> {
        LayerStream::new(layer, prefix.as_bytes(), Iterated::new(entries.into_iter().map(Ok)))
    }

    fn text(path: &[u8]) -> String {
        String::from_utf8(path.to_vec()).unwrap()
    }

    #[test]
    fn claims_are_grouped_by_path_and_ordered_by_layer() {
        let one = stream(0, "", alloc::vec![directory(""), directory("a"), file("a/x", 1), file("b", 1)]);
        let two = stream(1, "a/m", alloc::vec![directory(""), file("y", 1)]);
        let mut merge = Merge::new(alloc::vec![one, two]);
        let mut found = Vec::new();
        while let Some(group) = merge.next_group() {
            for claim in group.unwrap().claims {
                found.push((text(&claim.entry.path), claim.layer, claim.ordinal));
            }
        }
        let expected: [(&str, usize, Option<u64>); 8] = [
            ("", 0, Some(0)),
            ("", 1, None),
            ("a", 0, Some(1)),
            ("a", 1, None),
            ("a/m", 1, Some(0)),
            ("a/m/y", 1, Some(1)),
            ("a/x", 0, Some(2)),
            ("b", 0, Some(3)),
        ];
        assert_eq!(found, expected.map(|(path, layer, ordinal)| (path.into(), layer, ordinal)));
    }

    #[test]
    fn unsorted_and_repeated_paths_end_the_merge() {
        for paths in [["b", "a"], ["a", "a"], ["a!", "a/x"]] {
            let mut merge = Merge::new(alloc::vec![stream(7, "", paths.map(|path| file(path, 1)).to_vec())]);
            assert!(merge.next_group().unwrap().is_ok());
            assert_eq!(merge.next_group().unwrap().err(), Some(MergeError::Unsorted(7)), "{paths:?}");
            assert!(merge.next_group().is_none());
        }
    }

    #[test]
    fn an_error_of_a_stream_is_passed_on_once() {
        let entries = [Ok(directory("")), Err("page 3"), Ok(file("a", 1))];
        let stream = LayerStream::new(0, b"", Iterated::new(entries.into_iter()));
        let mut merge = Merge::new(alloc::vec![stream]);
        assert!(merge.next_group().unwrap().is_ok());
        assert_eq!(merge.next_group().unwrap().err(), Some(MergeError::Read("page 3")));
        assert!(merge.next_group().is_none());
    }

    #[test]
    fn ancestors_of_a_path() {
        let of = |path: &str| ancestors(path.as_bytes()).map(text).collect::<Vec<_>>();
        assert_eq!(of(""), Vec::<String>::new());
        assert_eq!(of("a"), [""]);
        assert_eq!(of("a/b/c"), ["", "a", "a/b"]);
    }
}
