//! Directory -> blob -> directory gives the same tree.

use std::io::Cursor;

use plyos_layer_format::entry::{EntryKind, compare_paths};
use plyos_layer_format::index::{Limits, MtimeRule};
use plyos_layer_format::stream::{self, EPOCH};
use tempfile::tempdir;

use super::facts::{self, What};
use super::{build_dir, descriptor, entries, export_blob, keep_times, nasty};
use crate::export::Owners;
use crate::reader::{Blob, ChunkSource};
use crate::{BuildError, BuildOptions, Exclusions, Owner, ScanOptions, build, scan};

#[test]
fn an_exported_layer_is_the_tree_it_was_built_from() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (_, blob) = build_dir(dir.path(), &keep_times());
    let out = tempdir().unwrap();
    let dest = out.path().join("tree");
    let exported = export_blob(&blob, &dest, Owners::Keep);
    let before = facts::of(dir.path());
    let after = facts::of(&dest);
    facts::assert_same(&before, &after);
    assert_eq!(exported.entries, before.len() as u64);
    let lost = exported.owners_lost + exported.set_ids_dropped + exported.attributes_lost;
    assert_eq!((lost, exported.devices_skipped), (0, 0));
    // And once more from there: the same layer.
    let (first, second) = (build_dir(dir.path(), &keep_times()), build_dir(&dest, &keep_times()));
    assert!(first.0 == second.0 && first.1 == second.1);
}

#[test]
fn times_come_of_content_by_default() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (built, blob) = build_dir(dir.path(), &ScanOptions::default());
    for entry in entries(&built.index) {
        let expected = match entry.kind {
            EntryKind::File { .. } | EntryKind::HardLink { .. } => {
                let path = dir.path().join(crate::scan::shown(&entry.path));
                stream::content_mtime(blake3::hash(&std::fs::read(path).unwrap()).as_bytes())
            }
            _ => EPOCH,
        };
        assert_eq!(entry.mtime, expected, "{}", entry.path.escape_ascii());
    }
    let out = tempdir().unwrap();
    export_blob(&blob, &out.path().join("tree"), Owners::Keep);
    let mut before = facts::of(dir.path());
    let after = facts::of(&out.path().join("tree"));
    for (path, fact) in &mut before {
        fact.mtime = after[path].mtime;
    }
    facts::assert_same(&before, &after);
}

#[test]
fn the_account_is_right() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    let mut blob = Vec::new();
    let reports = std::cell::RefCell::new(Vec::new());
    let progress = |progress| reports.borrow_mut().push(progress);
    let built = build(&tree, &descriptor(), &BuildOptions::default(), &mut blob, &progress).unwrap();
    let facts = facts::of(dir.path());
    assert_eq!(built.entries, facts.len() as u64);
    let size_of_first = |(path, fact): (&Vec<u8>, &facts::Fact)| match &fact.what {
        What::File { size, first_path, .. } if first_path == path => *size,
        _ => 0,
    };
    assert_eq!(built.content_len, facts.iter().map(size_of_first).sum::<u64>());
    assert_eq!(built.blob_len, blob.len() as u64);
    let reports = reports.into_inner();
    assert_eq!(reports.len() as u64, built.chunks);
    assert!(reports.is_sorted_by_key(|report| report.stream_done));
    assert!(reports.iter().all(|report| report.stream_len == built.stream_len));
    assert_eq!(reports.last().unwrap().stream_done, built.stream_len);
    let sorted = |entry: &[plyos_layer_format::entry::Entry]| {
        entry.is_sorted_by(|a, b| compare_paths(&a.path, &b.path).is_lt())
    };
    assert!(sorted(tree.entries()) && sorted(&entries(&built.index)));
}

#[test]
fn a_blob_yields_the_stream_chunk_by_chunk() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (built, bytes) = build_dir(dir.path(), &ScanOptions::default());
    let mut blob = Blob::open(Cursor::new(&bytes), &Limits::default()).unwrap();
    assert_eq!(blob.layer(), built.layer);
    assert_eq!(blob.index_bytes(), built.index);
    assert_eq!((blob.footer().index, blob.footer().table), (built.index_place, built.table_place));
    let (index, frames) = blob.parts().unwrap();
    assert_eq!(index.descriptor(), &descriptor());
    assert_eq!(index.header().mtime_rule, MtimeRule::Content);
    let mut stream = Vec::new();
    for (ordinal, chunk) in index.chunks().enumerate() {
        stream.extend(frames.read_chunk(ordinal as u64, &chunk.unwrap()).unwrap());
    }
    assert_eq!(stream.len() as u64, built.stream_len);
    use sha2::Digest;
    let sha256 = |bytes: &[u8]| <[u8; 32]>::from(sha2::Sha256::digest(bytes));
    assert_eq!(&sha256(&stream), built.diff_sha256.as_bytes());
    assert_eq!(&sha256(&bytes), built.blob_sha256.as_bytes());
    assert!(frames.frame(built.chunks).is_err());
}

