//! What an index says when it is whole: it reads back, in few pages, and changes little when the tree does.

use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::entry::{Entry, EntryKind, compare_paths};
use crate::pages::{PAGE_SIZE, Page, PageHashes, PageSource, SlicePages};
use crate::samples::{self, dir, file, hard_link, layer, symlink};
use crate::stream;

/// Reads an index back into what it was made of.
pub(super) fn input_of<S: PageSource>(index: &Index<S>) -> Result<IndexInput, IndexError> {
    let entries = index.entries().collect::<Result<Vec<_>, _>>()?;
    let mut header_offsets = Vec::new();
    let mut offset = 0u64;
    for entry in &entries {
        header_offsets.push(offset);
        let link = match entry.kind {
            EntryKind::HardLink { target } => Some(index.entry(target)?.path),
            _ => None,
        };
        // Wrapping: entries of an index that is only opened may claim any size.
        offset = offset.wrapping_add(stream::header_len(entry, link.as_deref()));
        offset = offset.wrapping_add(entry.size()).wrapping_add(stream::padding(entry.size()) as u64);
    }
    Ok(IndexInput {
        descriptor: index.descriptor().clone(),
        entries,
        header_offsets,
        chunks: index.chunks().collect::<Result<_, _>>()?,
        stream_len: index.header().stream_len,
        mtime_rule: index.header().mtime_rule,
    })
}

/// Everything that a reader can ask; errors are fine, panics are not.
pub(super) fn read_all<S: PageSource>(index: &Index<S>) {
    let _ = input_of(index);
    for ordinal in (0..index.entry_count().min(50)).chain([u64::MAX]) {
        let _ = index.children(ordinal).count();
        if let Ok(entry) = index.entry(ordinal) {
            let _ = index.lookup(&entry.path);
            let _ = index.inode(ordinal, &entry);
        }
    }
    for offset in [0, 1, 5_000, index.header().stream_len - 1, index.header().stream_len, u64::MAX] {
        let _ = index.chunk_at(offset);
    }
}

fn assert_reads_back(input: &IndexInput) {
    let bytes = emit(input).unwrap();
    let checked = check(&bytes, &Limits::default()).unwrap();
    assert_eq!(checked.id(), layer_id(&bytes));
    let opened = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), SlicePages(&bytes)).unwrap();
    assert_eq!(opened.entries().collect::<Result<Vec<_>, _>>().unwrap(), input.entries);
    assert_eq!(opened.chunks().collect::<Result<Vec<_>, _>>().unwrap(), input.chunks);
    assert_eq!(emit(&input_of(&checked).unwrap()).unwrap(), bytes);
    for (ordinal, entry) in (0u64..).zip(&input.entries) {
        assert_eq!(&opened.entry(ordinal).unwrap(), entry);
        assert_eq!(opened.lookup(&entry.path).unwrap(), Some((ordinal, entry.clone())));
        let mut absent = entry.path.clone();
        absent.push(b'0');
        let expected = input.entries.iter().position(|entry| entry.path == absent);
        assert_eq!(opened.lookup(&absent).unwrap().map(|found| found.0), expected.map(|at| at as u64));
        let children: Vec<(u64, Entry)> = opened.children(ordinal).collect::<Result<_, _>>().unwrap();
        assert_eq!(children, children_of(input, entry));
        for name in children.iter().take(3).map(|(_, child)| child.name()).chain([&b"d"[..], b"\xff", b""]) {
            let rest = opened.children_after(ordinal, name).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            let expected = children.iter().filter(|(_, child)| child.name() > name).cloned();
            assert_eq!(rest, expected.collect::<Vec<_>>(), "after {name:?}");
        }
        let mut entries = opened.entries();
        assert!(entries.next().is_some());
        entries.skip_to(ordinal.max(1));
        let expected =
            input.entries.get(ordinal.max(1) as usize).map(|entry| (ordinal.max(1), entry.clone()));
        assert_eq!(entries.next_numbered().transpose().unwrap(), expected);
    }
    let mut start = 0;
    for (ordinal, chunk) in (0u64..).zip(&input.chunks) {
        let last = start + u64::from(chunk.length) - 1;
        assert_eq!(opened.chunk_at(start).unwrap(), (ordinal, start, *chunk));
        assert_eq!(opened.chunk_at(last).unwrap(), (ordinal, start, *chunk));
        let mut rest = opened.chunks_from(last).unwrap();
        assert_eq!(rest.next_placed().unwrap().unwrap(), (ordinal, start, *chunk));
        assert_eq!(rest.count(), input.chunks.len() - ordinal as usize - 1);
        start = last + 1;
    }
    assert!(matches!(opened.chunk_at(start), Err(IndexError::Beyond { .. })));
    assert!(matches!(opened.entry(input.entries.len() as u64), Err(IndexError::Beyond { .. })));
}

