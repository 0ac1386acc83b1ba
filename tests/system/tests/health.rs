//! Health policies on a host that runs: what a change does that is well, one that is not, and one whose check broke off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::mounted::Mount;
use plyos_test_system::programs::wait_for;
use plyos_test_system::site_world::{VERSION, offer, slot, world};
use plyos_test_system::target::Target;
use std::fs;
use std::net::TcpListener;

const STORE: i32 = 7;

/// A check that passes while this file is there, and counts how often it was asked.
fn policy(target: &Target, timeout: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let (well, asked) = (target.beside("well"), target.beside("asked"));
    let check = format!("echo $PKG_GENERATION >> {}; test -e {}", asked.display(), well.display());
    // Not asked at once: it is to be counted what a change asks.
    let options = ["--timeout", timeout, "--for", "0", "--force"];
    target.pkg(&[&["health", "set", "--command", &check], &options[..]].concat()).ok();
    (well, asked)
}

#[test]
fn a_change_that_is_well_stays() {
    let world = world();
    let target = &world.target;
    let (well, asked) = policy(target, "60");
    fs::write(&well, "").unwrap();
    let shown = target.json(&["health", "show"]);
    assert_eq!((&shown["policy"]["kind"], &shown["policy"]["timeout"]), (&"command".into(), &60.into()));
    offer(&world, 2);
    let said = target.pkg(&["upgrade"]).ok().text();
    assert!(said.contains("Generation 4 is well and stays."), "{said}");
    assert_eq!(target.generation(), 4);
    assert_eq!(fs::read_to_string(asked).unwrap(), "4\n");
    let history = target.json(&["history"]);
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["action"], &last["generation"], &last["from"]),
        (&"promotion".into(), &4.into(), &3.into())
    );
    // Back by command, to the one before it.
    target.pkg(&["rollback"]).ok();
    assert_eq!(target.generation(), 3);
    // Without a policy a change is good at once.
    target.pkg(&["health", "clear"]).ok();
    target.pkg(&["upgrade"]).ok();
    assert_eq!(slot(target, target.generation()), "good");
}

#[test]
fn a_change_that_is_not_well_goes_back_by_itself() {
    let world = world();
    let target = &world.target;
    let mount = Mount::of(target, "mounted", &[]);
    policy(target, "2");
    offer(&world, 2);
    let upgrade = target.start(&["upgrade"]);
    if let Some(mount) = &mount {
        // Shown while it is on trial.
        let path = mount.at(VERSION);
        wait_for("the trial in the mount", || (fs::read_to_string(&path).unwrap() == "2").then_some(()));
    }
    let line = upgrade.end().refused(STORE);
    assert!(line.contains("generation 4 was given up") && line.contains("test -e"), "{line}");
    if let Some(mount) = &mount {
        assert_eq!(fs::read_to_string(mount.at(VERSION)).unwrap(), "1");
    }
    assert_eq!((target.generation(), target.cat(VERSION)), (3, b"1".to_vec()));
    assert_eq!(slot(target, 4), "bad: health check failed");
    let history = target.json(&["history"]);
    let last = history.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["action"], &last["generation"], &last["from"]),
        (&"return after failure".into(), &3.into(), &4.into())
    );
    assert!(last["command"].as_str().unwrap().contains("its health check failed for 2 s"), "{last}");
    // For people: what made a generation active stands in one column, however long the word before is.
    let lines = target.pkg(&["history"]).ok().text();
    let columns = [" pkg install", " pkg upgrade", " its health check"].map(|text| {
        lines.lines().find_map(|line| line.find(text)).unwrap_or_else(|| panic!("no{text} in {lines}"))
    });
    assert!(columns.iter().all(|column| *column == columns[0]), "{lines}");
    let log = target.pkg(&["log", "-n", "1"]).ok().text();
    assert!(
        log.contains("return from generation 4") && log.contains("(return after failure): its health"),
        "{log}"
    );

    // Remembered: refused, and tried again by force alone.
    let line = target.refuses(STORE, &["upgrade"]);
    assert!(line.contains("turned out bad"), "{line}");
    fs::write(target.beside("well"), "").unwrap();
    target.pkg(&["upgrade", "--force"]).ok();
    assert_eq!(target.cat(VERSION), b"2");
    // A return is no way back to what was given up.
    target.pkg(&["rollback"]).ok();
    assert_eq!(target.generation(), 3);
}

