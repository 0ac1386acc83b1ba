//! Several repositories with their own roots: whose offers count, what rests, and what is left of one that was removed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::{Layer, now};
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;
use std::time::Duration;

const NOT_FOUND: i32 = 3;
const SIGNATURE: i32 = 5;
const NETWORK: i32 = 8;
const CONFLICT: i32 = 4;

fn tool(says: &str) -> Tree {
    Tree::new().file("usr/bin/tool", says)
}

/// A world whose target trusts another publisher's repository too, called `other`, which offers `tool` 2.
fn two() -> (World, World) {
    let (world, other) = (World::new(), World::empty());
    world.release(&tool("ours"), &Layer::package("tool", "1"));
    other.release(&tool("theirs"), &Layer::package("tool", "2"));
    let (url, root) = (other.catalog(), other.publisher.root_sha256().to_owned());
    world.target.pkg(&["repo", "add", &url, "--root", &root, "--name", "other"]).ok();
    world.target.pkg(&["update"]).ok();
    (world, other)
}

#[test]
fn of_one_name_the_greatest_priority_counts() {
    let (world, _other) = two();
    let target = &world.target;
    let set = target.json(&["repo", "set", "main", "--priority", "10"]);
    assert_eq!((&set["priority"], &set["state"]), (&10.into(), &"enabled".into()));
    target.pkg(&["install", "tool"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), b"ours");
    // The newer one of the other cannot be had by its version either, nor by an upgrade.
    target.refuses(NOT_FOUND, &["install", "tool=2"]);
    assert!(target.pkg(&["upgrade"]).ok().text().contains("Nothing to do"));
    // Among equals the newest wins.
    target.pkg(&["repo", "set", "main", "--priority", "0"]).ok();
    target.pkg(&["upgrade"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), b"theirs");
    assert_eq!(target.json(&["info", "tool"])["repository"], "other");
}

#[test]
fn a_repository_that_rests_is_neither_asked_nor_installed_from() {
    let (world, other) = two();
    let target = &world.target;
    target.pkg(&["repo", "set", "other", "--enabled", "no"]).ok();
    other.proxy.take_carried();
    let updated = target.json(&["update"]);
    assert_eq!(updated.as_array().unwrap().len(), 1, "{updated}");
    assert_eq!(other.proxy.take_carried().len(), 0, "somebody asked it");
    target.pkg(&["install", "tool"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), b"ours");
    // What came from it works while it rests.
    target.pkg(&["repo", "set", "other", "--enabled", "yes"]).ok();
    target.pkg(&["upgrade"]).ok();
    target.pkg(&["repo", "set", "other", "--enabled", "no"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), b"theirs");
    let text = target.pkg(&["repo", "list"]).ok().text();
    assert!(text.lines().any(|line| line.starts_with("other") && line.contains("disabled")), "{text}");
    for args in [
        &["repo", "set", "nobody", "--priority", "1"][..],
        &["repo", "show", "nobody"],
        &["repo", "remove", "nobody"],
    ] {
        let line = target.refuses(NOT_FOUND, args);
        assert!(line.contains("main, other"), "{line}");
    }
}