fn children_of(input: &IndexInput, parent: &Entry) -> Vec<(u64, Entry)> {
    if !parent.is_directory() {
        return Vec::new();
    }
    let base = if parent.path.is_empty() { vec![] } else { [&parent.path[..], b"/"].concat() };
    let is_child = |entry: &Entry| {
        entry.path.strip_prefix(&base[..]).is_some_and(|name| !name.is_empty() && !name.contains(&b'/'))
    };
    let numbered = (0u64..).zip(input.entries.iter().cloned());
    numbered.filter(|(_, entry)| is_child(entry)).collect()
}

#[test]
fn every_kind_of_entry_reads_back() {
    assert_reads_back(&samples::everything());
}

#[test]
fn an_empty_tree_reads_back() {
    let input = layer(vec![dir("")]);
    assert_reads_back(&input);
    let bytes = emit(&input).unwrap();
    assert_eq!(bytes.len(), 3 * PAGE_SIZE);
    assert_eq!(check(&bytes, &Limits::default()).unwrap().header().stream_len, 512 + 1_024);
}

#[test]
fn several_pages_read_back() {
    assert_reads_back(&samples::many(900, 40));
}

#[test]
fn kept_mtimes_need_their_rule() {
    let mut input = layer(vec![dir(""), Entry { mtime: 5, ..file("a", 1) }]);
    let refused = emit(&input);
    assert!(matches!(
        refused,
        Err(IndexError::Entry { ordinal: 1, problem: stream::EntryError::MtimeRule, .. })
    ));
    input.mtime_rule = MtimeRule::Kept;
    assert_reads_back(&input);
}

#[test]
fn inodes_are_shared_by_hard_links_alone() {
    let input = layer(vec![dir(""), file("a", 1), hard_link("b", 1), symlink("c", "a")]);
    let bytes = emit(&input).unwrap();
    let index = check(&bytes, &Limits::default()).unwrap();
    let inodes: Vec<u64> =
        (0..4).map(|ordinal| index.inode(ordinal, &index.entry(ordinal).unwrap())).collect();
    assert_eq!(inodes, [1, 2, 2, 4]);
}

/// Counts the pages that are read.
struct Counting<'a> {
    bytes: &'a [u8],
    reads: RefCell<Vec<u32>>,
}

impl PageSource for &Counting<'_> {
    type Error = crate::pages::PageBeyondEnd;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), Self::Error> {
        self.reads.borrow_mut().push(page);
        SlicePages(self.bytes).read_page(page, out)
    }
}

#[test]
fn few_pages_are_read_and_none_twice() {
    let input = samples::many(20_000, 10_000);
    let bytes = emit(&input).unwrap();
    let source = Counting { bytes: &bytes, reads: RefCell::default() };
    let index = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), &source).unwrap();
    assert_eq!(source.reads.take(), [0], "the head alone");
    let pages = index.header().entry_pages;
    assert!(pages > 60, "{pages}");
    let reads = |what: &str, most: usize| {
        let reads = source.reads.take();
        let once: BTreeSet<u32> = reads.iter().copied().collect();
        assert!(reads.len() == once.len() && reads.len() <= most, "{what}: {reads:?}");
    };
    for entry in input.entries.iter().step_by(997) {
        assert!(index.lookup(&entry.path).unwrap().is_some());
        reads("lookup", pages.ilog2() as usize + 1);
    }
    index.entry(15_000).unwrap();
    reads("entry", 1);
    assert_eq!(index.children(0).count(), 2);
    reads("children of the root", 2);
    index.entries().for_each(drop);
    reads("all entries", pages as usize);
}

