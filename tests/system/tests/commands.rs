//! What a person types day by day: the plan and its reasons, holds, what nothing needs any more, work without a network, the
//! log and the settings. Each with its success and its refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_storefile::Store;
use plyos_test_system::programs::run;
use plyos_test_system::publisher::Layer;
use plyos_test_system::strace;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;
const SIGNATURE: i32 = 5;
const NETWORK: i32 = 8;

fn library(version: u64) -> Tree {
    Tree::new().file("usr/lib/libtool.so", noise(version, 60_000))
}

fn tool(version: u64) -> Tree {
    Tree::new().file("usr/bin/tool", noise(100 + version, 60_000))
}

/// A world that offers `tool` 1, which needs `libtool`.
fn with_tool() -> World {
    let world = World::new();
    world.release(&library(1), &Layer::package("libtool", "1"));
    world.offer(&tool(1), &Layer::package("tool", "1").with("--depends", "libtool"));
    world
}

fn row<'a>(rows: &'a Value, name: &str) -> &'a Value {
    let found = rows.as_array().unwrap().iter().find(|row| row["name"] == name);
    assert!(found.is_some(), "no {name} in {rows}");
    found.unwrap()
}

#[test]
fn a_plan_says_what_why_how_much_and_when() {
    let world = with_tool();
    let before = world.target.state();
    let plan = world.target.json(&["install", "tool", "--dry-run"]);
    let (tool_row, library_row) = (row(&plan["changes"], "tool"), row(&plan["changes"], "libtool"));
    assert_eq!((&tool_row["change"], &tool_row["why"]), (&"add".into(), &"asked for".into()));
    assert_eq!(library_row["why"], "needed by tool");
    assert_eq!((&tool_row["live"], &plan["dry_run"]), (&true.into(), &true.into()));
    let number = |name: &str| plan[name].as_u64().unwrap();
    assert!(
        number("download_bytes") >= 120_000 && number("download_bytes") <= number("full_bytes"),
        "{plan}"
    );
    assert!(number("store_bytes") >= 120_000 && number("store_bytes") < number("free_bytes"), "{plan}");
    let text = world.target.pkg(&["install", "tool", "--dry-run"]).ok().text();
    for part in ["+ package/libtool  1  needed by tool", "Download: ", "Room:     ", "Live at once"] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert_eq!(world.target.state(), before, "a dry run changed something");

    // What it takes is no more than it said, and what it did is what it planned.
    let used = |world: &World| world.target.json(&["status"])["used_bytes"].as_u64().unwrap();
    let empty = used(&world);
    let done = world.target.json(&["install", "tool"]);
    assert_eq!(done["changes"], plan["changes"]);
    assert!(used(&world) - empty <= number("store_bytes") + (64 << 10), "{} of {plan}", used(&world) - empty);

    // A newer base is not live at once; a newer library is there because the tool needs it.
    let base = Tree::new().file("usr/share/words", "other words");
    world.release(&base, &Layer::new("base", "plain", "2"));
    world.release(&library(2), &Layer::package("libtool", "2"));
    world.offer(&tool(2), &Layer::package("tool", "2").with("--depends", "libtool >= 2"));
    let text = world.target.pkg(&["upgrade", "--dry-run"]).ok().text();
    for part in [
        "1 -> 2  newer version",
        "needed by tool",
        "Live after a restart, or by `pkg export`: base/plain; the rest",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    let plan = world.target.json(&["upgrade", "--dry-run"]);
    assert_eq!(
        (&row(&plan["changes"], "plain")["live"], &row(&plan["changes"], "tool")["from"]),
        (&false.into(), &"1".into())
    );
}

#[test]
fn names_that_are_almost_right_are_told() {
    let world = with_tool();
    world.target.pkg(&["install", "tool"]).ok();
    for args in [
        ["install", "tol"],
        ["info", "tolo"],
        ["remove", "tool1"],
        ["files", "tooll"],
        ["hold", "toll"],
        ["search", "toool"],
    ] {
        let line = world.target.refuses(NOT_FOUND, &args);
        assert!(line.contains("did you mean tool?"), "{line}");
    }
    let line = world.target.refuses(NOT_FOUND, &["install", "site/tool"]);
    assert!(line.contains("did you mean package/tool?"), "{line}");
    let line = world.target.refuses(NOT_FOUND, &["install", "nothing-like-it"]);
    assert!(!line.contains("did you mean"), "{line}");
}

#[test]
fn what_is_held_stays_until_it_is_released() {
    let world = with_tool();
    world.target.pkg(&["install", "tool"]).ok();
    let held = world.target.json(&["hold", "libtool"]);
    assert_eq!((&held[0]["name"], &held[0]["held"]), (&"package/libtool".into(), &true.into()));
    assert_eq!(row(&world.target.json(&["list"]), "libtool")["held"], true);
    assert!(world.target.pkg(&["list"]).ok().text().contains("(needed by another, held)"));

    world.release(&library(2), &Layer::package("libtool", "2"));
    world.offer(&tool(2), &Layer::package("tool", "2").with("--depends", "libtool >= 2"));
    let upgrade = world.target.json(&["upgrade"]);
    assert_eq!(upgrade["changes"], serde_json::json!([]));
    let because = |name: &str| row(&upgrade["kept_back"], name)["because"].to_string();
    assert!(because("libtool").contains("libtool 1 is held"), "{upgrade}");
    assert!(because("tool").contains("libtool 1 is held"), "{upgrade}");
    let line = world.target.refuses(CONFLICT, &["remove", "tool", "libtool"]);
    assert!(line.contains("'libtool' is held; `pkg unhold package/libtool`"), "{line}");
    world.target.refuses(CONFLICT, &["install", "tool=2"]);

    // A hold outlives the generation, and what is held is not superfluous.
    world.target.pkg(&["remove", "tool"]).ok();
    assert_eq!(world.target.json(&["autoremove"])["removed"], serde_json::json!([]));
    world.target.pkg(&["rollback"]).ok();
    assert!(world.target.refuses(NOT_FOUND, &["unhold", "tool"]).contains("not held"));
    world.target.pkg(&["unhold", "libtool"]).ok();
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.installed(), ["libtool 2", "plain 1", "tool 2"]);
}

