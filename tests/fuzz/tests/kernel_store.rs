//! The kernel's logic before whole stores with random edits: `PLYOS_STORE_RUNS` says how many, by default a few thousand.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

/// Runs without the variable: some seconds.
const RUNS: u64 = 2_000;

#[test]
fn edited_stores_give_errors_and_never_panics_or_other_bytes() {
    assert!(plyos_test_fuzz::kernel::is_whole(), "the store before any edit");
    let runs = std::env::var("PLYOS_STORE_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let mut random = blake3::Hasher::new().update(b"edited stores").finalize_xof();
    for _ in 0..runs {
        let mut input = [0; 1 + 6 * 8];
        random.fill(&mut input);
        // One to eight edits; one alone is the most common.
        let edits = 1 + (input[0].leading_zeros() as usize).min(7);
        plyos_test_fuzz::run("kernel_store", &input[1..=6 * edits]);
    }
}
