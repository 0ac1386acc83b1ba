//! Slices of files, and conflicts decided by content.

use alloc::vec;

use super::*;
use crate::{
    conflicts::{Conflicts, FileClaim},
    samples::index::{build, text},
};

/// Bytes that no two `seed`s share.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A file's bytes, put together from the slices as a reader of chunks would.
fn read(namespace: &Namespace<Memory>, built: &[Built], path: &str, range: core::ops::Range<u64>) -> Vec<u8> {
    let found = namespace.lookup(path.as_bytes()).unwrap().unwrap();
    let layer = found.source.unwrap().layer;
    let mut content = Vec::new();
    for slice in namespace.slices_in(layer, &found.entry, range).unwrap() {
        let slice = slice.unwrap();
        let lengths = namespace.layers()[layer].index.chunks().map(|chunk| chunk.unwrap().length as usize);
        let start: usize = lengths.take(slice.ordinal as usize).sum();
        let chunk = &built[layer].stream[start..start + slice.chunk.length as usize];
        assert_eq!(blake3::hash(chunk).as_bytes(), slice.chunk.id.as_bytes());
        assert!(!slice.range.is_empty());
        content.extend(&chunk[slice.range.start as usize..slice.range.end as usize]);
    }
    content
}

#[test]
fn slices_put_together_are_the_file() {
    let large = noise(1, 200_000);
    let files = [
        ("a", Node::File(noise(2, 5_000))),
        ("b", text("")),
        ("c", Node::HardLink("a".into())),
        ("d", Node::File(large.clone())),
        ("e", text("x")),
    ];
    for cut in [700, 4096, 65_536] {
        let built = [build(Kind::Site, "docs", &[], &files, cut)];
        let namespace = Namespace::new(built.iter().map(Built::open).collect());
        let whole = |path: &str| read(&namespace, &built, path, 0..u64::MAX);
        assert_eq!(whole("www/docs/a"), noise(2, 5_000));
        assert_eq!(whole("www/docs/b"), b"");
        assert_eq!(whole("www/docs/c"), noise(2, 5_000), "a hard link has the content of its first path");
        assert_eq!(whole("www/docs/d"), large);
        assert_eq!(whole("www/docs/e"), b"x");
        for range in
            [0..1, 0..0, 699..701, 4_095..4_097, 150_000..200_000, 199_999..u64::MAX, 200_000..300_000]
        {
            let end = range.end.min(200_000) as usize;
            let expected = large.get(range.start as usize..end).unwrap_or_default();
            assert_eq!(read(&namespace, &built, "www/docs/d", range.clone()), expected, "{range:?}");
        }
    }
}

#[test]
fn what_is_no_file_has_no_slices() {
    let namespace = namespace(&[(Kind::Site, "docs", &[("a", text("x"))])]);
    let directory = namespace.lookup(b"www/docs").unwrap().unwrap();
    assert_eq!(namespace.slices(0, &directory.entry).unwrap().count(), 0);
    assert!(matches!(namespace.slices(1, &directory.entry), Err(NamespaceError::NoLayer(1))));
}

#[test]
fn a_slice_beyond_the_stream_is_an_error_and_no_short_file() {
    let namespace = namespace(&[(Kind::Site, "docs", &[("a", text("x"))])]);
    let mut entry = namespace.lookup(b"www/docs/a").unwrap().unwrap().entry;
    for (size, data_offset) in [(1 << 40, 512), (1, 1 << 40), (u64::MAX, u64::MAX - 1)] {
        entry.kind = plyos_layer_format::entry::EntryKind::File { size, data_offset, links: 1 };
        let failed = match namespace.slices(0, &entry) {
            Err(_) => true,
            Ok(mut slices) => slices.any(|slice| slice.is_err()),
        };
        assert!(failed, "{size} {data_offset}");
    }
}

/// Conflicts of two packages, with how often the comparer was asked; it says `same`.
fn between(a: &[(&str, Node)], b: &[(&str, Node)], same: bool) -> (Conflicts, usize) {
    let built = [build(Kind::Package, "a", &[], a, 4096), build(Kind::Package, "b", &[], b, 4096)];
    let namespace = Namespace::new(built.iter().map(Built::open).collect());
    let mut asked = 0;
    let compare = |_: FileClaim<'_>, _: FileClaim<'_>| {
        asked += 1;
        Ok::<_, NamespaceError>(same)
    };
    let found = namespace.conflicts(compare).unwrap();
    (found, asked)
}