#[test]
fn what_nothing_needs_any_more_goes_by_autoremove() {
    let world = with_tool();
    world.target.pkg(&["install", "tool"]).ok();
    assert!(world.target.pkg(&["autoremove"]).ok().text().contains("Nothing to do"));
    let text = world.target.pkg(&["remove", "tool"]).ok().text();
    assert!(text.contains("Nothing needs libtool any more; `pkg autoremove` removes it."), "{text}");
    let plan = world.target.json(&["autoremove", "--dry-run"]);
    assert_eq!(plan["changes"][0]["why"], "nothing needs it any more");
    assert_eq!(world.target.installed(), ["libtool 1", "plain 1"]);
    assert_eq!(world.target.json(&["autoremove"])["removed"], serde_json::json!(["package/libtool"]));
    assert_eq!(world.target.installed(), ["plain 1"]);
    // What was asked for since is not superfluous.
    world.target.pkg(&["rollback"]).ok();
    world.target.pkg(&["install", "libtool"]).ok();
    assert_eq!(world.target.json(&["autoremove"])["removed"], serde_json::json!([]));
}

#[test]
fn an_older_version_comes_back_by_its_version_alone_and_not_below_the_floor() {
    let world = with_tool();
    let newer = world.offer(&tool(2), &Layer::package("tool", "2"));
    let target = &world.target;
    target.pkg(&["install", "tool"]).ok();
    assert!(target.pkg(&["install", "tool"]).ok().text().contains("Nothing to do"));
    let plan = target.json(&["install", "tool=1"]);
    assert_eq!(
        (&row(&plan["changes"], "tool")["from"], &row(&plan["changes"], "tool")["version"]),
        (&"2".into(), &"1".into())
    );
    assert_eq!(target.cat("/usr/bin/tool"), noise(101, 60_000));
    // A new security epoch of what is active is the floor for its name.
    let workspace = world.publisher.workspace();
    let certify = ["certify", newer.place.as_str(), "--epoch", "3", "--repo", workspace.to_str().unwrap()];
    world.publisher.plyos(certify).ok();
    target.pkg(&["update"]).ok();
    target.pkg(&["upgrade"]).ok();
    let line = target.refuses(SIGNATURE, &["install", "tool=1"]);
    assert!(line.contains("tool 1 is refused") && line.contains("epoch"), "{line}");
    assert_eq!(target.cat("/usr/bin/tool"), noise(102, 60_000));
}

