//! A power cut is a unit test: workloads are recorded write by write, then the power goes at each point, with any part of
//! what was not flushed lost, torn, reordered or left as garbage; the store must open in the old or the new state,
//! whole, and go on. docs/power-cuts.md describes model, checks and mutations.
//!
//! `PLYOS_CRASH_SEED` repeats a run; `PLYOS_SOAK_SECONDS` makes it go on for so long (`make soak`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod campaign;
mod cut;
mod device;
mod layers;
mod mutation;
mod record;
mod repair;
mod resurrection;
mod verify;
mod workload;

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use campaign::Until;
use mutation::Mutation;

/// Fewest states of a run.
const STATES: usize = 20_000;

/// Says something even when the test passes: a test's own output is only what `print!` writes.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn a_cut_anywhere_leaves_the_old_state_or_the_new_one() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number_in("PLYOS_CRASH_SEED").unwrap_or_else(now);
    say(&format!("PLYOS_CRASH_SEED={seed}"));
    let start = Instant::now();
    let soak = number_in("PLYOS_SOAK_SECONDS");
    let until = soak.map_or(Until::States(STATES), |time| Until::Time(start + Duration::from_secs(time)));
    let tried = campaign::run(seed, until, None).unwrap_or_else(|error| panic!("{error}"));
    let seconds = start.elapsed().as_secs_f64();
    say(&format!(
        "{} states after {} cut points, {} of them after a second cut; {} rounds, {seconds:.1} s",
        tried.states, tried.cut_points, tried.second, tried.rounds
    ));
    assert!(soak.is_some() || tried.states >= STATES, "only {} states", tried.states);
}

#[test]
fn each_mutation_is_noticed() {
    for mutation in Mutation::ALL {
        let found = campaign::run(1, Until::States(STATES), Some(mutation));
        let error = found.err().unwrap_or_else(|| panic!("{mutation:?} was not noticed"));
        println!("--- {mutation:?}: {error}");
        let seen = mutation.seen_by().iter().any(|check| error.contains(check));
        assert!(seen, "{mutation:?} was noticed by another check than docs/power-cuts.md says: {error}");
    }
}
