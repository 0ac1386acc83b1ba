//! What cannot be installed, removed or asked for: the exit code says why, the line says what, and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::Layer;
use plyos_test_system::target::Target;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;
const MACHINE: i32 = 6;
const STORE: i32 = 7;

fn file(path: &str, content: &str) -> Tree {
    Tree::new().file(path, content)
}

/// An architecture that this machine does not have.
fn foreign_arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" }
}

#[test]
fn layer_for_another_architecture() {
    let world = World::new();
    world.offer(&file("usr/bin/x", "x"), &Layer::package("odd", "1").with("--arch", foreign_arch()));
    let line = world.target.refuses(MACHINE, &["install", "odd"]);
    assert!(line.contains("odd") && line.contains(foreign_arch()), "{line}");
    // As soon as there is one for this machine it is taken, although it is older.
    world.offer(&file("usr/bin/x", "mine"), &Layer::package("odd", "0.9"));
    world.target.pkg(&["install", "odd"]).ok();
    assert_eq!(world.target.cat("/usr/bin/x"), b"mine");
    world.target.refuses(MACHINE, &["install", "odd=1"]);
}

#[test]
fn layers_for_each_abi() {
    let world = World::new();
    // An ABI that is not known cannot even be pushed; Linux runs all that are.
    let tree = file("usr/bin/x", "x");
    let (dir, place) = (Target::text_of(tree.path()), world.registry.place("odd", "1"));
    let push =
        ["push", dir, &place, "--kind", "package", "--name", "odd", "--version", "1", "--abi", "plyos-9"];
    assert!(world.publisher.plyos(push).refused(USAGE).contains("plyos-0"));
    for (version, abi) in [("2", "linux"), ("3", "plyos-0")] {
        world.offer(&tree, &Layer::package("odd", version).with("--abi", abi));
        world.target.pkg(&["install", "odd"]).ok();
        assert_eq!(world.target.installed(), [&format!("odd {version}"), "plain 1"]);
    }
}

#[test]
fn dependency_that_is_offered_for_another_machine_only() {
    let world = World::new();
    world.release(&file("usr/lib/x", "x"), &Layer::package("lib", "1").with("--arch", foreign_arch()));
    world.offer(&file("usr/bin/x", "x"), &Layer::package("tool", "1").with("--depends", "lib"));
    let line = world.target.refuses(CONFLICT, &["install", "tool"]);
    assert!(line.contains("tool") && line.contains("lib"), "{line}");
}

#[test]
fn two_packages_with_one_path() {
    let world = World::new();
    world.release(&file("usr/bin/thing", "one"), &Layer::package("first", "1"));
    world.offer(&file("usr/bin/thing", "another"), &Layer::package("second", "1"));
    let conflict = |args: &[&str]| {
        let line = world.target.refuses(CONFLICT, args);
        assert!(["first", "second", "/usr/bin/thing"].iter().all(|part| line.contains(part)), "{line}");
    };
    conflict(&["install", "first", "second"]);
    world.target.pkg(&["install", "first"]).ok();
    world.proxy.take_carried();
    conflict(&["install", "second"]);
    // It was refused before its content was fetched: all that came are manifest, index and frame table.
    assert!(world.proxy.take_carried().len() <= 3);
    // A third version says that it may, and wins.
    world.offer(&file("usr/bin/thing", "better"), &Layer::package("second", "2").with("--replaces", "first"));
    world.target.pkg(&["install", "second"]).ok();
    assert_eq!(world.target.cat("/usr/bin/thing"), b"better");
    assert_eq!(world.target.json(&["which", "/usr/bin/thing"])["name"], "second");
    world.target.pkg(&["remove", "second"]).ok();
    assert_eq!(world.target.cat("/usr/bin/thing"), b"one");
}

