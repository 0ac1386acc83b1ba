//! `bench`: how fast a file of the store is read, beside what decompressing and hashing its bytes alone take.
//!
//! What is read is verified, as everywhere. Times are the machine's own, so under emulation they say what this run took and no
//! more. Random places come from a fixed seed: two runs read the same ones.

use alloc::vec::Vec;
use core::time::Duration;

use super::content::{File, PIECE, absolute};
use crate::{
    failure::{Failure, said},
    machine::Machine,
    system::System,
    terminal::{Out, Terminal},
};

/// Bytes of a random read.
const RANDOM: usize = 4096;

/// Bytes of the file that are held in memory to be hashed alone.
const HELD: usize = 4 << 20;

/// `bench`.
pub(crate) fn run<S: System>(
    system: &S,
    machine: &impl Machine,
    path: &[u8],
    reads: u32,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let tree = system.shown();
    let file = File::open(&*tree, path)?;
    if file.size < RANDOM as u64 {
        return Err(said!(
            "cannot measure with {}: it is smaller than {RANDOM} bytes; name a larger file",
            absolute(path)
        ));
    }
    let mut decompression = (Duration::ZERO, 0);
    for warmth in ["cold", "warm"] {
        if warmth == "cold" {
            system.clear_cache();
        }
        let before = machine.decompression();
        let begun = machine.uptime();
        file.each(&*tree, 0..file.size, |_| Ok(out.breathe()?))?;
        rate("sequential", warmth, file.size, machine.uptime().saturating_sub(begun), out)?;
        if warmth == "cold" {
            let (time, bytes) = machine.decompression();
            decompression = (time.saturating_sub(before.0), bytes.saturating_sub(before.1));
        }
    }
    for warmth in ["cold", "warm"] {
        if warmth == "cold" {
            system.clear_cache();
        }
        let mut places = Places { state: 0x9e37_79b9_7f4a_7c15, end: file.size - RANDOM as u64 + 1 };
        let mut piece: Vec<u8> = alloc::vec![0; RANDOM];
        let begun = machine.uptime();
        for number in 0..reads {
            file.read(&*tree, places.next(), &mut piece)?;
            if number % 64 == 0 {
                out.breathe()?;
            }
        }
        let took = machine.uptime().saturating_sub(begun);
        let each = per_second(reads.into(), took);
        out.line(format_args!("random 4 KiB {warmth}: {each} reads/s, {reads} in {} ms", took.as_millis()))?;
    }
    let mut held: Vec<u8> = Vec::new();
    let most = file.size.min(HELD as u64);
    file.each(&*tree, 0..most, |piece| {
        held.extend_from_slice(piece);
        Ok(())
    })?;
    let begun = machine.uptime();
    let mut hashed = 0;
    while hashed < file.size {
        for piece in held.chunks(PIECE) {
            core::hint::black_box(blake3::hash(piece));
            hashed += piece.len() as u64;
        }
        out.breathe()?;
    }
    rate("blake3", "alone", hashed, machine.uptime().saturating_sub(begun), out)?;
    // What it took of the first cold read.
    rate("decompression", "alone", decompression.1, decompression.0, out)
}

fn rate(
    what: &str,
    how: &str,
    bytes: u64,
    took: Duration,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let kib = per_second(bytes >> 10, took);
    Ok(out.line(format_args!("{what} {how}: {} KiB/s, {bytes} bytes in {} ms", kib, took.as_millis()))?)
}

/// How many a second.
fn per_second(count: u64, took: Duration) -> u128 {
    u128::from(count) * 1_000_000_000 / took.as_nanos().max(1)
}

/// Places in a file, the same in each run: splitmix64.
struct Places {
    state: u64,
    end: u64,
}

impl Places {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % self.end.max(1)
    }
}
