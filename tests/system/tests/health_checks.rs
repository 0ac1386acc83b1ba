//! How a check is asked: by one process at a time, for as long as it needs, more than once, with all it started ended, and
//! only where the machine allows its command.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::{CreateOptions, Store};
use plyos_test_system::programs::wait_for;
use plyos_test_system::publisher::Layer;
use plyos_test_system::site_world::{VERSION, offer, slot, world};
use plyos_test_system::target::Target;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

const FAILURE: i32 = 1;
const USAGE: i32 = 2;
const STORE: i32 = 7;

/// Sets a command as the policy, whether it passes or not.
fn set(target: &Target, command: &str, options: &[&str]) {
    target.pkg(&[&["health", "set", "--force", "--command", command], options].concat()).ok();
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_check_that_runs_is_left_alone() {
    let world = world();
    let target = &world.target;
    let (asked, well) = (target.beside("asked"), target.beside("well"));
    // One try, and a check that goes on until the test lets it pass.
    let check = format!("echo >> {}; until test -e {}; do sleep 0.05; done", asked.display(), well.display());
    set(target, &check, &["--tries", "1", "--for", "0", "--timeout", "600"]);
    offer(&world, 2);
    let upgrade = target.start(&["upgrade"]);
    wait_for("the check", || (lines(&asked) == 1).then_some(()));
    // The timer comes by.
    let said = target.pkg(&["health", "run"]).ok().text();
    assert!(said.contains("check of generation 4 is running already"), "{said}");
    let said = target.json(&["health", "run"]);
    assert_eq!((&said["on_trial"], said["promoted"].is_null()), (&4.into(), true));
    assert_eq!(slot(target, 4), "trial, 0 of 1 tries left");
    fs::write(&well, "").unwrap();
    assert!(upgrade.end().ok().text().contains("Generation 4 is well and stays."));
    assert_eq!((target.generation(), lines(&asked)), (4, 1));
}

#[test]
fn a_command_tells_what_another_process_decided() {
    let world = world();
    let target = &world.target;
    let (asked, well) = (target.beside("asked"), target.beside("well"));
    let check = format!("echo >> {}; until test -e {}; do sleep 0.05; done", asked.display(), well.display());
    set(target, &check, &["--for", "0", "--timeout", "600"]);
    offer(&world, 2);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    let run = target.start(&["health", "run"]);
    wait_for("the check", || (lines(&asked) == 1).then_some(()));
    // A person ends the trial while the check runs: the run tells it, and condemns nothing.
    target.pkg(&["rollback"]).ok();
    fs::write(&well, "").unwrap();
    let line = run.end().refused(STORE);
    assert!(line.contains("generation 4 was given up: pkg rollback"), "{line}");
    assert_eq!((target.generation(), target.cat(VERSION)), (3, b"1".to_vec()));
}

#[test]
fn one_document_has_the_change_and_the_verdict() {
    let world = world();
    let target = &world.target;
    let well = target.beside("well");
    fs::write(&well, "").unwrap();
    set(target, &format!("test -e {}", well.display()), &["--for", "0", "--timeout", "1"]);
    offer(&world, 2);
    let said = target.json(&["upgrade"]);
    assert_eq!((&said["generation"], &said["trial"]["promoted"]), (&4.into(), &true.into()));
    fs::remove_file(&well).unwrap();
    offer(&world, 3);
    let ended = target.pkg(&["--json", "upgrade"]);
    assert_eq!(ended.code, Some(STORE));
    let said: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&said["generation"], &said["trial"]["promoted"]), (&5.into(), &false.into()));
    assert!(said["trial"]["reason"].as_str().unwrap().contains("failed for 1 s"), "{said}");
    // Undecided, and the next step.
    offer(&world, 4);
    let said = target.pkg(&["upgrade", "--no-wait"]).ok().text();
    assert!(said.contains("`pkg health run` decides about it"), "{said}");
}

#[test]
fn a_check_may_take_its_time() {
    let world = world();
    let target = &world.target;
    // More than ten seconds, which was once the end of any look.
    set(target, "sleep 11", &["--for", "0", "--timeout", "50"]);
    offer(&world, 2);
    target.pkg(&["upgrade"]).ok();
    assert_eq!((slot(target, 4), target.cat(VERSION)), ("good".to_owned(), b"2".to_vec()));
}