#[test]
fn without_a_network_what_the_store_has_is_enough() {
    let world = with_tool();
    world.proxy.take_carried();
    let target = &world.target;
    for (args, part) in [
        (&["install", "tool"][..], "fetching libtool 1"),
        (&["update"], "fetching the newest catalogs"),
        (
            &["repo", "add", &world.catalog(), "--root", world.publisher.root_sha256(), "--name", "x"],
            "1.root.json",
        ),
    ] {
        let line = target.refuses(NETWORK, &[&["--offline"], args].concat());
        assert!(line.contains(part) && line.contains("--offline"), "{line}");
    }
    // Nothing of that name is not a matter of the network.
    target.refuses(NOT_FOUND, &["--offline", "install", "nothing"]);
    let root = world.publisher.root_file();
    target
        .pkg(&["--offline", "repo", "add", &world.catalog(), "--root", root.to_str().unwrap(), "--name", "x"])
        .ok();
    target.pkg(&["repo", "remove", "x"]).ok();
    assert_eq!(world.proxy.take_carried().len(), 0, "somebody was asked");

    // What was there once comes back from the store: no socket is opened, as strace sees it.
    target.pkg(&["install", "tool"]).ok();
    target.pkg(&["remove", "tool", "libtool"]).ok();
    world.proxy.take_carried();
    let install = target.command(&["--offline", "--json", "install", "tool"]);
    let trace = target.beside("trace");
    let ended = if strace::usable() {
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-e", "trace=socket,connect", "-o", trace.to_str().unwrap(), "--"]);
        traced.arg(install.get_program()).args(install.get_args());
        traced.envs(install.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = run(&mut traced);
        assert_eq!(std::fs::read_to_string(&trace).unwrap(), "", "a socket was opened");
        ended
    } else {
        target.pkg(&["--offline", "--json", "install", "tool"])
    };
    assert_eq!(ended.json()["downloaded_bytes"], 0);
    assert_eq!(world.proxy.take_carried().len(), 0, "somebody was asked");
    assert_eq!(target.cat("/usr/bin/tool"), noise(101, 60_000));
}

#[test]
fn an_upgrade_with_nothing_to_do_asks_nobody_and_waits_for_nobody() {
    let world = with_tool();
    world.target.pkg(&["install", "tool"]).ok();
    world.proxy.take_carried();
    // While another writes: a command that took the writer's lock would wait for it, and fail at the end.
    let writer = Store::writer(world.target.store(), Duration::from_secs(10)).unwrap();
    assert!(world.target.pkg(&["upgrade"]).ok().text().contains("Nothing to do"));
    assert!(world.target.pkg(&["install", "tool"]).ok().text().contains("Nothing to do"));
    drop(writer);
    assert_eq!(world.proxy.take_carried().len(), 0, "somebody was asked");
}

#[test]
fn the_log_has_what_was_done_and_what_was_refused() {
    let world = with_tool();
    let target = &world.target;
    target.pkg(&["install", "tool"]).ok();
    target.pkg(&["hold", "tool"]).ok();
    for _ in 0..2 {
        target.refuses(CONFLICT, &["remove", "libtool"]);
    }
    // A name that is spelled wrong is no refusal.
    target.refuses(NOT_FOUND, &["install", "nothing"]);
    let log = target.json(&["log"]);
    let commands: Vec<&str> =
        log.as_array().unwrap().iter().map(|line| line["command"].as_str().unwrap()).collect();
    assert!(commands.iter().any(|command| command.starts_with("pkg repo add http://")), "{commands:?}");
    for command in ["pkg install plain", "pkg install tool", "pkg hold tool"] {
        assert!(commands.contains(&command), "{commands:?}");
    }
    let refused = target.json(&["log", "--refused"]);
    assert_eq!(refused.as_array().unwrap().len(), 1, "the same refusal is written once: {refused}");
    assert_eq!((&refused[0]["code"], &refused[0]["command"]), (&4.into(), &"pkg remove libtool".into()));
    assert!(refused[0]["said"].as_str().unwrap().contains("needed by tool"), "{refused}");
    assert_eq!(target.json(&["log", "-n", "2"]).as_array().unwrap().len(), 2);
    let text = target.pkg(&["log", "-n", "1"]).ok().text();
    assert!(text.contains("refused  pkg remove libtool") && text.contains("needed by tool"), "{text}");
}

#[test]
fn settings_are_set_read_and_obeyed() {
    let world = with_tool();
    let target = &world.target;
    let all = target.json(&["config", "list"]);
    assert!(all.as_array().unwrap().iter().all(|row| row["usual"] == true), "{all}");
    assert_eq!(target.pkg(&["config", "get", "clean.keep"]).ok().text(), "5\n");
    assert!(target.refuses(NOT_FOUND, &["config", "get", "colour"]).contains("clean.keep"));
    assert!(target.refuses(USAGE, &["config", "set", "ask", "perhaps"]).contains("yes or no"));
    assert!(target.refuses(USAGE, &["config", "set", "clean.days", "-1"]).contains("a number"));

    target.pkg(&["install", "tool"]).ok();
    target.pkg(&["remove", "tool"]).ok();
    target.pkg(&["rollback"]).ok();
    target.pkg(&["remove", "tool", "libtool"]).ok();
    let gone = |target: &plyos_test_system::target::Target| {
        target.json(&["clean", "--dry-run"])["generations"].as_array().unwrap().len()
    };
    assert_eq!(gone(target), 0);
    assert_eq!(target.json(&["config", "set", "clean.keep", "1"])["value"], 1);
    target.pkg(&["config", "set", "clean.days", "0"]).ok();
    assert!(gone(target) > 0, "the settings are not obeyed");
    target.pkg(&["config", "unset", "clean.keep"]).ok();
    assert_eq!(gone(target), 0);
    assert_eq!(target.json(&["config", "get", "clean.days"])["usual"], false);
}
