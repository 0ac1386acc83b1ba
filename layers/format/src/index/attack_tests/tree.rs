//! Entries that are no tree, leave it, or lie about their content.

use alloc::vec::Vec;

use plyos_bytemap::put;

use super::*;
use crate::samples::{entry, hard_link, symlink};
use crate::stream::NameError;

#[test]
fn paths_that_leave_the_tree_or_tools_would_misread() {
    for (path, error) in [
        (&b"/etc"[..], NameError::Empty),
        (b"..", NameError::Dots),
        (b".", NameError::Dots),
        (b"a/../b", NameError::Dots),
        (b"a//b", NameError::Empty),
        (b"a/", NameError::Empty),
        (b"a\0b", NameError::Nul),
        (b".wh.a", NameError::Whiteout),
        (&[b'n'; 256], NameError::ComponentTooLong),
    ] {
        assert_eq!(of_tree(vec![dir(""), file(path, 1)]), Some((1, EntryError::Path(error))), "{path:?}");
        let below = [b"d/", path].concat();
        assert_eq!(
            of_tree(vec![dir(""), dir("d"), file(below, 1)]),
            Some((2, EntryError::Path(error))),
            "{path:?}"
        );
    }
}

#[test]
fn path_of_4096_bytes() {
    let mut entries = vec![dir("")];
    let mut path = Vec::new();
    for _ in 0..16 {
        path.extend_from_slice(&[b'p'; 255]);
        entries.push(dir(&path));
        path.push(b'/');
    }
    entries.pop();
    path.truncate(16 * 256 - 1);
    assert_eq!(path.len(), 4_095);
    let last = |path: &[u8]| {
        let mut entries = entries.clone();
        entries.push(file(path, 1));
        layer(entries)
    };
    assert_eq!(verdict(&assemble(&last(&path)).unwrap()), None);
    path.push(b'p');
    assert_eq!(problem(&last(&path)), Some((16, EntryError::Path(NameError::PathTooLong))));
}

#[test]
fn path_of_256_components() {
    let path = |depth: usize| b"a/".repeat(depth)[..2 * depth - 1].to_vec();
    let mut entries = vec![dir("")];
    entries.extend((1..=255).map(|depth| dir(path(depth))));
    assert_eq!(verdict(&assemble(&layer(entries.clone())).unwrap()), None);
    entries.push(dir(path(256)));
    assert_eq!(of_tree(entries), Some((256, EntryError::Path(NameError::TooDeep))));
}

#[test]
fn unsorted_and_duplicate_paths() {
    assert_eq!(of_tree(vec![dir(""), file("b", 1), file("a", 1)]), Some((2, EntryError::Unsorted)));
    assert_eq!(of_tree(vec![dir(""), file("a", 1), file("a", 2)]), Some((2, EntryError::Duplicate)));
    // `a-` is before `a/b` as bytes, but not component by component.
    let mut bytewise = layer(vec![dir(""), dir("a"), file("a-", 1), file("a/b", 1)]);
    bytewise.entries[1].kind = EntryKind::Directory { descendants: 0 };
    assert_eq!(problem(&bytewise), Some((3, EntryError::Unsorted)));
    assert_eq!(of_tree(vec![dir(""), file("a", 1), dir("a")]), Some((2, EntryError::Duplicate)));
}