#[test]
fn file_where_another_has_a_folder() {
    let world = World::new();
    world.release(&file("usr/share/thing/inside", "x"), &Layer::package("first", "1"));
    world.offer(&file("usr/share/thing", "x"), &Layer::package("second", "1"));
    let line = world.target.refuses(CONFLICT, &["install", "first", "second"]);
    assert!(["first", "second", "/usr/share/thing"].iter().all(|part| line.contains(part)), "{line}");
    // Against the base too: whose is seen would be seen as neither.
    world.offer(&file("usr/share/words/inside", "x"), &Layer::package("third", "1"));
    let line = world.target.refuses(CONFLICT, &["install", "third"]);
    assert!(["plain", "third", "/usr/share/words"].iter().all(|part| line.contains(part)), "{line}");
}

#[test]
fn file_that_the_base_has_is_the_bases_unless_it_is_replaced() {
    let world = World::new();
    world.offer(&file("usr/bin/sh", "a package's"), &Layer::package("shell", "1"));
    world.target.pkg(&["install", "shell"]).ok();
    assert_eq!(world.target.cat("/usr/bin/sh"), b"#!/bin/true\n");
    world
        .offer(&file("usr/bin/sh", "a package's"), &Layer::package("shell", "2").with("--replaces", "plain"));
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.cat("/usr/bin/sh"), b"a package's");
}

#[test]
fn package_with_a_path_outside_of_usr() {
    let world = World::new();
    for (number, path) in
        ["etc/passwd", "bin", "boot/vmlinuz", "usrx/y", "etc/pkg/other"].into_iter().enumerate()
    {
        let name = format!("rude{number}");
        let place = world.registry.place(&name, "1");
        let tree = file(path, "x");
        let pushed = world.publisher.plyos([
            "push",
            Target::text_of(tree.path()),
            &place,
            "--kind",
            "package",
            "--name",
            &name,
            "--version",
            "1",
        ]);
        assert!(pushed.ok().stderr.contains("warning: "), "push said nothing of /{path}");
        world.offer(&tree, &Layer::package(&name, "1"));
        let line = world.target.refuses(CONFLICT, &["install", &name]);
        assert!(line.contains(&name) && line.contains(path.split('/').next().unwrap()), "{line}");
    }
    world.offer(&file("etc/pkg/defaults/x", "x"), &Layer::package("polite", "1"));
    world.target.pkg(&["install", "polite"]).ok();
}

#[test]
fn second_base() {
    let world = World::new();
    world.offer(&file("etc/other", "x"), &Layer::new("base", "other", "1"));
    let line = world.target.refuses(CONFLICT, &["install", "other"]);
    assert!(line.contains("other") && line.contains("plain"), "{line}");
}

#[test]
fn dependency_that_nothing_meets() {
    let world = World::new();
    world.release(&file("usr/lib/a", "a"), &Layer::package("lib", "1.5"));
    world.offer(&file("usr/bin/a", "a"), &Layer::package("tool", "1").with("--depends", "lib >= 2"));
    let line = world.target.refuses(CONFLICT, &["install", "tool"]);
    assert!(line.contains("tool") && line.contains("lib >= 2"), "{line}");
    world.offer(&file("usr/lib/a", "b"), &Layer::package("lib", "2.0"));
    world.target.pkg(&["install", "tool"]).ok();
    assert_eq!(world.target.installed(), ["lib 2.0", "plain 1", "tool 1"]);
}

#[test]
fn layers_that_say_they_conflict() {
    let world = World::new();
    world.release(&file("usr/bin/a", "a"), &Layer::package("mail-one", "1"));
    world.offer(&file("usr/bin/b", "b"), &Layer::package("mail-two", "1").with("--conflicts", "mail-one"));
    world.target.pkg(&["install", "mail-one"]).ok();
    let line = world.target.refuses(CONFLICT, &["install", "mail-two"]);
    assert!(line.contains("mail-one") && line.contains("mail-two"), "{line}");
}

