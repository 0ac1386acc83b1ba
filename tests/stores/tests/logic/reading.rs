//! What is read is what was put in: every path, every byte, in order and here and there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use plyos_kernel_logic::System;
use plyos_layer_format::entry::EntryKind;
use plyos_test_stores::memory::Memory;

use crate::world::{World, content, limits, start, start_with};

/// What a path is: type with target, mode, content.
type Seen = (String, u32, Vec<u8>);

/// The tree below a directory of the host, its paths below `prefix`.
fn on_host(root: &Path, prefix: &str, found: &mut BTreeMap<Vec<u8>, Seen>) {
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let about = entry.path().symlink_metadata().unwrap();
        let name = entry.file_name();
        let path = [prefix.as_bytes(), name.as_bytes()].concat();
        let mode = about.mode() & 0o7777;
        if about.is_dir() {
            found.insert(path.clone(), ("directory".into(), mode, Vec::new()));
            on_host(&entry.path(), &format!("{}/", String::from_utf8(path).unwrap()), found);
        } else if about.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            let target = String::from_utf8(target.as_os_str().as_bytes().to_vec()).unwrap();
            // The mode of a link means nothing.
            found.insert(path, (format!("link to {target}"), 0, Vec::new()));
        } else {
            found.insert(path, ("file".into(), mode, fs::read(entry.path()).unwrap()));
        }
    }
}

/// The tree that a system shows.
fn shown(system: &System<Memory>) -> BTreeMap<Vec<u8>, Seen> {
    let shown = system.shown();
    let mut tree = BTreeMap::new();
    for found in shown.namespace().walk() {
        let found = found.unwrap();
        let entry = &found.entry;
        let (kind, mode) = match &entry.kind {
            EntryKind::Directory { .. } => ("directory".to_owned(), u32::from(entry.mode)),
            EntryKind::Symlink { target } => (format!("link to {}", String::from_utf8_lossy(target)), 0),
            _ => ("file".to_owned(), u32::from(entry.mode)),
        };
        let mut bytes = Vec::new();
        if kind == "file" {
            bytes.resize(8 << 20, 0);
            let length = shown.read(found.source.unwrap().layer, entry, 0, &mut bytes).unwrap();
            bytes.truncate(length);
        }
        tree.insert(entry.path.clone(), (kind, mode, bytes));
    }
    tree
}

#[test]
fn every_path_and_byte_is_what_was_put_in() {
    let world = World::one();
    let mut expected = BTreeMap::new();
    on_host(&world.trees.path().join("base"), "", &mut expected);
    let mut package = BTreeMap::new();
    on_host(&world.trees.path().join("package"), "", &mut package);
    for (path, seen) in package {
        // Shared directories are the base's.
        expected.entry(path).or_insert(seen);
    }
    on_host(&world.trees.path().join("site"), "www/docs/", &mut expected);
    let (system, lines) = start(world.device());
    let mut found = shown(&system.unwrap());
    // Hard links have the mode of their file.
    for made in ["", "models", "www", "www/docs"] {
        assert_eq!(found.remove(made.as_bytes()).unwrap().0, "directory", "{made}");
    }
    let paths = |tree: &BTreeMap<Vec<u8>, Seen>| {
        tree.keys().map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&found), paths(&expected));
    for (path, seen) in &expected {
        assert!(
            found[path] == *seen,
            "{}: {:?} instead of {:?}",
            path.escape_ascii(),
            &found[path].0,
            &seen.0
        );
    }
    assert!(lines.of(plyos_kernel_logic::Level::Error).is_empty());
}

