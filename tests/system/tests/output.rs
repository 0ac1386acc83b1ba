//! What the programs write: nobody who stops reading ends them, a full disk is told, and no text steers a terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;
use std::fs::OpenOptions;
use std::io::{Read, pipe};
use std::process::Stdio;

const USAGE: i32 = 2;

/// Runs `pkg` with a stdout; its exit code, and what it wrote to stderr.
fn pkg_to(world: &World, stdout: impl Into<Stdio>, args: &[&str]) -> (Option<i32>, String) {
    let (mut errors, stderr) = pipe().unwrap();
    let mut child = {
        let mut command = world.target.command(args);
        command.stdout(stdout).stderr(stderr);
        command.spawn().unwrap()
    };
    let mut said = String::new();
    errors.read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// A pipe that nobody reads.
fn closed() -> impl Into<Stdio> {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer
}

fn site(version: u32) -> (Tree, Layer) {
    (Tree::new().file("page", format!("{version}")), Layer::new("site", "docs", &version.to_string()))
}

#[test]
fn a_change_is_finished_though_nobody_reads() {
    let world = World::new();
    let target = &world.target;
    target.pkg(&["health", "set", "--command", "true"]).ok();
    let (tree, layer) = site(1);
    world.offer(&tree, &layer);
    assert_eq!(pkg_to(&world, closed(), &["install", "docs"]), (Some(0), String::new()));
    // Its health was asked after the flip.
    let status = target.json(&["status"]);
    assert_eq!(target.generation(), 3, "{status}");
    assert_eq!(target.cat("/www/docs/page"), b"1");
    let (tree, layer) = site(2);
    world.release(&tree, &layer);
    assert_eq!(pkg_to(&world, closed(), &["-v", "update"]).0, Some(0));
    assert_eq!(pkg_to(&world, closed(), &["--json", "upgrade"]), (Some(0), String::new()));
    assert_eq!(target.cat("/www/docs/page"), b"2");
}

#[test]
fn what_shows_something_ends_well_though_nobody_reads() {
    let world = World::new();
    for args in [
        &["list"][..],
        &["--json", "list"],
        &["history"],
        &["status"],
        &["log"],
        &["ls", "/"],
        &["files", "plain"],
        &["which", "/etc/witness"],
        &["du"],
        &["search", ""],
        &["info", "plain"],
        &["config", "list"],
        &["repo", "list"],
        &["repo", "show", "main"],
        &["health", "show"],
        &["services", "list"],
        &["verify"],
        &["completions", "bash"],
    ] {
        assert_eq!(pkg_to(&world, closed(), args), (Some(0), String::new()), "pkg {args:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let world = World::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, said) = pkg_to(&world, full, &["list"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("writing to stdout") && said.lines().count() == 1, "{said}");
}

#[test]
fn texts_that_would_steer_a_terminal_are_not_pushed() {
    let world = World::empty();
    let (tree, _) = site(1);
    for (option, text) in
        [("--summary", "a\u{1b}[2Jb"), ("--license", "MIT\nsummary  good"), ("--homepage", "x\u{202e}y")]
    {
        let place = world.registry.place("site/docs", "1");
        let path = tree.path().to_str().unwrap().to_owned();
        let layer = ["push", &path, "--kind", "site", "--name", "docs", "--version", "1"];
        let line =
            world.publisher.plyos(layer.into_iter().chain([option, text, place.as_str()])).refused(USAGE);
        assert!(
            line.contains(option.trim_start_matches('-')) && line.contains("control characters"),
            "{line}"
        );
    }
}