#[test]
fn reasons_from_the_request_to_what_was_asked_for_before() {
    let world = World::new();
    world.release(&file("usr/lib/old", "a"), &Layer::package("legacy", "1"));
    let tls = Layer::package("tls", "3").with("--conflicts", "legacy");
    world.release(&file("usr/lib/tls", "a"), &tls);
    world.offer(&file("usr/bin/web", "a"), &Layer::package("web", "2").with("--depends", "tls >= 3"));
    world.target.pkg(&["install", "legacy"]).ok();
    let line = world.target.refuses(CONFLICT, &["install", "web"]);
    let reasons = "web 2 needs tls >= 3; tls 3 conflicts with legacy 1, which you asked for";
    assert!(line.contains(reasons) && line.contains("pkg remove legacy"), "{line}");
    world.target.pkg(&["remove", "legacy"]).ok();
    world.target.pkg(&["install", "web"]).ok();
    assert_eq!(world.target.installed(), ["plain 1", "tls 3", "web 2"]);
}

#[test]
fn an_older_version_meets_what_the_newest_does_not() {
    let world = World::new();
    world.release(&file("usr/lib/a", "1"), &Layer::package("lib", "1"));
    world.release(&file("usr/lib/a", "2"), &Layer::package("lib", "2"));
    world.offer(&file("usr/bin/a", "a"), &Layer::package("tool", "1").with("--depends", "lib < 2"));
    world.target.pkg(&["install", "tool"]).ok();
    assert_eq!(world.target.installed(), ["lib 1", "plain 1", "tool 1"]);
    // It is kept back by name, and said why; what may go on goes on.
    let kept = &world.target.json(&["upgrade"])["kept_back"][0];
    assert_eq!((kept["name"].as_str(), kept["version"].as_str()), (Some("lib"), Some("2")));
    assert!(kept["because"][0].as_str().unwrap().contains("needs lib < 2"), "{kept}");
    let said = world.target.pkg(&["upgrade"]).ok().text();
    assert!(said.contains("lib 2 is kept back: tool 1"), "{said}");
    // To go back takes a word.
    world.target.pkg(&["remove", "tool"]).ok();
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.installed(), ["lib 2", "plain 1"]);
    let line = world.target.refuses(CONFLICT, &["install", "tool"]);
    assert!(line.contains("lib=1"), "{line}");
    world.target.pkg(&["install", "tool", "lib=1"]).ok();
    assert_eq!(world.target.installed(), ["lib 1", "plain 1", "tool 1"]);
}

#[test]
fn a_layer_that_came_with_another_gives_way_and_one_that_stays_may_be_asked_for() {
    let world = World::new();
    let mail = |name: &str| Layer::package(name, "1").with("--provides", "mail = 2");
    world.release(&file("usr/bin/one", "a"), &mail("mail-one"));
    world.release(&file("usr/bin/cron", "a"), &Layer::package("cron", "1").with("--depends", "mail >= 2"));
    world.release(&file("usr/bin/two", "b"), &mail("mail-two").with("--conflicts", "mail"));
    world.offer(&file("usr/bin/at", "a"), &Layer::package("at", "1").with("--depends", "mail-one"));
    world.target.pkg(&["install", "cron"]).ok();
    assert_eq!(world.target.installed(), ["cron 1", "mail-one 1", "plain 1"]);
    let done = world.target.json(&["install", "mail-two"]);
    assert_eq!(done["removed"][0], "package/mail-one");
    assert_eq!(world.target.installed(), ["cron 1", "mail-two 1", "plain 1"]);
    // What came with another and is asked for now stays where it is: nothing is fetched.
    world.target.pkg(&["rollback"]).ok();
    let asked = |name: &str| {
        let list = world.target.json(&["list"]);
        list.as_array().unwrap().iter().any(|row| row["name"] == name && row["asked"] == true)
    };
    assert!(!asked("mail-one"));
    world.target.pkg(&["install", "mail-one"]).ok();
    assert!(asked("mail-one"));
    assert!(
        world.target.refuses(CONFLICT, &["install", "mail-two"]).contains("mail-one 1, which you asked for")
    );
}