#[test]
fn large_files_are_compared_by_their_chunks() {
    let file = |seed| [("usr/lib/model", Node::File(noise(seed, 100_000)))];
    let (equal, asked) = between(&file(1), &[("usr/a", text("shifts it")), file(1)[0].clone()], false);
    assert_eq!((equal.total, asked), (0, 0));
    let (different, asked) = between(&file(1), &file(2), true);
    assert_eq!((different.total, asked), (1, 0));
    let mut nearly = noise(1, 100_000);
    nearly[99_999] ^= 1;
    assert_eq!(between(&file(1), &[("usr/lib/model", Node::File(nearly))], true).0.total, 1);
}

#[test]
fn small_files_are_left_to_the_comparer() {
    let small = |content: &str| [("usr/x", text("neighbour")), ("usr/y", text(content))];
    let alone = [("usr/y", text("same"))];
    assert_eq!(between(&small("same"), &alone, true), (Conflicts::default(), 1));
    assert_eq!(between(&small("same"), &alone, false).0.listed[0].path, b"usr/y");
    let (same_chunks, asked) = between(&alone, &alone, false);
    assert_eq!((same_chunks.total, asked), (0, 0), "the same chunk at the same place");
    let (other_size, asked) = between(&alone, &[("usr/y", text("longer"))], true);
    assert_eq!((other_size.total, asked), (1, 0));
    assert_eq!(
        between(&[("usr/y", text(""))], &[("usr/a", text("z")), ("usr/y", text(""))], false).1,
        0,
        "nothing is nothing"
    );
}

#[test]
fn hard_links_are_compared_by_what_they_link_to() {
    let linked = [("usr/a", Node::File(noise(1, 70_000))), ("usr/both", Node::HardLink("usr/a".into()))];
    let plain = |seed| [("usr/both", Node::File(noise(seed, 70_000)))];
    assert_eq!(between(&linked, &plain(1), false).0.total, 0);
    assert_eq!(between(&linked, &plain(2), true).0.total, 1);
    assert_eq!(between(&linked, &[("usr/both", Node::File(noise(1, 69_999)))], true).0.total, 1);
}

#[test]
fn attributes_of_hard_links_are_those_of_their_first_path() {
    let tagged = |value: &str| {
        [("usr/a", Node::Tagged(value.as_bytes().to_vec())), ("usr/both", Node::HardLink("usr/a".into()))]
    };
    let plain = |value: &str| [("usr/both", Node::Tagged(value.as_bytes().to_vec()))];
    assert_eq!(between(&tagged("x"), &plain("x"), false).0.total, 0);
    assert_eq!(between(&tagged("x"), &plain("y"), true).0.total, 1);
}

#[test]
fn file_whose_content_is_its_own_header() {
    // In one layer the file is the header block, followed by zeroes; in the other it is those zeroes after its header. Both are in
    // one and the same chunk: only the place inside it tells them apart.
    let mut file = crate::samples::file("usr/x", 512);
    file.mtime = plyos_layer_format::stream::EPOCH;
    let header = plyos_layer_format::stream::header(&file, None);
    assert_eq!(header.len(), 512);
    let built = [
        build(Kind::Package, "a", &[], &[("usr/a", text("")), ("usr/x", Node::File(header))], 1024),
        build(Kind::Package, "b", &[], &[("usr/x", Node::File(vec![0; 512]))], 1024),
    ];
    let namespace = Namespace::new(built.iter().map(Built::open).collect());
    let chunk = |layer: usize| {
        let index = &namespace.layers()[layer].index;
        let (_, entry) = index.lookup(b"usr/x").unwrap().unwrap();
        namespace.slices(layer, &entry).unwrap().map(|slice| slice.unwrap().chunk.id).collect::<Vec<_>>()
    };
    assert_eq!(chunk(0), chunk(1));
    assert_eq!(namespace.conflicts(|_, _| Ok::<_, NamespaceError>(false)).unwrap().total, 1);
}
