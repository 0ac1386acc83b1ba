//! The same tree gives the same layer and the same blob, however it is read and by however many.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plyos_layer_format::entry::EntryKind;
use plyos_layer_format::index;
use tempfile::tempdir;

use super::{build_tree, nasty, noise};
use crate::scan::{Manner, scan_by};
use crate::{BuildError, BuildOptions, Built, Owner, ScanOptions, Spool, Tree, scan};

fn build_shuffled(dir: &Path, seed: u64, threads: usize) -> (Built, Vec<u8>) {
    let shuffle = |names: &mut Vec<Vec<u8>>| {
        names.sort_by_key(|name| *blake3::keyed_hash(&noise(seed, 32).try_into().unwrap(), name).as_bytes());
    };
    let tree = scan_by(dir, &ScanOptions::default(), Manner { threads, arrange: &shuffle }).unwrap();
    build_tree(&tree, &BuildOptions { level: 3, threads, ..BuildOptions::default() })
}

#[test]
fn order_of_reading_and_number_of_threads_do_not_matter() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    // More names than one thread takes on at a time, directories among them.
    std::fs::create_dir(dir.path().join("many")).unwrap();
    for number in 0..1000 {
        let path = dir.path().join(format!("many/{number}"));
        if number % 3 == 0 { std::fs::create_dir(path).unwrap() } else { std::fs::write(path, b"").unwrap() }
    }
    let first = build_shuffled(dir.path(), 0, 1);
    for (seed, threads) in [(1, 2), (2, 7), (3, 7), (4, 1)] {
        let other = build_shuffled(dir.path(), seed, threads);
        assert!(first.0 == other.0, "layers differ with {threads} threads");
        assert!(first.1 == other.1, "blobs differ with {threads} threads");
    }
}

#[test]
fn the_level_changes_the_blob_and_not_the_layer() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    let (quick, quick_blob) =
        build_tree(&tree, &BuildOptions { level: 1, threads: 2, ..BuildOptions::default() });
    let (small, small_blob) =
        build_tree(&tree, &BuildOptions { level: 12, threads: 2, ..BuildOptions::default() });
    assert_eq!((quick.layer, quick.diff_sha256), (small.layer, small.diff_sha256));
    assert!(small_blob.len() < quick_blob.len());
}

/// Pins all that makes an identity: stream, times, cuts, index. If this fails, every layer that was ever published would
/// be another one when it is built again.
#[test]
fn the_identity_of_a_known_tree_is_frozen() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("sub")).unwrap();
    std::fs::write(path("sub/small"), "hello\n").unwrap();
    std::fs::write(path("large"), noise(1, 400_001)).unwrap();
    std::fs::hard_link(path("large"), path("sub/same")).unwrap();
    std::os::unix::fs::symlink("sub/small", path("link")).unwrap();
    for (name, mode) in [("", 0o755), ("sub", 0o750), ("sub/small", 0o644), ("large", 0o4755)] {
        std::fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    }
    let options = ScanOptions { owner: Owner::Root, ..ScanOptions::default() };
    let tree = scan(dir.path(), &options).unwrap();
    let (built, _) = build_tree(&tree, &BuildOptions { level: 3, threads: 2, ..BuildOptions::default() });
    assert_eq!(
        built.layer.to_string(),
        "blake3:9c9a6e244fca88914efcdc4dea96f2c3ecf3cc309236ac65be3e891b30df5707"
    );
    assert_eq!(
        built.diff_sha256.to_string(),
        "sha256:2988a4b313d5a425c91397852149c8b0910eaaa7658b4c49a51b65653e84bbe6"
    );
}

#[test]
fn large_files_are_runs_of_their_own_and_others_are_not() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    let (built, _) = build_tree(&tree, &BuildOptions { level: 1, threads: 2, ..BuildOptions::default() });
    let index = index::check(&built.index, &Default::default()).unwrap();
    let mut starts = BTreeSet::from([0]);
    let mut end = 0;
    for chunk in index.chunks() {
        end += u64::from(chunk.unwrap().length);
        starts.insert(end);
    }
    let mut seen = (0, 0);
    for entry in index.entries().map(Result::unwrap) {
        if let EntryKind::File { size, data_offset, .. } = entry.kind {
            let is_large = size >= 65_536;
            let shown = entry.path.escape_ascii();
            assert_eq!(starts.contains(&data_offset), is_large, "start of {shown}");
            assert_eq!(starts.contains(&(data_offset + size)), is_large, "end of {shown}");
            if is_large { seen.0 += 1 } else { seen.1 += 1 }
        }
    }
    assert!(seen.0 >= 6 && seen.1 >= 20, "{seen:?}");
}

#[test]
fn a_file_that_moves_keeps_its_chunks() {
    let chunks = |name: &str, prefix: usize| {
        let dir = tempdir().unwrap();
        std::fs::write(dir.path().join("before"), noise(1, prefix)).unwrap();
        std::fs::write(dir.path().join(name), noise(2, 2 << 20)).unwrap();
        let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
        let (built, _) = build_tree(&tree, &BuildOptions { level: 1, threads: 2, ..BuildOptions::default() });
        let index = index::check(&built.index, &Default::default()).unwrap();
        index.chunks().map(|chunk| chunk.unwrap().id).collect::<BTreeSet<_>>()
    };
    let (old, new) = (chunks("file", 1000), chunks("renamed", 30_000));
    assert!(old.len() > 20);
    // All but the run before the file.
    assert_eq!(old.intersection(&new).count(), old.len() - 1);
}

#[test]
fn a_tree_from_a_spool_is_the_layer_of_the_directory() {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    let mut spool = Spool::new(tempfile::tempfile().unwrap());
    // Spooled in another order than that of the stream, as an archive would have it.
    let mut entries: Vec<_> = tree.entries().iter().cloned().enumerate().rev().collect();
    entries.sort_by_key(|(ordinal, _)| ordinal % 7);
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|(ordinal, entry)| {
            let is_file = matches!(entry.kind, EntryKind::File { .. });
            let content = is_file.then(|| {
                let path = std::ffi::OsStr::from_bytes(&entry.path);
                spool.add(std::fs::File::open(dir.path().join(path)).unwrap()).unwrap()
            });
            (ordinal, (entry, content))
        })
        .collect();
    entries.sort_by_key(|(ordinal, _)| *ordinal);
    let entries: Vec<_> = entries.into_iter().map(|(_, entry)| entry).collect();
    let options = BuildOptions { level: 3, threads: 2, ..BuildOptions::default() };
    let spooled = Tree::from_spool(spool, entries.clone(), tree.mtime_rule).unwrap();
    assert!(build_tree(&spooled, &options) == build_tree(&tree, &options));

    let mut twice = entries;
    twice.insert(2, twice[1].clone());
    let refused =
        Tree::from_spool(Spool::new(tempfile::tempfile().unwrap()), twice, tree.mtime_rule).unwrap_err();
    assert!(matches!(refused, BuildError::Twice { .. }), "{refused}");
}