#[test]
fn upgrades_take_one_step_after_the_other() {
    let world = World::new();
    world.offer(&file("usr/bin/db", "1"), &Layer::package("db", "1"));
    world.target.pkg(&["install", "db"]).ok();
    world.release(&file("usr/bin/db", "2"), &Layer::package("db", "2"));
    let manifest = world.target.beside("db.toml");
    std::fs::write(&manifest, "upgrade-from = \"2\"\n").unwrap();
    let third = Layer::package("db", "3").with("--manifest", Target::text_of(&manifest));
    world.offer(&file("usr/bin/db", "3"), &third);
    assert!(world.target.refuses(CONFLICT, &["install", "db=3"]).contains("from 2 or newer"));
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.installed(), ["db 2", "plain 1"]);
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.installed(), ["db 3", "plain 1"]);
}

#[test]
fn removing_what_is_needed() {
    let world = World::new();
    world.release(&file("usr/lib/a", "a"), &Layer::package("lib", "1"));
    world.offer(&file("usr/bin/a", "a"), &Layer::package("tool", "1").with("--depends", "lib"));
    world.target.pkg(&["install", "tool"]).ok();
    let line = world.target.refuses(CONFLICT, &["remove", "lib"]);
    assert!(line.contains("lib") && line.contains("tool"), "{line}");
    world.target.pkg(&["remove", "lib", "tool"]).ok();
    assert_eq!(world.target.installed(), ["plain 1"]);
}

#[test]
fn names_that_nothing_has() {
    let world = World::new();
    world.offer(&file("usr/bin/a", "a"), &Layer::package("ripgrep", "1"));
    let target = &world.target;
    for args in [["install", "ripgrap"], ["info", "ripgrap"]] {
        let line = target.refuses(NOT_FOUND, &args);
        assert!(line.contains("ripgrap") && line.contains("did you mean ripgrep?"), "{line}");
    }
    assert!(target.refuses(NOT_FOUND, &["remove", "plaim"]).contains("did you mean plain?"));
    assert!(target.refuses(NOT_FOUND, &["upgrade", "plaim"]).contains("did you mean plain?"));
    assert!(target.refuses(NOT_FOUND, &["install", "something-else-entirely"]).contains("pkg update"));
    target.refuses(NOT_FOUND, &["install", "ripgrep=9"]);
    target.refuses(NOT_FOUND, &["install", "site/ripgrep"]);
    target.refuses(NOT_FOUND, &["install", "ripgrep", "ripgrap"]);
    target.refuses(NOT_FOUND, &["search", "zzz"]);
    target.refuses(NOT_FOUND, &["files", "ripgrep"]);
    target.refuses(NOT_FOUND, &["cat", "/no/such/file"]);
    target.refuses(NOT_FOUND, &["cat", "/etc/witness/below-a-file"]);
    target.refuses(NOT_FOUND, &["ls", "/no/such/folder"]);
    target.refuses(NOT_FOUND, &["which", "/no/such/file"]);
    assert_eq!(target.json(&["search", "zzz"]).as_array().unwrap().len(), 0);
}

#[test]
fn one_name_for_two_kinds() {
    let world = World::new();
    world.release(&file("usr/bin/a", "a"), &Layer::package("docs", "1"));
    world.offer(&file("index.html", "a"), &Layer::new("site", "docs", "1"));
    let line = world.target.refuses(USAGE, &["install", "docs"]);
    assert!(line.contains("package/docs") && line.contains("site/docs"), "{line}");
    world.target.pkg(&["install", "site/docs", "package/docs"]).ok();
    for verb in ["remove", "files"] {
        let line = world.target.refuses(USAGE, &[verb, "docs"]);
        assert!(line.contains("package/docs") && line.contains("site/docs"), "{line}");
    }
    world.target.pkg(&["remove", "site/docs"]).ok();
    assert_eq!(world.target.cat("/usr/bin/a"), b"a");
}