#[test]
fn a_single_success_is_not_enough() {
    let world = world();
    let target = &world.target;
    let asked = target.beside("asked");
    // Passes once for each generation, and never again.
    let check = format!("test ! -e {0}-$PKG_GENERATION && touch {0}-$PKG_GENERATION", asked.display());
    set(target, &check, &["--for", "1", "--timeout", "2"]);
    offer(&world, 2);
    let line = target.pkg(&["upgrade"]).refused(STORE);
    assert!(line.contains("passed, but not for 1 s on end"), "{line}");
    assert_eq!(
        (slot(target, 4), target.cat(VERSION)),
        ("bad: health check failed".to_owned(), b"1".to_vec())
    );
    // Unless once is what was asked for.
    set(target, &check, &["--for", "0", "--timeout", "2"]);
    offer(&world, 3);
    target.pkg(&["upgrade"]).ok();
    assert_eq!(target.cat(VERSION), b"3");
    assert_eq!(target.json(&["health", "show"])["policy"]["for"], 0);
}

/// Whether the process is there that wrote its number to this file.
fn lives(path: &Path) -> bool {
    let id = fs::read_to_string(path).unwrap();
    // A process that has ended and waits to be reaped is not there any more.
    fs::read_to_string(format!("/proc/{}/stat", id.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn what_a_check_started_ends_with_whoever_asked() {
    let world = world();
    let target = &world.target;
    let (behind, front) = (target.beside("behind"), target.beside("front"));
    let note =
        |path: &Path| format!("sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 987'", path.display());
    set(target, &format!("{} & {}; true", note(&behind), note(&front)), &["--timeout", "600"]);
    offer(&world, 2);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    for signal in ["KILL", "INT", "TERM", "HUP"] {
        let mut run = target.start(&["health", "run"]);
        wait_for("the check", || (behind.exists() && front.exists()).then_some(()));
        assert!(lives(&behind) && lives(&front));
        run.signal(signal);
        let ended = run.end();
        if signal != "KILL" {
            assert_eq!(ended.code, Some(FAILURE), "{signal}: {}", ended.stderr);
            assert!(ended.stderr.contains("it stays on trial; `pkg health run`"), "{}", ended.stderr);
        }
        wait_for("the end of all it started", || (!lives(&behind) && !lives(&front)).then_some(()));
        fs::remove_file(&behind).unwrap();
        fs::remove_file(&front).unwrap();
        if signal == "INT" {
            // Tries are counted; those of this trial are for the next signals.
            target.pkg(&["rollback"]).ok();
            target.pkg(&["upgrade", "--no-wait"]).ok();
        }
    }
    // One that passes leaves nothing behind either.
    target.pkg(&["rollback"]).ok();
    set(
        target,
        &format!("{} & until test -e {}; do sleep 0.05; done", note(&behind), behind.display()),
        &["--for", "0"],
    );
    target.pkg(&["upgrade"]).ok();
    wait_for("the end of what it left", || (!lives(&behind)).then_some(()));
}

#[test]
fn a_store_brings_no_command_with_it() {
    let world = world();
    let target = &world.target;
    let mark = target.beside("owned");
    let check = format!("touch {}", mark.display());
    set(target, &check, &["--for", "0"]);
    offer(&world, 2);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    // The store comes to a machine that knows nothing of the command.
    let own = target.beside("health-commands");
    assert_eq!(fs::read_to_string(&own).unwrap(), format!("{check}\n"));
    fs::write(&own, "touch /another\n").unwrap();
    let line = target.pkg(&["health", "run"]).refused(STORE);
    assert!(line.contains("which does not stand in") && line.contains("health-commands"), "{line}");
    assert_eq!((slot(target, 4), target.cat(VERSION)), ("unconfirmed".to_owned(), b"1".to_vec()));
    // Nor does a change begin that nobody could judge.
    let line = target.refuses(STORE, &["upgrade"]);
    assert!(line.contains(&check) && line.contains("`pkg health set --command` allows it"), "{line}");
    target.refuses(STORE, &["remove", "docs"]);
    assert!(!mark.exists(), "the command ran");
    // Allowed by the operator; nothing is known against the layers.
    target.pkg(&["health", "set", "--command", &check, "--for", "0"]).ok();
    target.pkg(&["upgrade"]).ok();
    assert_eq!((mark.exists(), target.cat(VERSION)), (true, b"2".to_vec()));
    // With the policy goes the permission, and nobody else's.
    target.pkg(&["health", "clear"]).ok();
    assert_eq!(fs::read_to_string(&own).unwrap(), "touch /another\n");
    // Addresses are asked without.
    target.pkg(&["health", "set", "--tcp", &world.registry.address().to_string(), "--for", "0"]).ok();
    offer(&world, 3);
    target.pkg(&["upgrade"]).ok();
    // A list that anybody may write allows nothing.
    assert!(Command::new("chmod").arg("666").arg(&own).status().unwrap().success());
    let line = target.pkg(&["health", "set", "--command", "true"]).refused(FAILURE);
    assert!(line.contains("others than you and root may write it"), "{line}");
}

#[test]
fn a_policy_that_cannot_pass_is_refused_when_it_is_made() {
    let world = world();
    let target = &world.target;
    for wrong in [["--tcp", "127.0.0.1"], ["--tcp", "127.0.0.1:0"], ["--http", "foo"], ["--command", " "]] {
        let ended = target.pkg(&[&["health", "set"], &wrong[..]].concat());
        assert_eq!(ended.code, Some(USAGE), "{wrong:?}: {}", ended.stderr);
    }
    // Well written, and does not pass as things are.
    let url = format!("http://{}/nowhere", world.registry.address());
    for failing in [["--command", "false"], ["--http", &url]] {
        let line = target.refuses(STORE, &[&["health", "set", "--timeout", "5"], &failing[..]].concat());
        assert!(line.contains("does not pass as things are") && line.contains("--force"), "{line}");
    }
    assert!(!target.beside("health-commands").exists(), "what was refused is not allowed");
    target.pkg(&["health", "set", "--http", &url, "--force"]).ok();
    target.pkg(&["health", "set", "--command", "true"]).ok();
}

#[test]
fn what_is_to_be_booted_is_not_judged_before() {
    let world = World::empty();
    let target = &world.target;
    Store::create(target.store(), &CreateOptions { size: 64 << 20, boots: true }).unwrap();
    world.release(&Tree::new().file("version", "1"), &Layer::new("site", "docs", "1"));
    target.trust(&world.catalog(), world.publisher.root_sha256());
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "docs"]).ok();
    set(target, "true", &["--for", "0"]);
    offer(&world, 2);
    let said = target.pkg(&["upgrade"]).ok().text();
    assert!(said.contains("begins with the next boot"), "{said}");
    let said = target.pkg(&["health", "run"]).ok().text();
    assert!(said.contains("Generation 3 is on trial from the next boot on"), "{said}");
    assert_eq!((slot(target, 3), target.generation()), ("trial, 3 of 3 tries left".to_owned(), 2));
    assert_eq!(target.cat(VERSION), b"1");
    // It may be replaced before that, and taken back.
    offer(&world, 3);
    target.pkg(&["upgrade"]).ok();
    assert_eq!(slot(target, 4), "trial, 3 of 3 tries left");
    target.pkg(&["rollback"]).ok();
    assert_eq!((slot(target, 4), target.generation()), ("bad: set by the operator".to_owned(), 2));
}

#[test]
fn a_change_during_a_trial_takes_its_place_and_says_what_goes_with_it() {
    let world = world();
    let target = &world.target;
    set(target, "true", &["--for", "0"]);
    world.offer(&Tree::new().file("usr/bin/tool", "x"), &Layer::package("tool", "1"));
    target.pkg(&["install", "--no-wait", "tool"]).ok();
    assert!(target.installed().contains(&"tool 1".to_owned()), "what is listed is what is shown");
    offer(&world, 2);
    for change in [&["health", "set", "--command", "true"][..], &["health", "clear"]] {
        let line = target.refuses(STORE, change);
        assert!(
            line.contains("generation 4 is on trial") && line.contains("`pkg rollback` ends it"),
            "{line}"
        );
    }
    let before = target.state();
    for change in [&["upgrade", "--dry-run"][..], &["upgrade"]] {
        assert_eq!(target.state(), before);
        let said = target.pkg(change).ok().stderr;
        assert!(said.contains("generation 4 is on trial") && said.contains("(package/tool 1)"), "{said}");
    }
    assert_eq!(target.installed(), ["docs 2", "plain 1"].map(str::to_owned));
    // It was not found wanting.
    target.pkg(&["install", "tool"]).ok();
    assert_eq!(target.installed(), ["docs 2", "plain 1", "tool 1"].map(str::to_owned));
}