#[test]
fn unsorted_and_duplicate_paths_across_pages() {
    let input = many(900, 1_000);
    let bytes = assemble(&input).unwrap();
    let second = directory_of(&bytes, 1);
    // The first record of a page has its whole path, and all paths here are of one length.
    let at = 2 * PAGE_SIZE + page_header::SIZE + layouts::entry::SIZE;
    let renamed = |ordinal: u64| {
        let mut bytes = bytes.clone();
        let path = &input.entries[ordinal as usize].path;
        bytes[at..at + path.len()].copy_from_slice(path);
        match verdict(&bytes) {
            Some(IndexError::Entry { ordinal, problem, .. }) => Some((ordinal, problem)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(renamed(second - 1), Some((second, EntryError::Duplicate)));
    assert_eq!(renamed(second - 2), Some((second, EntryError::Unsorted)));
}

#[test]
fn root_missing_or_twice_or_no_directory() {
    assert_eq!(of_tree(vec![dir("a")]), Some((0, EntryError::Root)));
    assert_eq!(of_tree(vec![file("", 1)]), Some((0, EntryError::Root)));
    assert_eq!(of_tree(vec![dir(""), dir("")]), Some((1, EntryError::Duplicate)));
}

#[test]
fn parent_missing_or_a_file_or_a_symbolic_link() {
    assert_eq!(of_tree(vec![dir(""), file("a/b", 1)]), Some((1, EntryError::Parent)));
    assert_eq!(of_tree(vec![dir(""), dir("a"), file("a/b/c", 1)]), Some((2, EntryError::Parent)));
    assert_eq!(of_tree(vec![dir(""), file("a", 1), file("a/b", 1)]), Some((2, EntryError::Parent)));
    assert_eq!(
        of_tree(vec![dir(""), symlink("a", "/etc"), file("a/passwd", 1)]),
        Some((2, EntryError::Parent))
    );
    assert_eq!(of_tree(vec![dir(""), dir("a"), file("ab/c", 1)]), Some((2, EntryError::Parent)));
}

#[test]
fn wrong_counts_of_descendants() {
    let count = |ordinal: usize, descendants: u64| {
        let mut input =
            layer(vec![dir(""), dir("a"), file("a/b", 1), dir("c"), dir("c/d"), file("c/d/e", 1)]);
        input.entries[ordinal].kind = EntryKind::Directory { descendants };
        problem(&input).map(|(_, problem)| problem)
    };
    for (ordinal, descendants) in
        [(0, 4), (0, 6), (0, u64::MAX), (1, 0), (1, 2), (1, u64::MAX), (3, 1), (3, 3), (4, 0), (4, 2)]
    {
        assert_eq!(count(ordinal, descendants), Some(EntryError::Descendants), "{ordinal} {descendants}");
    }
    // A directory that claims the file after it.
    let mut input = good();
    input.entries[1].kind = EntryKind::Directory { descendants: 2 };
    assert_eq!(problem(&input), Some((3, EntryError::Descendants)));
}

#[test]
fn hard_links_that_are_none() {
    let base = || vec![dir(""), file("a", 1), dir("d"), symlink("e", "a")];
    let linked = |target: u64| {
        let mut entries = base();
        entries.push(hard_link("l", target));
        of_tree(entries)
    };
    for (what, target) in [("root", 0), ("directory", 2), ("symbolic link", 3)] {
        assert_eq!(linked(target), Some((4, EntryError::HardLinkTarget)), "{what}");
    }
    let mut to_link = base();
    to_link.extend([hard_link("l", 1), hard_link("m", 4)]);
    assert_eq!(of_tree(to_link), Some((5, EntryError::HardLinkTarget)));
}

#[test]
fn hard_link_forward_or_onto_itself() {
    let mut entries = vec![dir(""), file("a", 1)];
    entries.push(hard_link("l", 1));
    let bytes = emit(&layer(entries)).unwrap();
    // How far back: 0 is itself, 3 is before the root. Forward cannot be said at all.
    for back in [0u32, 3, u32::MAX] {
        let mut bytes = bytes.clone();
        let at = PAGE_SIZE + page_header::SIZE + (48 + 1) + 48;
        assert_eq!(bytes[at], 4, "record of `l`");
        put(&mut bytes[at..], layouts::entry::LINK, &back.to_le_bytes());
        assert!(matches!(verdict(&bytes), Some(IndexError::Entry { ordinal: 2, .. })), "{back}");
    }
    let mut forward = layer(vec![dir(""), hard_link("a", 2), file("b", 1)]);
    forward.entries[2].kind = EntryKind::File { size: 1, data_offset: 0, links: 2 };
    assert!(matches!(
        assemble(&forward),
        Err(IndexError::Entry { ordinal: 1, problem: EntryError::HardLinkTarget, .. })
    ));
}

#[test]
fn wrong_counts_of_names() {
    for (links, expected) in
        [(1, EntryError::HardLinkTarget), (2, EntryError::LinkCount), (4, EntryError::LinkCount)]
    {
        let mut input = layer(vec![dir(""), file("a", 1), hard_link("b", 1), hard_link("c", 1)]);
        let EntryKind::File { size, data_offset, .. } = input.entries[1].kind else { panic!("no file") };
        input.entries[1].kind = EntryKind::File { size, data_offset, links };
        assert_eq!(problem(&input).map(|(_, problem)| problem), Some(expected), "{links}");
    }
}

#[test]
fn hard_link_with_other_rights_than_its_first_path() {
    for differing in [
        Entry { mode: 0o4755, ..hard_link("b", 1) },
        Entry { uid: 1, ..hard_link("b", 1) },
        Entry { gid: 1, ..hard_link("b", 1) },
        Entry { mtime: crate::stream::EPOCH + 1, ..hard_link("b", 1) },
    ] {
        assert_eq!(of_tree(vec![dir(""), file("a", 1), differing]), Some((2, EntryError::HardLinkDiffers)));
    }
}

#[test]
fn slices_outside_the_stream_or_over_each_other() {
    let place = |size: u64, data_offset: u64| {
        let mut input = good();
        input.entries[2].kind = EntryKind::File { size, data_offset, links: 1 };
        problem(&input).map(|(_, problem)| problem)
    };
    let EntryKind::File { data_offset, .. } = good().entries[2].kind else { panic!("no file") };
    for (what, size, offset) in [
        ("beyond the end", 600, 1 << 40),
        ("over its own header", 600, data_offset - 512),
        ("over the file after it", 2_000, data_offset),
        ("not at a block", 600, data_offset + 1),
    ] {
        assert_eq!(place(size, offset), Some(EntryError::Slice), "{what}");
    }
    let mut input = good();
    input.entries[2].kind = EntryKind::File { size: u64::MAX, data_offset, links: 1 };
    let longer = verdict(&assemble(&input).unwrap());
    assert_eq!(longer, Some(IndexError::Header("its stream length")), "a file longer than the stream");
}

/// No field is signed: what was written as a negative size reads as more bytes than any stream has.
#[test]
fn negative_sizes() {
    for size in [-1i64, -512, i64::MIN] {
        let mut bytes = emit(&good()).unwrap();
        let at = PAGE_SIZE + page_header::SIZE + 48 + 49;
        assert_eq!(bytes[at], 2, "record of `a/b`");
        put(&mut bytes[at..], layouts::entry::CONTENT_SIZE, &size.to_le_bytes());
        let refused = verdict(&bytes);
        let slice =
            matches!(&refused, Some(IndexError::Entry { ordinal: 2 | 3, problem: EntryError::Slice, .. }));
        assert!(slice, "{size}: {refused:?}");
    }
}

/// A million names of nothing: 512 bytes each of a stream that compresses to little. They are a layer, taken in one pass
/// and bounded by who takes it.
#[test]
fn millions_of_empty_files() {
    const FILES: u64 = 1_000_000;
    let mut entries = vec![dir("")];
    entries.extend((0..FILES).map(|number| file(alloc::format!("{number:07}"), 0)));
    entries[0].kind = EntryKind::Directory { descendants: FILES };
    for (ordinal, entry) in (0u64..).zip(&mut entries).skip(1) {
        entry.kind = EntryKind::File { size: 0, data_offset: (ordinal + 1) * 512, links: 1 };
    }
    let stream_len = (FILES + 1) * 512 + 1_024;
    let chunk = |at: u64| Chunk {
        id: plyos_ids::ChunkId::from_bytes(*blake3::hash(&at.to_le_bytes()).as_bytes()),
        length: (stream_len - at).min(1 << 20) as u32,
    };
    let input = IndexInput {
        header_offsets: (0..=FILES).map(|ordinal| ordinal * 512).collect(),
        chunks: (0..stream_len).step_by(1 << 20).map(chunk).collect(),
        entries,
        stream_len,
        ..good()
    };
    let bytes = assemble(&input).unwrap();
    drop(input);
    let of = |entries: u64| check(&bytes, &Limits { entries, ..Limits::default() });
    assert_eq!(of(FILES + 1).unwrap().entry_count(), FILES + 1);
    assert!(of(FILES).is_err(), "more entries than the reader takes");
    let index = of(FILES + 1).unwrap();
    assert_eq!(index.lookup(b"0999999").unwrap().unwrap().0, FILES);
}

#[test]
fn header_offsets_that_the_entries_do_not_give() {
    let mut input = many(900, 1_000);
    for offset in &mut input.header_offsets {
        *offset = offset.saturating_sub(512);
    }
    assert!(matches!(problem(&input), Some((_, EntryError::Slice))));
}

#[test]
fn attributes_out_of_order_or_forbidden() {
    let with_names = |names: &[&[u8]]| {
        let xattrs = names.iter().map(|name| crate::entry::Xattr { name: name.to_vec(), value: vec![1] });
        of_tree(vec![dir(""), Entry { xattrs: xattrs.collect(), ..file("a", 1) }])
    };
    for (names, error) in [
        (&[b"user.b".as_slice(), b"user.a"][..], EntryError::Xattrs),
        (&[b"user.a", b"user.a"], EntryError::Xattrs),
        (&[b"trusted.overlay.redirect"], EntryError::XattrOverlay),
        (&[b""], EntryError::XattrName),
        (&[b"user.a=b"], EntryError::XattrName),
    ] {
        assert_eq!(with_names(names), Some((1, error)), "{names:?}");
    }
    let linked = Entry { xattrs: vec![crate::samples::xattr("user.a", b"")], ..hard_link("b", 1) };
    assert_eq!(of_tree(vec![dir(""), file("a", 1), linked]), Some((2, EntryError::XattrsOfHardLink)));
    let long = Entry { xattrs: vec![crate::samples::xattr("user.a", &[0; 7_991])], ..file("a", 1) };
    assert_eq!(of_tree(vec![dir(""), long]), Some((1, EntryError::XattrsTooLong)));
}

#[test]
fn devices_and_link_targets_that_tar_cannot_hold() {
    let device = entry("a", EntryKind::BlockDevice { major: 1 << 21, minor: 0 });
    assert_eq!(of_tree(vec![dir(""), device]), Some((1, EntryError::Device)));
    assert_eq!(of_tree(vec![dir(""), symlink("a", b"b\0c")]), Some((1, EntryError::Target)));
    assert_eq!(of_tree(vec![dir(""), symlink("a", [b'a'; 4_096])]), Some((1, EntryError::Target)));
}

#[test]
fn directory_that_lies_is_seen_when_it_is_listed() {
    let listed = |input: &IndexInput, ordinal: u64| {
        let bytes = assemble(input).unwrap();
        assert!(check(&bytes, &Limits::default()).is_err());
        let index = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), SlicePages(&bytes)).unwrap();
        let problems = index.children(ordinal).filter_map(Result::err).map(|error| match error {
            IndexError::Entry { ordinal, problem, .. } => (ordinal, problem),
            other => panic!("{other:?}"),
        });
        problems.collect::<Vec<_>>()
    };
    let count = |input: &mut IndexInput, ordinal: usize, descendants: u64| {
        input.entries[ordinal].kind = EntryKind::Directory { descendants };
    };
    let mut over_its_parent = layer(vec![dir(""), dir("a"), dir("a/b"), file("c", 1)]);
    count(&mut over_its_parent, 2, 1);
    assert_eq!(listed(&over_its_parent, 1), [(2, EntryError::Descendants)]);
    for descendants in [4, u64::MAX] {
        let mut beyond_the_end = good();
        count(&mut beyond_the_end, 0, descendants);
        assert_eq!(listed(&beyond_the_end, 0), [(0, EntryError::Descendants)]);
    }
    let skipped = layer(vec![dir(""), file("a/b", 1)]);
    assert_eq!(listed(&skipped, 0), [(1, EntryError::Descendants)]);
    let mut of_another = good();
    count(&mut of_another, 1, 2);
    assert_eq!(listed(&of_another, 1), [(3, EntryError::Descendants)]);
}
