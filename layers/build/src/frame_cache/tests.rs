use std::fs;
use std::path::PathBuf;

use plyos_ids::ChunkId;
use tempfile::{TempDir, tempdir};

use super::*;

const LARGE: u64 = 1 << 30;

fn key(number: u8) -> Key {
    Key { chunk: ChunkId::from_bytes([number; 32]), coding: 1 }
}

/// A cache with the frames 1 to 5, closed.
fn filled() -> TempDir {
    let folder = tempdir().unwrap();
    let cache = FrameCache::open(folder.path(), LARGE).unwrap();
    for number in 1..=5 {
        assert_eq!(cache.get(&key(number)), None);
        cache.put(&key(number), &[number; 100]);
        assert_eq!(cache.get(&key(number)), Some(vec![number; 100]), "before it is closed");
    }
    folder
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn change(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn frames_outlive_the_process() {
    let folder = filled();
    let cache = FrameCache::open(folder.path(), LARGE).unwrap();
    assert_eq!(cache.get(&key(3)), Some(vec![3; 100]));
    assert_eq!(cache.get(&Key { coding: 2, ..key(3) }), None, "of another coding");
    assert_eq!(cache.get(&key(9)), None);
    let usage = cache.usage();
    assert_eq!((usage.frames, usage.found, usage.made, usage.damaged), (5, 1, 2, 0));
}

#[test]
fn damage_is_noticed_and_made_good() {
    let folder = filled();
    change(&files(folder.path(), "frames")[0], 250);
    let cache = FrameCache::open(folder.path(), LARGE).unwrap();
    assert_eq!(cache.get(&key(2)), Some(vec![2; 100]));
    assert_eq!(cache.get(&key(3)), None, "a bit of it was turned");
    assert_eq!(cache.usage().damaged, 1);
    cache.put(&key(3), &[3; 100]);
    drop(cache);
    let cache = FrameCache::open(folder.path(), LARGE).unwrap();
    assert_eq!(cache.get(&key(3)), Some(vec![3; 100]), "the newer one counts");
}

#[test]
fn every_bit_of_a_key_counts() {
    for at in 8..8 + record::RECORD {
        let folder = filled();
        change(&files(folder.path(), "keys")[0], at);
        let cache = FrameCache::open(folder.path(), LARGE).unwrap();
        let found = cache.get(&key(1));
        assert_eq!(found, None, "byte {at}");
        assert_eq!(cache.get(&key(2)), Some(vec![2; 100]));
    }
}

#[test]
fn files_that_are_cut_off_or_gone() {
    for (ending, length) in
        [("frames", Some(150)), ("keys", Some(8 + 72 + 40)), ("frames", None), ("keys", None)]
    {
        let folder = filled();
        let path = &files(folder.path(), ending)[0];
        match length {
            Some(length) => fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let cache = FrameCache::open(folder.path(), LARGE).unwrap();
        assert_eq!(cache.get(&key(1)).is_some(), length.is_some(), "{ending} {length:?}");
        assert_eq!(cache.get(&key(2)), None, "{ending} {length:?}");
    }
}

#[test]
fn deleted_while_it_is_used() {
    let folder = filled();
    let cache = FrameCache::open(folder.path(), LARGE).unwrap();
    cache.put(&key(6), &[6; 100]);
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(cache.get(&key(1)), None);
    cache.put(&key(1), &[1; 100]);
    assert!(cache.trim().is_err(), "there is no folder");
}

#[test]
fn two_at_once_share_a_folder() {
    let folder = filled();
    let (one, other) =
        (FrameCache::open(folder.path(), LARGE).unwrap(), FrameCache::open(folder.path(), LARGE).unwrap());
    for number in 10..60 {
        one.put(&key(number), &[number; 50]);
        other.put(&key(number + 20), &[number + 20; 50]);
    }
    drop((one, other));
    let cache = FrameCache::open(folder.path(), LARGE).unwrap();
    for number in 10..80 {
        assert_eq!(cache.get(&key(number)), Some(vec![number; 50]), "{number}");
    }
}

#[test]
fn the_oldest_go_when_there_is_no_room() {
    let folder = tempdir().unwrap();
    let cache = FrameCache::open(folder.path(), 32_000).unwrap();
    for number in 0..100 {
        cache.put(&key(number), &[number; 1000]);
    }
    fs::write(folder.path().join("notes.keys"), "not a segment").unwrap();
    drop(cache);
    let cache = FrameCache::open(folder.path(), 32_000).unwrap();
    let usage = cache.usage();
    assert!((20_000..=32_000).contains(&usage.bytes), "{usage:?}");
    assert_eq!(cache.get(&key(0)), None);
    assert_eq!(cache.get(&key(99)), Some(vec![99; 1000]));
    drop(cache);
    FrameCache::clear(folder.path()).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the notes");
}
