//! Bytes that lie about themselves: counts, lengths, pages, reserved bytes, other spellings.

use plyos_bytemap::{PreambleError, put};

use super::*;
use crate::layouts::page_record;
use crate::samples::{entry, hard_link, symlink};

#[test]
fn streams_longer_or_shorter_than_their_entries() {
    for change in [-512i64, 512, 1] {
        let mut input = good();
        input.stream_len = input.stream_len.saturating_add_signed(change);
        let last = input.chunks.last_mut().unwrap();
        last.length = last.length.saturating_add_signed(change as i32);
        let refused = verdict(&assemble(&input).unwrap());
        assert_eq!(
            refused,
            Some(IndexError::Header("its stream length is not that of its entries")),
            "{change}"
        );
    }
}

#[test]
fn chunks_that_do_not_cover_the_stream() {
    let mut input = good();
    input.chunks.last_mut().unwrap().length += 1;
    let expected = IndexError::Header("the chunks' lengths do not sum to the stream's length");
    assert_eq!(verdict(&assemble(&input).unwrap()), Some(expected.clone()));
    input.chunks.pop();
    assert_eq!(verdict(&assemble(&input).unwrap()), Some(expected));
}

#[test]
fn chunks_of_no_bytes_or_too_many() {
    for (length, longest) in [(0, 1_000), (1_048_577, 1_048_577), (u32::MAX, 1_048_576), (1_001, 1_000)] {
        let at = 2 * PAGE_SIZE + page_header::SIZE + layouts::chunk_record::LENGTH.offset;
        let refused =
            with(&[(at, &length.to_le_bytes()), (map::MAX_CHUNK_LEN.offset, &u32::to_le_bytes(longest))]);
        let header = IndexError::Header("its longest chunk");
        let chunk =
            IndexError::Chunk { ordinal: 0, reason: "its length is 0 or above the longest of the header" };
        assert_eq!(refused, Some(if longest > 1 << 20 { header } else { chunk }), "{length}");
    }
    let longer = with_field(0, map::MAX_CHUNK_LEN, 1_048_576);
    assert_eq!(longer, Some(IndexError::Header("the longest chunk is not the one of the header")));
}

#[test]
fn count_bombs() {
    for field in [map::ENTRY_COUNT, map::CHUNK_COUNT, map::STREAM_LEN, map::CONTENT_LEN] {
        for value in [0, 1, 1 << 20, 1 << 40, u64::MAX] {
            assert!(matches!(
                with_field(0, field, value),
                Some(IndexError::Header(_) | IndexError::Page { .. })
            ));
        }
    }
    for field in [map::HEAD_PAGES, map::ENTRY_PAGES, map::CHUNK_PAGES, map::DESCRIPTOR_LEN] {
        for value in [0, 2, 1 << 20, u64::from(u32::MAX)] {
            assert!(with_field(0, field, value).is_some(), "{} {value}", field.name);
        }
    }
    let records = with_field(PAGE_SIZE, page_header::RECORD_COUNT, 65_535);
    assert!(matches!(records, Some(IndexError::Page { page: 1, .. })));
    let bytes = emit(&good()).unwrap();
    let real = u64::from(u32::from_le_bytes(bytes[PAGE_SIZE + 4..PAGE_SIZE + 8].try_into().unwrap()));
    for used in [0, 16, 17, real - 1, real + 1, PAGE_SIZE as u64 + 1, u64::from(u32::MAX)] {
        assert!(with_field(PAGE_SIZE, page_header::USED, used).is_some(), "{used}");
    }
    for (field, value) in [(map::ENTRY_COUNT, 342u64), (map::CHUNK_COUNT, 455)] {
        let mut bytes = bytes.clone();
        put(&mut bytes, field, &value.to_le_bytes());
        let opened = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), SlicePages(&bytes));
        assert_eq!(opened.err(), Some(IndexError::Header("a count is greater than its pages can hold")));
    }
}

#[test]
fn lengths_that_are_not_whole_pages() {
    let bytes = emit(&good()).unwrap();
    for length in [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 1, 3 * PAGE_SIZE - 1] {
        assert!(matches!(verdict(&bytes[..length]), Some(IndexError::Length { .. })), "{length}");
    }
    for pages in [1, 2] {
        let expected = IndexError::Header("its total length is not that of its pages");
        assert_eq!(verdict(&bytes[..pages * PAGE_SIZE]), Some(expected));
    }
    let longer = [&bytes[..], &[0; PAGE_SIZE]].concat();
    assert!(verdict(&longer).is_some());
}

