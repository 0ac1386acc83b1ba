//! Trees at the limits of the format and of file systems: sizes, counts, depth.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use plyos_layer_format::entry::EntryKind;
use plyos_layer_format::index;
use rustix::fs::{Mode, OFlags};
use tempfile::tempdir;

use super::{build_dir, build_tree, entries, export_blob, keep_times};
use crate::export::Owners;
use crate::{BuildOptions, ScanOptions, scan};

#[test]
fn a_file_of_more_than_four_gibibytes() {
    const SIZE: u64 = (4 << 30) + 1;
    let dir = tempdir().unwrap();
    let file = File::create(dir.path().join("large")).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(b"!", SIZE - 1).unwrap();
    fs::write(dir.path().join("then"), "x").unwrap();
    // Kept times save reading it twice.
    let tree = scan(dir.path(), &keep_times()).unwrap();
    let (built, blob) = build_tree(&tree, &BuildOptions { level: 1, threads: 2, ..BuildOptions::default() });
    assert_eq!(built.content_len, SIZE + 1);
    assert!(blob.len() < 4 << 20, "holes cost next to nothing: {}", blob.len());
    let found = entries(&built.index);
    assert!(matches!(found[1].kind, EntryKind::File { size: SIZE, .. }), "{:?}", found[1]);
    assert!(matches!(found[2].kind, EntryKind::File { size: 1, data_offset, .. } if data_offset > SIZE));
    assert_eq!(
        index::check(&built.index, &Default::default()).unwrap().chunks().count() as u64,
        built.chunks
    );
}

#[test]
fn a_directory_of_a_hundred_thousand_files() {
    const COUNT: usize = 100_000;
    let dir = tempdir().unwrap();
    for number in 0..COUNT {
        File::create(dir.path().join(number.to_string())).unwrap();
    }
    let (built, _) = build_dir(dir.path(), &ScanOptions::default());
    let found = entries(&built.index);
    assert_eq!(found.len(), COUNT + 1);
    assert!(found.windows(2).all(|pair| pair[0].path < pair[1].path));
}

#[test]
fn two_hundred_levels_of_directories() {
    let dir = tempdir().unwrap();
    let mut handle = rustix::fs::open(dir.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for level in 0..200 {
        let name = format!("{level:03}-long-name-");
        rustix::fs::mkdirat(&handle, &name, Mode::from(0o755)).unwrap();
        handle = rustix::fs::openat(&handle, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    rustix::fs::openat(&handle, "bottom", OFlags::CREATE | OFlags::WRONLY, Mode::from(0o644)).unwrap();
    let (built, blob) = build_dir(dir.path(), &ScanOptions::default());
    let found = entries(&built.index);
    assert_eq!(found.len(), 202);
    let bottom = found.last().unwrap();
    assert!(bottom.path.len() > 2_900 && bottom.path.ends_with(b"/bottom"));
    let out = tempdir().unwrap();
    export_blob(&blob, &out.path().join("tree"), Owners::Current);
    let exported = scan(&out.path().join("tree"), &ScanOptions::default()).unwrap();
    let paths = |entries: &[plyos_layer_format::entry::Entry]| -> Vec<Vec<u8>> {
        entries.iter().map(|entry| entry.path.clone()).collect()
    };
    assert_eq!(paths(exported.entries()), paths(&found));
}