#[test]
fn a_source_that_keeps_pages_is_asked_once() {
    struct Keeping<'a>(Counting<'a>, RefCell<BTreeMap<u32, alloc::sync::Arc<Page>>>);
    impl PageSource for &Keeping<'_> {
        type Error = crate::pages::PageBeyondEnd;
        fn read_page(&self, page: u32, out: &mut Page) -> Result<(), Self::Error> {
            (&self.0).read_page(page, out)
        }
        fn kept(&self, page: u32) -> Option<alloc::sync::Arc<Page>> {
            self.1.borrow().get(&page).cloned()
        }
        fn keep(&self, page: u32, bytes: &alloc::sync::Arc<Page>) {
            self.1.borrow_mut().insert(page, bytes.clone());
        }
    }
    let bytes = emit(&samples::many(900, 40)).unwrap();
    let source = Keeping(Counting { bytes: &bytes, reads: RefCell::default() }, RefCell::default());
    let index = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), &source).unwrap();
    read_all(&index);
    let reads = source.0.reads.take();
    assert_eq!(reads.len(), reads.iter().collect::<BTreeSet<_>>().len());
}

#[test]
fn a_page_with_another_byte_is_refused_when_it_is_read() {
    let bytes = emit(&samples::many(900, 40)).unwrap();
    let (id, hashes) = (layer_id(&bytes), PageHashes::compute(&bytes));
    let mut damaged = bytes.clone();
    *damaged.get_mut(PAGE_SIZE + 5_000).unwrap() ^= 1;
    let index = Index::open(id, hashes.clone(), SlicePages(&damaged)).unwrap();
    assert_eq!(index.entry(0), Err(IndexError::Hash { page: 1 }));
    assert!(index.entry(899).is_ok(), "other pages still read");
    *damaged.get_mut(200).unwrap() ^= 1;
    assert_eq!(
        Index::open(id, hashes.clone(), SlicePages(&damaged)).unwrap_err(),
        IndexError::Hash { page: 0 }
    );
    let other = PageHashes::compute(&damaged);
    assert_eq!(Index::open(id, other, SlicePages(&damaged)).unwrap_err(), IndexError::Root);
    let short = Index::open(id, hashes, SlicePages(&bytes[..2 * PAGE_SIZE])).unwrap();
    assert!(matches!(short.entry(899), Err(IndexError::Read { .. })));
}

#[test]
fn an_insertion_leaves_most_pages_equal() {
    let before = emit(&samples::many(6_000, 100)).unwrap();
    let mut entries = samples::many(6_000, 100).entries;
    entries.push(file("directory-000010/file-00001000.txt~", 5));
    entries.sort_by(|a, b| compare_paths(&a.path, &b.path));
    let after = emit(&layer(entries)).unwrap();
    let pages = |bytes: &[u8]| {
        let index = check(bytes, &Limits::default()).unwrap();
        let head = *index.header();
        let from = head.head_pages as usize * PAGE_SIZE;
        let to = from + head.entry_pages as usize * PAGE_SIZE;
        bytes[from..to].chunks(PAGE_SIZE).map(<[u8]>::to_vec).collect::<BTreeSet<_>>()
    };
    let (before, after) = (pages(&before), pages(&after));
    let new = after.difference(&before).count();
    assert!(before.len() > 20 && new <= 4, "{new} of {} pages are new", after.len());
}

#[test]
fn pages_end_just_where_the_format_page_says() {
    // Numbers and rule are spelt out again here: writer and reader share them, so they could change together unseen.
    let mut entries = samples::many(1_500, 100).entries;
    let records = entries.iter_mut().filter(|entry| !entry.is_directory());
    for (number, entry) in records.enumerate().skip(700) {
        entry.xattrs = vec![samples::xattr("user.filler", &vec![7; (number * 37) % 900])];
    }
    let bytes = emit(&layer(entries)).unwrap();
    let index = check(&bytes, &Limits::default()).unwrap();
    let (mut by_hash, mut full) = (0, 0);
    let mut before: Option<(usize, Vec<u8>)> = None;
    for page in 0..index.entry_run.len() {
        let mut walk = index.entry_page(page).unwrap();
        let mut is_first = true;
        while let Some(step) = walk.advance().unwrap() {
            let key = blake3::hash(step.path).as_bytes()[0];
            if let Some((used, last)) = before.take_if(|_| is_first) {
                let shared = last.iter().zip(step.path).take_while(|(a, b)| a == b).count();
                let xattrs: usize =
                    step.record.xattrs().map(|(name, value)| 4 + name.len() + value.len()).sum();
                let fits = used + 48 + step.path.len() - shared + xattrs <= 16_384;
                assert!(!fits || (used >= 8_192 && key < 16), "page {page}");
                *(if fits { &mut by_hash } else { &mut full }) += 1;
            }
            assert!(is_first || step.at < 8_192 || key >= 16, "page {page}");
            is_first = false;
        }
        before = Some((walk.used(), walk.path().to_vec()));
    }
    assert!(by_hash > 3 && full > 3, "{by_hash} {full}");
}

