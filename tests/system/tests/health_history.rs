//! Health policies and the way back: what `pkg rollback` takes, during a trial and after it, and what else may not happen
//! to a trial.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::site_world::{VERSION, offer, slot};
use plyos_test_system::world::World;
use std::fs;
use std::path::PathBuf;

const STORE: i32 = 7;

/// A base as generation 1, a site in version 1 as generation 2, and as generation 3 a policy that passes while the file is there.
fn world() -> (World, PathBuf) {
    let world = World::new();
    offer(&world, 1);
    world.target.pkg(&["install", "docs"]).ok();
    let well = world.target.beside("well");
    fs::write(&well, "").unwrap();
    let check = format!("test -e {}", well.display());
    world.target.pkg(&["health", "set", "--command", &check, "--timeout", "1", "--for", "0"]).ok();
    (world, well)
}

#[test]
fn nobody_goes_back_to_what_was_never_good() {
    let (world, well) = world();
    let target = &world.target;
    // 4 fails its check; its slot is used again by 5 and 6.
    fs::remove_file(&well).unwrap();
    offer(&world, 2);
    target.pkg(&["upgrade"]).refused(STORE);
    target.pkg(&["health", "clear"]).ok();
    offer(&world, 3);
    target.pkg(&["upgrade"]).ok();
    assert_eq!(target.generation(), 6);
    let line = target.refuses(STORE, &["rollback", "4"]);
    assert!(line.contains("never found good") && line.contains("--force"), "{line}");
    // Generation 3 was good from the start, though it has a policy, and 5 because it has none.
    for number in ["3", "5"] {
        target.pkg(&["rollback", number]).ok();
    }
    target.pkg(&["rollback", "4", "--force"]).ok();
    assert_eq!((target.generation(), target.cat(VERSION)), (4, b"2".to_vec()));
    assert_eq!(slot(target, 4), "good");
}

#[test]
fn layers_that_turned_out_bad_are_no_way_back_either() {
    let (world, well) = world();
    let target = &world.target;
    offer(&world, 2);
    target.pkg(&["upgrade"]).ok();
    // The layers of 2 and 3 once more, and now they fail.
    fs::remove_file(&well).unwrap();
    target.pkg(&["install", "docs=1"]).refused(STORE);
    let line = target.refuses(STORE, &["rollback"]);
    assert!(line.contains("turned out bad") && line.contains("--force"), "{line}");
    target.pkg(&["rollback", "--force"]).ok();
    assert_eq!(target.generation(), 3);
}

#[test]
fn a_rollback_ends_a_trial() {
    let (world, _) = world();
    let target = &world.target;
    offer(&world, 2);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    assert_eq!(target.cat(VERSION), b"2");
    let line = target.refuses(STORE, &["rollback", "4"]);
    assert!(line.contains("generation 4 is on trial"), "{line}");
    let said = target.pkg(&["rollback", "--dry-run"]).ok().text();
    assert!(said.contains("Generation 3 would be active again (now 4, on trial)."), "{said}");
    assert_eq!(target.cat(VERSION), b"2");

    let said = target.pkg(&["rollback"]).ok().text();
    assert!(said.contains("Generation 3 is active again (was 4"), "{said}");
    assert_eq!((target.generation(), target.cat(VERSION)), (3, b"1".to_vec()));
    assert_eq!(target.json(&["health", "show"])["policy"]["timeout"], 1, "the policy is there as before");
    assert_eq!(slot(target, 4), "bad: set by the operator");
    let history = target.json(&["history"]);
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["generation"], &last["from"], &last["command"]),
        (&3.into(), &4.into(), &"pkg rollback".into())
    );
    // Nothing is known against its layers.
    target.pkg(&["upgrade"]).ok();
    assert_eq!((target.generation(), target.cat(VERSION)), (5, b"2".to_vec()));
    // By its number as well, and further back only when asked for.
    offer(&world, 3);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    target.pkg(&["rollback", "5"]).ok();
    assert_eq!(target.generation(), 5);
    offer(&world, 4);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    let said = target.pkg(&["rollback", "2"]).ok().text();
    assert!(said.contains("Generation 2 is active again (was 7)."), "{said}");
    assert!(said.contains("no health policy"), "{said}");
}