#[test]
fn head_with_a_page_too_many() {
    let mut bytes = emit(&good()).unwrap();
    bytes.splice(PAGE_SIZE..PAGE_SIZE, [0; PAGE_SIZE]);
    let total = bytes.len() as u64;
    put(&mut bytes, plyos_bytemap::preamble::preamble::TOTAL_LEN, &total.to_le_bytes());
    put(&mut bytes, map::HEAD_PAGES, &2u32.to_le_bytes());
    assert_eq!(verdict(&bytes), Some(IndexError::Header("the size of its head")));
}

#[test]
fn pages_of_another_kind_than_the_directory_says() {
    for (page, kind) in [(1, 2), (2, 1), (1, 0)] {
        let refused = with_field(page * PAGE_SIZE, page_header::PAGE_KIND, kind);
        let reason = "it is of another kind than the page directory says";
        assert_eq!(refused, Some(IndexError::Page { page: page as u32, reason }));
    }
}

#[test]
fn limits_of_the_reader() {
    let bytes = emit(&good()).unwrap();
    let limited = |limits: Limits| check(&bytes, &limits).err();
    let exact = Limits { index_bytes: bytes.len() as u64, entries: 4, stream_bytes: good().stream_len };
    assert_eq!(limited(exact), None);
    assert!(limited(Limits { index_bytes: exact.index_bytes - 1, ..exact }).is_some());
    assert!(limited(Limits { entries: 3, ..exact }).is_some());
    assert!(limited(Limits { stream_bytes: exact.stream_bytes - 1, ..exact }).is_some());
}

#[test]
fn headers_of_other_objects_versions_and_features() {
    let preamble = |at: usize, value: u8| with(&[(at, &[value])]);
    assert_eq!(preamble(0, b'X'), Some(IndexError::Preamble(PreambleError::Magic)));
    assert_eq!(preamble(8, 2), Some(IndexError::Preamble(PreambleError::Version(2))));
    assert_eq!(preamble(10, 64), Some(IndexError::Preamble(PreambleError::Malformed)));
    assert_eq!(preamble(16, 1), Some(IndexError::Preamble(PreambleError::Features(1))));
    for field in [map::HASH_ALGORITHM, map::STREAM_FORM, map::CUT_RULE, map::MTIME_RULE] {
        for value in [0, 3, 255] {
            assert!(matches!(with_field(0, field, value), Some(IndexError::Header(_))), "{}", field.name);
        }
    }
}

#[test]
fn reserved_bytes_in_use() {
    let records = PAGE_SIZE + page_header::SIZE;
    for (what, at) in [
        ("preamble", 23),
        ("header", map::RESERVED.offset + 39),
        ("gap before the directory", directory() - 1),
        ("page record", directory() + page_record::RESERVED.offset + 6),
        ("end of the head", PAGE_SIZE - 1),
        ("page header", PAGE_SIZE + page_header::RESERVED.offset),
        ("page header 2", PAGE_SIZE + page_header::RESERVED2.offset + 7),
        ("entry", records + layouts::entry::RESERVED.offset),
        ("end of a page of entries", 2 * PAGE_SIZE - 1),
        ("end of a page of chunks", 3 * PAGE_SIZE - 1),
        ("empty words of a page of entries", 2 * PAGE_SIZE - 100),
        ("empty words of a page of chunks", 2 * PAGE_SIZE + PAGE_SIZE / 2),
    ] {
        assert!(with(&[(at, &[1])]).is_some(), "{what}");
    }
}

/// Pages are found by ordinal, so a directory that leads back to where it was would be a loop: it does not open.
#[test]
fn page_directory_with_a_cycle() {
    let bytes = emit(&many(900, 1_000)).unwrap();
    let start = (map::SIZE + good().descriptor.emit().len()).next_multiple_of(8);
    for (from, to) in [(1, 0), (2, 1), (2, 0)] {
        let mut bytes = bytes.clone();
        let (at, first) = (start + from * page_record::SIZE, start + to * page_record::SIZE);
        let earlier = bytes[first..first + page_record::SIZE].to_vec();
        bytes[at..at + page_record::SIZE].copy_from_slice(&earlier);
        let opened = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), SlicePages(&bytes));
        assert!(matches!(opened.err(), Some(IndexError::Page { .. })), "page {from} leads back to {to}");
        assert!(verdict(&bytes).is_some());
    }
}