#[test]
fn owners_become_root_when_asked() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let tree = scan(dir.path(), &ScanOptions { owner: Owner::Root, ..ScanOptions::default() }).unwrap();
    assert!(tree.entries().iter().all(|entry| (entry.uid, entry.gid) == (0, 0)));
}

#[test]
fn exclusions_take_all_below_with_them() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let exclude = Exclusions::new([], ["order/a", "/fifo", "links/", "no-such-path"]).unwrap();
    let tree = scan(dir.path(), &ScanOptions { exclude, ..ScanOptions::default() }).unwrap();
    let has = |path: &[u8]| tree.entries().iter().any(|entry| entry.path == path);
    assert!(has(b"order") && has(b"order/ab") && has(b"order/a-b"));
    assert!(!has(b"order/a") && !has(b"order/a/z") && !has(b"fifo") && !has(b"links") && !has(b"links/up"));
    // What is left of a file with several names counts only the names that are left.
    let third = tree.entries().iter().find(|entry| entry.path == b"order/third").unwrap();
    assert_eq!(third.kind, EntryKind::File { size: 70_000, data_offset: 0, links: 1 });
}

#[test]
fn the_tree_may_begin_further_down() {
    let dir = tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    std::fs::write(dir.path().join("a/b/file"), "x").unwrap();
    std::fs::write(dir.path().join("README"), "x").unwrap();
    let stripped = |strip, exclude: &str| {
        let exclude = Exclusions::new([], [exclude]).unwrap();
        scan(dir.path(), &ScanOptions { strip, exclude, ..ScanOptions::default() })
    };
    let paths = |tree: crate::Tree| {
        tree.entries().iter().map(|entry| String::from_utf8(entry.path.clone()).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(paths(stripped(2, "README").unwrap()), ["", "c", "file"]);
    // Patterns name what is in the input, not what is in the layer.
    assert_eq!(paths(stripped(1, "README").unwrap()), ["", "b", "b/c", "b/file"]);
    let refused = stripped(1, "a/b/file").unwrap_err();
    assert!(matches!(&refused, BuildError::Strip { found, .. } if found.len() == 2), "{refused}");
    let refused = stripped(3, "README").unwrap_err();
    assert!(refused.to_string().contains("\"a/b/c\", \"a/b/file\""), "{refused}");
    let tree = stripped(2, "README").unwrap();
    let (built, _) =
        super::build_tree(&tree, &BuildOptions { level: 1, threads: 1, ..BuildOptions::default() });
    assert_eq!(built.content_len, 1, "content is read where the tree begins");
}

#[test]
fn an_empty_directory_is_a_layer() {
    let dir = tempdir().unwrap();
    let (built, blob) = build_dir(dir.path(), &ScanOptions::default());
    assert_eq!((built.entries, built.chunks, built.stream_len), (1, 1, 512 + 1024));
    let out = tempdir().unwrap();
    assert_eq!(export_blob(&blob, &out.path().join("tree"), Owners::Current).entries, 1);
}

#[test]
fn stale_compiled_python_is_counted() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("__pycache__")).unwrap();
    std::fs::write(dir.path().join("a.py"), b"x = 1\n").unwrap();
    let mut compiled = vec![0; 100];
    compiled[8..12].copy_from_slice(&1_600_000_000u32.to_le_bytes());
    compiled[12..16].copy_from_slice(&6u32.to_le_bytes());
    std::fs::write(dir.path().join("__pycache__/a.cpython-313.pyc"), &compiled).unwrap();
    assert_eq!(build_dir(dir.path(), &ScanOptions::default()).0.stale_pyc, 1);
    let source = std::fs::File::options().write(true).open(dir.path().join("a.py")).unwrap();
    source.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000)).unwrap();
    assert_eq!(build_dir(dir.path(), &keep_times()).0.stale_pyc, 0, "kept times fit");
}
