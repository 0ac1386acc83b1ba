//! A power cut is a unit test: a workload is recorded write by write, then the power goes after each write, with any part
//! of what was not flushed lost or torn, and the store must open in the old or the new state, whole, and go on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod cut;
mod verify;
mod workload;

use cut::{Random, Recording};
use plyos_storefile::Operation;

/// Images with lost and torn writes that are tried at each cut, besides "nothing lost" and "all that can be lost".
const SAMPLES: usize = 12;

fn seed() -> u64 {
    let given = std::env::var("PLYOS_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
    });
    println!("PLYOS_CRASH_SEED={seed}");
    seed
}

#[test]
fn a_cut_anywhere_leaves_the_old_state_or_the_new_one() {
    let mut random = Random(seed());
    let recording = Recording::make();
    let tried = recording.cut_everywhere(&mut random, SAMPLES).unwrap_or_else(|error| panic!("{error}"));
    println!("{tried} images tried");
    assert!(tried > 500, "only {tried} images tried");
}

/// The position of each superblock write in the log but the first, which makes the store.
fn flips(recording: &Recording) -> Vec<usize> {
    let is_flip = |operation: &Operation| matches!(operation, Operation::Write { offset: 0 | 65_536, bytes } if bytes.starts_with(b"PLYSTORE"));
    (0..recording.log.len()).filter(|at| is_flip(&recording.log[*at])).skip(1).collect()
}

#[test]
fn without_the_flush_before_a_flip_this_test_is_red() {
    let mut random = Random(seed());
    let mut recording = Recording::make();
    for flip in flips(&recording).into_iter().rev() {
        assert_eq!(recording.log[flip - 1], Operation::Flush);
        recording.forget(flip - 1);
    }
    let error = recording.cut_everywhere(&mut random, SAMPLES).expect_err("a missing flush was not noticed");
    println!("noticed: {error}");
}

#[test]
fn without_the_flush_after_a_flip_this_test_is_red() {
    let mut random = Random(seed());
    let mut recording = Recording::make();
    for flip in flips(&recording).into_iter().rev() {
        assert_eq!(recording.log[flip + 1], Operation::Flush);
        recording.forget(flip + 1);
    }
    let error = recording.cut_everywhere(&mut random, SAMPLES).expect_err("a missing flush was not noticed");
    println!("noticed: {error}");
}