#[test]
fn page_directory_out_of_order() {
    let bytes = emit(&many(900, 1_000)).unwrap();
    let start = (map::SIZE + good().descriptor.emit().len()).next_multiple_of(8);
    let record = |page: usize| start + page * page_record::SIZE;
    let second = directory_of(&bytes, 1);
    for (what, page, field, value, at_open) in [
        ("first page does not start at 0", 0, page_record::FIRST_ORDINAL, 1, true),
        ("first base is not 0", 0, page_record::STREAM_BASE, 512, true),
        ("ordinal repeated", 1, page_record::FIRST_ORDINAL, 0, true),
        ("ordinal beyond its page", 1, page_record::FIRST_ORDINAL, 400, true),
        ("ordinal one less", 1, page_record::FIRST_ORDINAL, second - 1, false),
        ("ordinal one more", 1, page_record::FIRST_ORDINAL, second + 1, false),
        ("ordinal beyond the end", 2, page_record::FIRST_ORDINAL, u64::MAX, true),
        ("base repeated", 1, page_record::STREAM_BASE, 0, true),
        ("base one block less", 1, page_record::STREAM_BASE, 512, false),
        ("base beyond the stream", 1, page_record::STREAM_BASE, 1 << 50, true),
        ("kind of another page", 1, page_record::PAGE_KIND, 2, true),
        ("kind unknown", 1, page_record::PAGE_KIND, 3, true),
    ] {
        let mut bytes = bytes.clone();
        put(&mut bytes[record(page)..], field, &value.to_le_bytes()[..field.size]);
        assert!(verdict(&bytes).is_some(), "{what}");
        let opened = Index::open(layer_id(&bytes), PageHashes::compute(&bytes), SlicePages(&bytes));
        assert_eq!(opened.is_err(), at_open, "{what}");
    }
    let mut swapped = bytes;
    let (first, rest) = swapped.split_at_mut(2 * PAGE_SIZE);
    first[PAGE_SIZE..].swap_with_slice(&mut rest[..PAGE_SIZE]);
    assert!(verdict(&swapped).is_some(), "pages swapped");
}

#[test]
fn record_fields_that_do_not_fit_their_type() {
    use layouts::entry as field;
    let root = PAGE_SIZE + page_header::SIZE;
    let (a, b) = (root + 48, root + 48 + 49);
    for (what, record, field, value) in [
        ("type 0", root, field::ENTRY_TYPE, 0),
        ("type 8", root, field::ENTRY_TYPE, 8),
        ("mode of 13 bits", root, field::MODE, 0o10_000),
        ("prefix of the first record", root, field::PREFIX_LEN, 1),
        ("prefix longer than the path before", a, field::PREFIX_LEN, 1),
        ("prefix shorter than what is shared", b, field::PREFIX_LEN, 0),
        ("suffix beyond the page", a, field::SUFFIX_LEN, 65_535),
        ("negative mtime", root, field::MTIME, u64::MAX),
        ("mtime of 1970", root, field::MTIME, 0),
        ("offset of a directory", a, field::DATA_OFFSET, 512),
        ("names of a directory", a, field::LINK, 1),
        ("file without a name", b, field::LINK, 0),
        ("target of a file", b, field::TARGET_LEN, 1),
        ("attributes of rubbish", b, field::XATTR_LEN, 4),
        ("attributes cut", b, field::XATTR_LEN, 3),
    ] {
        let refused = with_field(record, field, value);
        assert!(matches!(refused, Some(IndexError::Entry { .. })), "{what}: {refused:?}");
    }
}

