//! The kernel's logic before whole stores with random edits. `PLYOS_STORE_RUNS` says how many, by default some hundred, and
//! `PLYOS_STORE_FROM` the number of the first one: the same number is the same edits, on every machine and in every order.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use plyos_test_fuzz::kernel;

/// Runs without the variable: some seconds.
const RUNS: u64 = 600;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().unwrap())
}

#[test]
fn edited_stores_give_errors_and_never_panics_or_other_bytes() {
    assert!(kernel::is_whole(), "the store before any edit");
    let (from, runs) = (number("PLYOS_STORE_FROM", 0), number("PLYOS_STORE_RUNS", RUNS));
    let mut mounted = 0;
    for number in from..from + runs {
        match catch_unwind(AssertUnwindSafe(|| kernel::mounts(&kernel::run(number)))) {
            Ok(mounts) => mounted += u64::from(mounts),
            Err(panic) => {
                eprintln!("run {number}: PLYOS_STORE_FROM={number} PLYOS_STORE_RUNS=1 does it again");
                resume_unwind(panic);
            }
        }
    }
    println!("{runs} stores, {mounted} of them mounted");
    assert!(
        runs < RUNS || (mounted > 0 && mounted < runs),
        "{mounted} of {runs} mounted: the edits do nothing"
    );
}
