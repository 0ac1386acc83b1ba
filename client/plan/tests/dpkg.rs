//! The order of versions against `dpkg --compare-versions`, where dpkg is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use plyos_plan::version::compare;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::process::{Command, Stdio};

/// Pairs that dpkg is asked about: a process each.
const PAIRS: usize = 200;

/// A version as dpkg takes it: `[EPOCH:]UPSTREAM[-REVISION]`, upstream begins with a digit.
fn version() -> impl Strategy<Value = String> {
    let epoch = prop_oneof![3 => Just(""), 1 => Just("0:"), 1 => Just("2:")];
    (epoch, "[0-2][0-1a-b.+~]{0,5}", prop_oneof!["", "-[0-1a.+~]{1,3}"])
        .prop_map(|(epoch, upstream, revision)| format!("{epoch}{upstream}{revision}"))
}

/// Two versions that are often nearly the same.
fn pair() -> impl Strategy<Value = (String, String)> {
    let changed = (version(), "[0-1a~.+]{1,2}").prop_map(|(one, end)| {
        let other = format!("{one}{end}");
        (one, other)
    });
    let padded = version().prop_map(|one| (one.clone(), one.replacen('1', "01", 1)));
    prop_oneof![2 => (version(), version()), 2 => changed, 1 => padded]
}

#[test]
fn as_dpkg_orders_them() {
    let asked = Command::new("dpkg").arg("--version").stdout(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        eprintln!("there is no dpkg here to judge");
        return;
    }
    let mut runner = TestRunner::deterministic();
    for _ in 0..PAIRS {
        let (one, other) = pair().new_tree(&mut runner).unwrap().current();
        let order = compare(&one, &other);
        let operator = match order {
            std::cmp::Ordering::Less => "lt",
            std::cmp::Ordering::Equal => "eq",
            std::cmp::Ordering::Greater => "gt",
        };
        let judged =
            Command::new("dpkg").args(["--compare-versions", &one, operator, &other]).output().unwrap();
        let said = String::from_utf8_lossy(&judged.stderr);
        assert!(judged.status.success(), "'{one}' and '{other}' are {order:?}? {said}");
        assert!(said.is_empty(), "dpkg does not take '{one}' or '{other}': {said}");
        assert_eq!(compare(&other, &one), order.reverse());
    }
}