#[test]
fn what_a_repository_is_can_be_looked_at() {
    let (world, _other) = two();
    let target = &world.target;
    target.pkg(&["install", "tool"]).ok();
    let shown = target.json(&["repo", "show", "other"]);
    assert_eq!((&shown["offers"], &shown["root_version"]), (&1.into(), &1.into()));
    assert_eq!(shown["installed"], serde_json::json!(["package/tool 2"]));
    assert!(shown["expires"].as_u64().unwrap() < shown["root_expires"].as_u64().unwrap(), "{shown}");
    let text = target.pkg(&["repo", "show", "other"]).ok().text();
    for part in ["priority      0", "channel       stable", "1 of 1 keys sign", "package/tool 2"] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn what_is_installed_outlives_its_repository() {
    let (world, other) = two();
    let target = &world.target;
    target.pkg(&["install", "tool"]).ok();
    let dry = target.json(&["repo", "remove", "other", "--dry-run"]);
    assert_eq!((&dry["dry_run"], &dry["installed"][0]), (&true.into(), &"package/tool 2".into()));
    assert_eq!(target.json(&["repo", "show", "other"])["state"], "enabled");

    let text = target.pkg(&["repo", "remove", "other"]).ok().text();
    assert!(text.contains("1 installed layers came from it"), "{text}");
    assert_eq!(target.cat("/usr/bin/tool"), b"theirs");
    target.pkg(&["verify"]).ok();
    assert_eq!(target.json(&["repo", "show", "other"])["state"], "removed");
    let line = target.refuses(CONFLICT, &["repo", "set", "other", "--enabled", "yes"]);
    assert!(line.contains("was removed"), "{line}");
    // Nothing new comes from it, and nothing of it is asked for.
    other.release(&tool("theirs again"), &Layer::package("tool", "3"));
    other.proxy.take_carried();
    target.pkg(&["update"]).ok();
    assert!(target.pkg(&["upgrade"]).ok().text().contains("Nothing to do"));
    assert_eq!(other.proxy.take_carried().len(), 0, "somebody asked it");
    // Under its name nobody else can sneak in: layers are judged by the root that it had.
    let root = world.publisher.root_sha256();
    let line =
        target.refuses(CONFLICT, &["repo", "add", &world.catalog(), "--root", root, "--name", "other"]);
    assert!(line.contains("is the name of another repository"), "{line}");

    // It comes back as what it was.
    let (url, root) = (other.catalog(), other.publisher.root_sha256().to_owned());
    target.pkg(&["repo", "add", &url, "--root", &root, "--name", "other"]).ok();
    target.pkg(&["update"]).ok();
    target.pkg(&["upgrade"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), b"theirs again");

    // With the last generation that has a layer from it, it is gone for good.
    target.pkg(&["remove", "tool"]).ok();
    target.pkg(&["clean", "--all"]).ok();
    target.pkg(&["install", "tool=1"]).ok();
    target.pkg(&["clean", "--all"]).ok();
    target.pkg(&["repo", "remove", "other"]).ok();
    target.refuses(NOT_FOUND, &["repo", "show", "other"]);
}

#[test]
fn a_repository_that_is_down_keeps_nobody_from_the_others() {
    let (world, mut dead) = (World::new(), World::empty());
    let (url, root) = (dead.catalog(), dead.publisher.root_sha256().to_owned());
    dead.release(&tool("theirs"), &Layer::package("tool", "2"));
    // The first to be asked.
    world.target.pkg(&["repo", "add", &url, "--root", &root, "--name", "aaa"]).ok();
    dead.registry.stop();
    world.release(&tool("ours"), &Layer::package("tool", "1"));

    let updated = world.target.pkg(&["--json", "update"]);
    assert_eq!(updated.code, Some(NETWORK), "{}", updated.stderr);
    assert_eq!(updated.stderr.lines().count(), 1, "{}", updated.stderr);
    let rows: serde_json::Value = serde_json::from_slice(&updated.stdout).unwrap();
    assert!(rows[0]["problem"].is_string() && rows[0]["name"] == "aaa", "{rows}");
    assert_eq!((&rows[1]["name"], &rows[1]["changed"]), (&"main".into(), &true.into()));

    let installed = world.target.pkg(&["install", "tool"]).ok();
    assert!(installed.stderr.contains("'aaa' was never fetched"), "{}", installed.stderr);
    assert_eq!(world.target.cat("/usr/bin/tool"), b"ours");
}

#[test]
fn names_of_a_repository_that_expired_fall_to_nobody_below_it() {
    let (world, other) = two();
    let target = &world.target;
    target.pkg(&["repo", "set", "other", "--priority", "10"]).ok();
    world.release(&tool("ours, newer"), &Layer::package("tool", "3"));
    world.release(&Tree::new().file("page", "1"), &Layer::new("site", "docs", "1"));
    let ends = now() + 6;
    other.publisher.sign_at(&other.registry, ends - 7 * 86_400);
    target.pkg(&["update"]).ok();
    while now() <= ends {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(target.pkg(&["update"]).code, Some(SIGNATURE));
    // What only it offers has its failure; what others offer is there.
    let refused = target.pkg(&["install", "tool"]);
    assert_eq!(refused.code, Some(SIGNATURE), "{}", refused.stderr);
    assert!(refused.stderr.lines().last().unwrap().contains("'other'"), "{}", refused.stderr);
    let installed = target.pkg(&["install", "docs"]).ok();
    assert!(
        installed.stderr.contains("expired") && installed.stderr.contains("left aside"),
        "{}",
        installed.stderr
    );
    assert_eq!(target.cat("/www/docs/page"), b"1");

    other.publisher.publish(&[]);
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "tool"]).ok();
    assert_eq!(target.cat("/usr/bin/tool"), b"theirs");
}
