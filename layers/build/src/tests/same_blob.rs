//! The same tree gives the same blob: whatever the number of threads, with a cache that is empty, full, damaged or deleted.

use std::fs;
use std::path::Path;

use plyos_layer_format::frames::Form;
use tempfile::{TempDir, tempdir};

use super::{build_tree, nasty, noise};
use crate::{BuildOptions, FrameCache, ScanOptions, Tree, scan};

/// With files on both sides of every size that the pipeline treats in its own way.
fn tree() -> (TempDir, Tree) {
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let prose = b"all work and no play makes a dull test. ".repeat(150_000);
    for (name, length) in [("huge", 5 << 20), ("held", 4 << 20), ("large", 65_536), ("small", 65_535)] {
        fs::write(dir.path().join(name), &prose[..length]).unwrap();
        fs::write(dir.path().join(format!("noise-{name}")), noise(length as u64, length)).unwrap();
    }
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    (dir, tree)
}

fn blob(tree: &Tree, form: Form, threads: usize, cache: Option<&FrameCache>) -> Vec<u8> {
    build_tree(tree, &BuildOptions { level: 5, threads, form, cache }).1
}

fn open(folder: &Path) -> FrameCache {
    FrameCache::open(folder, 1 << 30).unwrap()
}

#[test]
fn with_and_without_a_cache_on_any_number_of_threads() {
    let (_dir, tree) = tree();
    for form in [Form::Zstd, Form::Gzip] {
        let folder = tempdir().unwrap();
        let expected = blob(&tree, form, 1, None);
        for threads in [1, 2, 7] {
            assert!(blob(&tree, form, threads, None) == expected, "{threads} threads, {form:?}");
            let cache = open(folder.path());
            assert!(
                blob(&tree, form, threads, Some(&cache)) == expected,
                "{threads} threads, {form:?}, cache"
            );
            let usage = cache.usage();
            assert_eq!(usage.found > usage.made, threads > 1, "the second build finds its frames: {usage:?}");
        }
    }
}

#[test]
fn with_a_cache_of_which_every_frame_is_damaged() {
    let (_dir, tree) = tree();
    let folder = tempdir().unwrap();
    let expected = blob(&tree, Form::Zstd, 2, Some(&open(folder.path())));
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "frames") {
            let bytes: Vec<u8> = fs::read(&path).unwrap().iter().map(|byte| byte ^ 1).collect();
            fs::write(&path, bytes).unwrap();
        }
    }
    let cache = open(folder.path());
    assert!(blob(&tree, Form::Zstd, 2, Some(&cache)) == expected);
    let usage = cache.usage();
    assert!(usage.damaged > 20 && usage.damaged <= usage.made, "{usage:?}");
    drop(cache);
    let cache = open(folder.path());
    assert!(blob(&tree, Form::Zstd, 2, Some(&cache)) == expected);
    assert_eq!((cache.usage().made, cache.usage().damaged), (0, 0), "all were made again");
}

#[test]
fn with_a_cache_that_is_deleted_in_the_middle() {
    let (_dir, tree) = tree();
    let folder = tempdir().unwrap();
    let expected = blob(&tree, Form::Zstd, 2, Some(&open(folder.path())));
    let cache = open(folder.path());
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(blob(&tree, Form::Zstd, 2, Some(&cache)) == expected);
    assert_eq!(cache.usage().found, 0);
}

#[test]
fn two_builds_at_once_with_one_cache() {
    let (_dir, tree) = tree();
    let folder = tempdir().unwrap();
    let expected = blob(&tree, Form::Zstd, 1, None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(blob(&tree, Form::Zstd, 2, Some(&open(folder.path()))) == expected));
        }
    });
    assert!(blob(&tree, Form::Zstd, 2, Some(&open(folder.path()))) == expected);
}

#[test]
fn levels_and_forms_do_not_share_frames() {
    let (_dir, tree) = tree();
    let folder = tempdir().unwrap();
    let cache = open(folder.path());
    for (level, form) in [(3, Form::Zstd), (5, Form::Zstd), (3, Form::Gzip), (5, Form::Gzip)] {
        let plain = BuildOptions { level, threads: 2, form, cache: None };
        let cached = BuildOptions { cache: Some(&cache), ..plain };
        assert!(build_tree(&tree, &plain).1 == build_tree(&tree, &cached).1, "level {level}, {form:?}");
    }
}