#[test]
fn command_lines_that_make_no_sense() {
    let world = World::new();
    let target = &world.target;
    let before = target.state();
    for args in [
        &["no-such-command"][..],
        &[],
        &["install"],
        &["rollback", "minus-one"],
        &["--no-such-option", "list"],
        &["repo", "add", "http://127.0.0.1:1/x"],
        &["init", "--size", "huge"],
    ] {
        let ended = target.pkg(args);
        assert_eq!(ended.code, Some(USAGE), "{args:?}: {}", ended.stderr);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args:?}");
    }
    let root = world.publisher.root_sha256();
    // Secrets of others are not asked for over plain HTTP, nor is anything else.
    for url in [
        "http://registry.invalid/catalog/main",
        "ftp://127.0.0.1/x",
        "127.0.0.1:5000/x",
        "http://127.0.0.1/x?y",
    ] {
        target.refuses(USAGE, &["repo", "add", url, "--root", root]);
    }
    target.refuses(USAGE, &["repo", "add", &world.catalog(), "--root", root, "--name", "../etc"]);
    assert!(target.refuses(USAGE, &["cat", "/usr"]).contains("directory"));
    assert_eq!(target.state(), before);
    for args in
        [&["push"][..], &["push", ".", "no place", "--kind", "package", "--name", "x", "--version", "1"]]
    {
        let ended = world.publisher.plyos(args.iter().copied());
        assert_eq!(ended.code, Some(USAGE), "{args:?}: {}", ended.stderr);
    }
    let place = world.registry.place("x", "1");
    for (kind, name, version) in
        [("package", "Bad Name", "1"), ("package", "x", "not a version"), ("banana", "x", "1")]
    {
        let args = ["push", ".", &place, "--kind", kind, "--name", name, "--version", version];
        world.publisher.plyos(args).refused(USAGE);
    }
    // Help is no failure.
    assert!(target.pkg(&["--help"]).ok().text().contains("Examples:"));
    assert!(target.pkg(&["install", "--help"]).ok().text().contains("Examples:"));
    assert!(world.publisher.plyos(["push", "--help"]).ok().text().contains("Examples:"));
}

#[test]
fn another_catalog_under_a_name_that_is_taken() {
    let world = World::new();
    let others = World::new();
    let add = ["repo", "add", &others.catalog(), "--root", others.publisher.root_sha256()];
    let line = world.target.refuses(CONFLICT, &add);
    assert!(line.contains("main") && line.contains("--name"), "{line}");
    // The same place with another root is not taken over silently.
    let other_root = others.publisher.root_file();
    let same = ["repo", "add", &world.catalog(), "--root", Target::text_of(&other_root)];
    world.target.pkg(&same).ok();
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&[&add[..], &["--name", "others"]].concat()).ok();
    world.target.pkg(&["update"]).ok();
    assert_eq!(world.target.json(&["repo", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn targets_that_have_nothing_yet() {
    let world = World::empty();
    world.publisher.publish(&[]);
    let fresh = world.another_target();
    fresh.refuses(NOT_FOUND, &["cat", "/etc/witness"]);
    fresh.refuses(NOT_FOUND, &["ls"]);
    fresh.refuses(NOT_FOUND, &["rollback"]);
    let line = fresh.refuses(NOT_FOUND, &["install", "plain"]);
    assert!(line.contains("pkg update"), "{line}");
    assert_eq!(fresh.json(&["list"]).as_array().unwrap().len(), 0);
    assert_eq!(fresh.json(&["history"]).as_array().unwrap().len(), 0);
    // A store without a repository.
    let bare = Target::new();
    bare.pkg(&["init", "--size", "64M"]).ok();
    assert!(bare.refuses(NOT_FOUND, &["update"]).contains("pkg repo add"));
    assert!(bare.refuses(NOT_FOUND, &["install", "x"]).contains("pkg repo add"));
    bare.refuses(STORE, &["init"]);
}
