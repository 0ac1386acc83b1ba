//! Archives that become too much.

use plyos_layer_import::Limits;

use crate::archive::Archive;
use crate::{read, read_bounded, refused, stream};

/// An archive of `blocks` blocks of zeroes in one file, compressed: some hundred bytes for each MiB.
fn bomb(length: u64) -> Vec<u8> {
    use std::io::Write;
    let mut block = crate::archive::header(b'0', b"zeroes", length);
    crate::archive::sum(&mut block);
    let mut out = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    out.write_all(&block).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), length + 1024), &mut out).unwrap();
    out.finish().unwrap()
}

#[test]
fn an_expansion_bomb_is_stopped_at_the_limit() {
    refused("more-than-a-gibibyte-of-zeroes", read(stream(bomb((1 << 30) + 512))), "--max-size");
    let limits = Limits { expanded: Some(1 << 20), ..Limits::default() };
    refused("more-than-was-allowed", read_bounded(stream(bomb(2 << 20)), limits), "1048576 bytes");
    let limits = Limits { expanded: Some(3 << 20), ..Limits::default() };
    assert_eq!(read_bounded(stream(bomb(2 << 20)), limits).unwrap().tree.content_len(), 2 << 20);
}

#[test]
fn zeroes_without_end_after_the_end_are_stopped() {
    let mut archive = Archive::new().file("a", "").end();
    archive.resize(archive.len() + (4 << 20), 0);
    let compressed = zstd::encode_all(&archive[..], 1).unwrap();
    let limits = Limits { expanded: Some(1 << 20), ..Limits::default() };
    refused("zeroes-after-the-end", read_bounded(stream(compressed), limits), "--max-size");
}

#[test]
fn a_hole_counts_as_what_it_becomes() {
    let records: [(&str, &[u8]); 3] =
        [("GNU.sparse.size", b"9000000000000"), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"0,1")];
    let archive = Archive::new().pax(&records).file("sparse", "x").end();
    refused("nine-terabytes-of-hole", read(stream(archive)), "--max-size");
}

#[test]
fn too_many_entries_are_stopped() {
    let mut archive = Archive::new();
    for number in 0..2_000 {
        archive = archive.file(&number.to_string(), "");
    }
    let archive = archive.end();
    let limits = Limits { entries: 1_000, ..Limits::default() };
    refused("millions-of-empty-files", read_bounded(stream(archive.clone()), limits), "--max-entries");
    assert_eq!(read(stream(archive)).unwrap().tree.entries().len(), 2_001);
    // Parents that are not there count, too.
    let deep = "d/".repeat(200) + "f";
    let limits = Limits { entries: 100, ..Limits::default() };
    let archive = Archive::new().pax(&[("path", deep.as_bytes())]).file("f", "").end();
    refused("parents-by-the-hundred", read_bounded(stream(archive), limits), "--max-entries");
}

#[test]
fn a_header_that_is_too_long_is_not_read() {
    let mut block = crate::archive::header(b'x', b"x", 1 << 30);
    crate::archive::sum(&mut block);
    refused("pax-header-of-a-gibibyte", read(stream(Archive::new().raw(&block).end())), "too long");
    let mut block = crate::archive::header(b'L', b"x", 1 << 30);
    crate::archive::sum(&mut block);
    refused("long-name-of-a-gibibyte", read(stream(Archive::new().raw(&block).end())), "too long");
}