#[test]
fn a_check_that_hangs_is_ended() {
    let world = world();
    let target = &world.target;
    let mark = target.beside("ended-late");
    let check = format!("sleep 300; touch {}", mark.display());
    target.pkg(&["health", "set", "--command", &check, "--timeout", "1", "--force"]).ok();
    offer(&world, 2);
    let line = target.pkg(&["upgrade"]).refused(STORE);
    assert!(line.contains("did not end in time"), "{line}");
    assert_eq!(target.cat(VERSION), b"1");
    assert!(!mark.exists());
}

#[test]
fn addresses_are_asked() {
    let world = world();
    let target = &world.target;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    target.pkg(&["health", "set", "--tcp", &address, "--timeout", "30", "--for", "0"]).ok();
    offer(&world, 2);
    target.pkg(&["upgrade"]).ok();
    drop(listener);
    target.pkg(&["health", "set", "--tcp", &address, "--timeout", "1", "--force"]).ok();
    offer(&world, 3);
    let line = target.pkg(&["upgrade"]).refused(STORE);
    assert!(line.contains("connecting to"), "{line}");
    // The registry is a server as any other.
    let url = |path: &str| format!("http://{}{path}", world.registry.address());
    target.pkg(&["health", "set", "--http", &url("/v2/"), "--timeout", "30", "--for", "0"]).ok();
    offer(&world, 4);
    target.pkg(&["upgrade"]).ok();
    target.pkg(&["health", "set", "--http", &url("/nowhere"), "--timeout", "1", "--force"]).ok();
    offer(&world, 5);
    let line = target.pkg(&["upgrade"]).refused(STORE);
    assert!(line.contains("/nowhere answered 404"), "{line}");
    assert_eq!(target.cat(VERSION), b"4");
}

#[test]
fn a_run_that_broke_off_is_begun_anew_until_its_tries_are_over() {
    let world = world();
    let target = &world.target;
    let (well, asked) = policy(target, "600");
    offer(&world, 2);
    // Killed between flip and check.
    target.pkg(&["upgrade", "--no-wait"]).ok();
    assert_eq!((slot(target, 4), target.generation()), ("trial, 3 of 3 tries left".to_owned(), 3));
    assert_eq!(target.cat(VERSION), b"2", "what is on trial is shown");
    // Killed while it is asked.
    for tries in [2, 1] {
        let _ = fs::remove_file(&asked);
        let run = target.start(&["health", "run"]);
        wait_for("the check", || asked.exists().then_some(()));
        run.kill();
        assert_eq!(slot(target, 4), format!("trial, {tries} of 3 tries left"));
    }
    fs::write(&well, "").unwrap();
    target.pkg(&["health", "run"]).ok();
    assert_eq!((slot(target, 4), target.generation()), ("good".to_owned(), 4));
    assert!(target.pkg(&["health", "run"]).ok().text().contains("No generation is on trial"));

    // Every run breaks off: nobody knows anything against it, and it does not stay.
    fs::remove_file(&well).unwrap();
    offer(&world, 3);
    target.pkg(&["upgrade", "--no-wait"]).ok();
    for _ in 0..3 {
        let _ = fs::remove_file(&asked);
        let run = target.start(&["health", "run"]);
        wait_for("the check", || asked.exists().then_some(()));
        run.kill();
    }
    let line = target.pkg(&["health", "run"]).refused(STORE);
    assert!(line.contains("every run of its check broke off"), "{line}");
    assert_eq!((slot(target, 5), target.generation()), ("unconfirmed".to_owned(), 4));
    assert_eq!(target.cat(VERSION), b"2");
}
