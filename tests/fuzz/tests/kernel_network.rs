//! The kernel's network before random steps of whoever is on the wire: `PLYOS_NET_RUNS` says how many, by default some ten thousand.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use plyos_test_fuzz::network::{Reached, run};

/// Runs without the variable: some seconds.
const RUNS: u64 = 20_000;

#[test]
fn frames_of_whoever_is_on_the_wire_end_in_answers_or_nothing() {
    let runs = std::env::var("PLYOS_NET_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let seed = std::env::var("PLYOS_NET_SEED").unwrap_or_default();
    let mut random = blake3::Hasher::new().update(b"frames").update(seed.as_bytes()).finalize_xof();
    let mut reached = Reached::default();
    for _ in 0..runs {
        let mut input = [0; 1500];
        random.fill(&mut input);
        let length = usize::from(u16::from_le_bytes([input[0], input[1]])) % input.len();
        let this = run(&input[..length]);
        reached.leases += this.leases;
        reached.unfit += this.unfit;
        reached.answers += this.answers;
        reached.full += this.full;
    }
    println!("{runs} runs: {reached:?}");
    // Otherwise nothing but the outermost checks was tested.
    assert!(
        reached.leases > runs / 10 && reached.unfit > runs / 100 && reached.answers > runs / 10,
        "{reached:?}"
    );
    assert!(reached.full > 0, "{reached:?}");
}