#[test]
fn pieces_of_any_size_and_place_are_those_of_the_file() {
    let world = World::one();
    let large = fs::read(world.trees.path().join("base/usr/lib/large.so")).unwrap();
    // A cache that holds a few chunks, and one that holds none.
    for cache in [4096, 1 << 20, 64 << 20] {
        let (system, _) = start_with(world.device(), &limits(cache));
        let system = system.unwrap();
        assert!(content(&system, "usr/lib/large.so", 70_001).unwrap() == large);
        let shown = system.shown();
        let found = shown.resolve(b"/usr/bin/link").unwrap().unwrap();
        let layer = found.source.unwrap().layer;
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        for _ in 0..300 {
            let (offset, length) = (next(large.len() + 1000), next(100_000));
            let mut out = vec![0xaa; length];
            let read = shown.read(layer, &found.entry, offset as u64, &mut out).unwrap();
            let expected = large.get(offset..large.len().min(offset + length)).unwrap_or_default();
            assert!(out[..read] == *expected, "{offset} {length} with a cache of {cache}");
            assert!(out[read..].iter().all(|byte| *byte == 0xaa), "written behind what was read");
        }
        assert_eq!(shown.read(layer, &found.entry, u64::MAX, &mut [0; 10]).unwrap(), 0);
        let counts = system.cache();
        assert!(counts.chunks.bytes + counts.pages.bytes <= cache, "{counts:?} of {cache}");
    }
}

#[test]
fn a_reader_in_order_asks_seldom_and_a_jumping_one_for_little() {
    let world = World::one();
    let (system, _) = start_with(world.device(), &limits(64 << 20));
    let system = system.unwrap();
    let device = world.device();
    let before = device.asked();
    let read = content(&system, "usr/lib/large.so", 64 << 10).unwrap();
    let asked = device.asked();
    let (reads, bytes) = (asked.reads - before.reads, asked.bytes - before.bytes);
    // 5 MiB in chunks of 64 KiB or so, of which the disk holds about a half: windows of up to 1 MiB.
    assert!(reads <= 24, "{reads} requests");
    assert!(bytes < read.len() as u64, "{bytes} bytes");
    // The same from the cache.
    content(&system, "usr/lib/large.so", 64 << 10).unwrap();
    assert_eq!(device.asked(), asked);

    system.clear_cache();
    let shown = system.shown();
    let found = shown.lookup(b"usr/lib/large.so").unwrap().unwrap();
    let layer = found.source.unwrap().layer;
    // Warm up what finds chunks, then jump backwards, so that no chunk follows another.
    let mut piece = [0; 4096];
    shown.read(layer, &found.entry, 5_200_000, &mut piece).unwrap();
    let before = device.asked();
    for step in 1..=9u64 {
        shown.read(layer, &found.entry, 5_200_000 - step * 540_000, &mut piece).unwrap();
    }
    let asked = device.asked();
    // One request each, and a page of the index or two.
    assert!((9..=11).contains(&(asked.reads - before.reads)), "{} requests", asked.reads - before.reads);
    assert!(asked.bytes - before.bytes <= 9 * (256 << 10), "{} bytes", asked.bytes - before.bytes);
}

#[test]
fn mounting_costs_the_same_for_layers_of_any_size() {
    let asked_at_boot = |world: &World| {
        let device = world.device().copied();
        start(device.clone()).0.unwrap();
        device.asked()
    };
    let large = World::one();
    let mut small = World::new();
    let folder = small.trees.path().join("tiny");
    crate::world::write(&folder, "etc/hostname", b"tiny");
    let tiny = small.maker.layer(&folder, &crate::world::descriptor(plyos_ids::Kind::Base, "tiny", "1"));
    let layers = [tiny, small.package.clone(), small.site.clone()];
    small.maker.activate(&layers, plyos_test_stores::maker::As::Good);
    let (large, small) = (asked_at_boot(&large), asked_at_boot(&small));
    assert_eq!(large.reads, small.reads);
    // The page hashes of a larger index: 32 bytes for 16 KiB of it. The smaller store's directory has one layer more.
    assert!(large.bytes.abs_diff(small.bytes) < 4096, "{large:?} {small:?}");
    assert_eq!((large.writes, small.writes), (0, 0));
}

#[test]
fn what_two_generations_share_is_read_once() {
    let world = World::two();
    let (system, _) = start_with(world.device(), &limits(64 << 20));
    let system = system.unwrap();
    content(&system, "usr/lib/large.so", 1 << 20).unwrap();
    system.switch(1, 5).unwrap();
    let before = system.cache();
    content(&system, "usr/lib/large.so", 1 << 20).unwrap();
    let after = system.cache();
    assert_eq!(after.chunks.misses, before.chunks.misses);
    assert_eq!(after.chunks.entries, before.chunks.entries);
}
