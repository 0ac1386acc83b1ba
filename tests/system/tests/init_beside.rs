//! Init and two `pkg` at one store, all of them processes: whatever returned is there at the end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::{RecordType, Store};
use plyos_test_system::programs::{Running, command};
use plyos_test_system::publisher::Layer;
use plyos_test_system::standing::assert_unlocked;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, WITNESS, noise};
use plyos_test_system::world::World;

/// Rounds of each `pkg`; more of them find no more.
const ROUNDS: usize = 6;

/// Runs a `pkg` command until it was not refused because others had changed the slots meanwhile. Gives the generation that
/// it made active; `None` when there was nothing for it to do.
fn insist(target: &Target, args: &[&str], refused: &mut u64) -> Option<u64> {
    loop {
        let ended = target.pkg(&[&["--json"], args].concat());
        match ended.code {
            Some(0) => return ended.json()["generation"].as_u64(),
            // Init has gone back to a generation that lacks what should be removed.
            Some(3) => return None,
            Some(7) if ended.stderr.contains("changed meanwhile") => *refused += 1,
            code => panic!("{args:?} ended with {code:?}: {}", ended.stderr),
        }
    }
}

/// One `pkg` after the other; gives what became active, and how often one was refused.
fn change(target: &Target, name: &str) -> (Vec<u64>, u64) {
    let (mut made, mut refused) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        made.extend(insist(target, &["install", name], &mut refused));
        made.extend(insist(target, &["upgrade"], &mut refused));
        made.extend(insist(target, &["remove", name], &mut refused));
        insist(target, &["clean", "--keep", "4"], &mut refused);
    }
    (made, refused)
}

#[test]
fn init_promotes_while_two_pkg_change_the_system() {
    let world = World::new();
    let target = &world.target;
    for name in ["one", "two"] {
        let tree = Tree::new().file(&format!("usr/{name}"), noise(name.len() as u64, 50_000));
        world.offer(&tree, &Layer::package(name, "1"));
    }
    target.pkg(&["install", "one"]).ok();
    let stop = target.beside("stop");
    let mut playing = command(env!("CARGO_BIN_EXE_plays_init"), &target.beside(""));
    let init = Running::start(playing.args([target.store(), stop.clone()]));
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| change(target, "one"));
        let second = scope.spawn(|| change(target, "two"));
        (first.join().unwrap(), second.join().unwrap())
    });
    std::fs::write(stop, "").unwrap();
    let said = init.end().ok().text();
    let said = |word: &str| -> Vec<u64> {
        said.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
    };
    let (counted, promoted) = (said("counted "), said("promoted "));
    let store = Store::open(target.store()).unwrap();
    let audit = store.record(RecordType::Audit, &[1; 32]).unwrap().unwrap();
    assert_eq!(String::from_utf8(audit).unwrap(), counted.last().unwrap().to_string());
    let history = store.history().unwrap();
    let of_init: Vec<u64> =
        history.entries().filter(|entry| entry.command == "init").map(|entry| entry.number).collect();
    assert_eq!(of_init, promoted, "promotions that returned, and those in the history");
    for number in first.0.iter().chain(&second.0) {
        assert!(history.entries().any(|entry| entry.number == *number), "generation {number} is lost");
    }
    // Each entry starts where the one before it ended: no flip was made on a system that was not there any more.
    let entries: Vec<_> = history.entries().collect();
    for pair in entries.windows(2) {
        let [before, after] = pair else { continue };
        assert_eq!(after.from, before.number, "{before:?} and then {after:?}");
    }
    let refused = said("refused ").iter().sum::<u64>() + first.1 + second.1;
    println!(
        "{} commits of init, {} promotions, {} of pkg, {refused} refused and planned again",
        counted.len(),
        promoted.len(),
        first.0.len() + second.0.len()
    );
    assert!(promoted.len() >= 5 && refused >= 1, "they did not meet");
    assert_unlocked(&target.store());
    assert_eq!(target.cat(WITNESS), b"the base's own words\n");
    target.pkg(&["verify"]).ok();
}