#[test]
fn paths_that_expand_far_are_checked() {
    // 300 entries of 4 KiB paths in some pages: prefix compression at its most.
    let mut entries = vec![dir("")];
    let mut path = Vec::new();
    for depth in 0..15 {
        path.extend_from_slice(&[b'a' + depth; 250]);
        entries.push(dir(&path));
        path.push(b'/');
    }
    for number in 0..300 {
        entries.push(file([&path[..], alloc::format!("{number:03}").as_bytes()].concat(), 1));
    }
    assert_reads_back(&layer(entries));
}

/// Trees of a few names, so that siblings, prefixes and depth all come up.
fn trees() -> impl Strategy<Value = IndexInput> {
    let component = prop_oneof!["[ab!é]{1,3}", "x{100,120}"];
    let path = prop::collection::vec(component, 1..4).prop_map(|parts| parts.join("/").into_bytes());
    let kind = (0u8..6, 0u64..3_000, 0u32..3_000_000, prop::collection::vec(any::<u8>(), 0..90));
    prop::collection::btree_map(path, kind, 0..40).prop_map(|paths| {
        let parents: BTreeSet<Vec<u8>> = paths
            .keys()
            .flat_map(|path| (0..path.len()).filter(|at| path[*at] == b'/').map(|at| path[..at].to_vec()))
            .collect();
        let mut entries = vec![dir("")];
        entries.extend(parents.iter().map(dir));
        for (path, (kind, size, id, value)) in paths.iter().filter(|(path, _)| !parents.contains(*path)) {
            let entry = match kind {
                0 => dir(path),
                1 => symlink(
                    path,
                    [b"t".as_slice(), &value.iter().map(|b| b | 1).collect::<Vec<_>>()].concat(),
                ),
                2 => samples::entry(path, EntryKind::CharDevice { major: *id / 2, minor: 7 }),
                3 => Entry { xattrs: vec![samples::xattr("user.é", value)], ..file(path, *size) },
                _ => Entry { uid: *id, mtime: stream::EPOCH + i64::from(*id), ..file(path, *size) },
            };
            entries.push(entry);
        }
        entries.sort_by(|a, b| compare_paths(&a.path, &b.path));
        // Some files get a second name after the last entry.
        let linked: Vec<u64> = (0u64..)
            .zip(&entries)
            .filter(|(_, entry)| matches!(entry.kind, EntryKind::File { size, .. } if size % 3 == 0))
            .map(|(ordinal, _)| ordinal)
            .collect();
        for (number, target) in linked.into_iter().enumerate() {
            let first = entries[target as usize].clone();
            let path = alloc::format!("\u{10ffff}{number:03}").into_bytes();
            let kind = EntryKind::HardLink { target };
            entries.push(Entry { path, kind, xattrs: Vec::new(), ..first });
        }
        layer(entries)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn trees_read_back(input in trees()) {
        assert_reads_back(&input);
        samples::stream(&input);
    }

    #[test]
    fn mutants_are_refused_or_canonical(
        input in trees(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = emit(&input).unwrap();
        // Most bytes are zeroes at the end of pages; those in use are what matters.
        let used: Vec<usize> = (0..bytes.len()).filter(|at| at % PAGE_SIZE < 2_000).collect();
        for (at, value) in edits {
            bytes[used[at.index(used.len())]] = value;
        }
        match check(&bytes, &Limits::default()) {
            Ok(index) => prop_assert_eq!(emit(&input_of(&index).unwrap()).unwrap(), bytes),
            Err(_) => {
                // Who only opens it meets the same bytes with good hashes.
                if let Ok(index) = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), SlicePages(&bytes)) {
                    read_all(&index);
                }
            }
        }
    }

    #[test]
    fn arbitrary_pages_do_not_panic(seed in prop::collection::vec(any::<u8>(), 1..300), pages in 1usize..4) {
        let mut bytes: Vec<u8> = seed.iter().copied().cycle().take(pages * PAGE_SIZE).collect();
        prop_assert!(check(&bytes, &Limits::default()).is_err());
        let good = emit(&layer(vec![dir("")])).unwrap();
        bytes[..32].copy_from_slice(&good[..32]);
        let _ = check(&bytes, &Limits::default());
    }
}