#[test]
fn pages_that_end_where_the_rule_does_not_say() {
    let bytes = emit(&many(2_000, 2_000)).unwrap();
    let pages = check(&bytes, &Limits::default()).unwrap().header().entry_pages as usize;
    // Another last letter of a name is another key hash, and nothing else changes.
    let renamed = |at: usize, letter: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = letter;
        match verdict(&bytes) {
            None => "",
            Some(IndexError::Entry { problem: EntryError::Record(reason), .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let last_letter =
        |from: usize| from + bytes[from..].windows(4).position(|four| four == b".txt").unwrap() + 3;
    let count = |of: &str, found: &[&str]| found.iter().filter(|reason| **reason == of).count();

    let at_start: Vec<&str> = (2..=pages).map(|page| renamed(last_letter(page * PAGE_SIZE), b'u')).collect();
    assert!(count("it should stand in the page before", &at_start) > pages / 2, "{at_start:?}");

    let at = last_letter(PAGE_SIZE + 9_000);
    let within: Vec<&str> = (b'A'..=b'z').map(|letter| renamed(at, letter)).collect();
    let broken = count("its page should have ended before it", &within);
    assert!(broken > 0 && broken < 20 && broken + count("", &within) == within.len(), "{within:?}");
}

#[test]
fn chunk_pages_that_end_where_the_rule_does_not_say() {
    let mut input = layer(vec![dir(""), file("a", 3_000_000)]);
    let chunk = |number: u64| plyos_ids::ChunkId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
    (0..).zip(&mut input.chunks).for_each(|(number, each)| each.id = chunk(number));
    let bytes = emit(&input).unwrap();
    let header = *check(&bytes, &Limits::default()).unwrap().header();
    assert!(header.chunk_pages > 2);
    let first_byte = |page: u32, record: usize| page as usize * PAGE_SIZE + page_header::SIZE + record * 36;
    let renamed = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        match verdict(&bytes) {
            Some(IndexError::Chunk { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    let early = renamed(first_byte(3, 0), 16);
    assert_eq!(early, "it should stand in the page before");
    let late = renamed(first_byte(2, 228), 15);
    assert_eq!(late, "its page should have ended before it");
}

#[test]
fn chunk_pages_whose_base_is_not_where_the_page_before_ends() {
    let bytes = emit(&layer(vec![dir(""), file("a", 3_000_000)])).unwrap();
    let index = check(&bytes, &Limits::default()).unwrap();
    let base = index.chunk_run.place(1).unwrap().stream_base;
    // Behind the record of the one page of entries and the first of chunks.
    let at = directory() + 2 * page_record::SIZE;
    for moved in [base - 1, base + 1] {
        let mut bytes = bytes.clone();
        put(&mut bytes[at..], page_record::STREAM_BASE, &moved.to_le_bytes());
        let refused = verdict(&bytes);
        assert!(
            matches!(refused, Some(IndexError::Chunk { reason, .. }) if reason.contains("does not start"))
        );
    }
}

/// The record of the last entry of [`good`], which is `c`, with bytes of `field` replaced and one byte appended.
fn last_record_with(edits: &[(Field, u64)], path: &[u8]) -> Option<IndexError> {
    let mut bytes = emit(&good()).unwrap();
    let page = &mut bytes[PAGE_SIZE..2 * PAGE_SIZE];
    let used = u32::from_le_bytes(page[4..8].try_into().unwrap()) as usize;
    let record = used - layouts::entry::SIZE - 1;
    for (field, value) in edits {
        put(&mut page[record..], *field, &value.to_le_bytes()[..field.size]);
    }
    page[used - 1..used - 1 + path.len()].copy_from_slice(path);
    put(page, page_header::USED, &(used as u32 + path.len() as u32 - 1).to_le_bytes());
    verdict(&bytes)
}

#[test]
fn prefix_shorter_than_what_the_paths_share() {
    // After `c` itself a file `cc` would share one byte; here `a/b` is before, so the last record becomes `a/c`.
    use layouts::entry as field;
    let refused = last_record_with(&[(field::PREFIX_LEN, 1), (field::SUFFIX_LEN, 2)], b"/c");
    let reason = "its prefix is shorter than what the paths share";
    assert!(
        matches!(refused, Some(IndexError::Entry { problem: EntryError::Record(of), .. }) if of == reason)
    );
    assert_eq!(last_record_with(&[], b"c"), None, "as it was");
}

#[test]
fn target_of_what_is_no_symbolic_link() {
    let refused = last_record_with(&[(layouts::entry::TARGET_LEN, 1)], b"ct");
    let reason = "a field does not fit its type";
    assert!(
        matches!(refused, Some(IndexError::Entry { problem: EntryError::Record(of), .. }) if of == reason)
    );
}

#[test]
fn sizes_and_counts_of_what_has_none() {
    use layouts::entry as field;
    let input = layer(vec![
        dir(""),
        entry("f", EntryKind::Fifo),
        symlink("l", "f"),
        file("z", 1),
        hard_link("zz", 3),
    ]);
    let bytes = emit(&input).unwrap();
    let (fifo, link) = (PAGE_SIZE + page_header::SIZE + 48, PAGE_SIZE + page_header::SIZE + 48 + 49);
    let hard_link = link + 50 + 49;
    for (what, record, field) in [
        ("size of a FIFO", fifo, field::CONTENT_SIZE),
        ("names of a FIFO", fifo, field::LINK),
        ("offset of a FIFO", fifo, field::DATA_OFFSET),
        ("size of a symbolic link", link, field::CONTENT_SIZE),
        ("names of a symbolic link", link, field::LINK),
        ("size of a hard link", hard_link, field::CONTENT_SIZE),
        ("offset of a hard link", hard_link, field::DATA_OFFSET),
    ] {
        let mut bytes = bytes.clone();
        bytes[record + field.offset] ^= 2;
        let reason = "a field does not fit its type";
        let refused = verdict(&bytes);
        assert!(
            matches!(refused, Some(IndexError::Entry { problem: EntryError::Record(of), .. }) if of == reason),
            "{what}: {refused:?}"
        );
    }
}

#[test]
fn descriptors_that_are_not_canonical() {
    let at = map::SIZE;
    assert_eq!(emit(&good()).unwrap()[at], b'{');
    assert!(matches!(with(&[(at, b" ")]), Some(IndexError::Descriptor(_))));
    assert!(matches!(with(&[(at, b"[")]), Some(IndexError::Descriptor(_))));
}
