//! Every command explains itself: help with an example, JSON that parses, completions and man pages that other programs read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{built, command, run};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::Tree;
use plyos_test_system::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The commands below `path` that a program's help lists.
fn listed(program: &Path, home: &Path, path: &[String]) -> Vec<String> {
    let help = run(command(program, home).args(path).arg("--help")).ok().text();
    let Some((_, rest)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let names = rest
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

/// All commands of a program that do something themselves.
fn leaves(program: &Path, home: &Path) -> Vec<Vec<String>> {
    let (mut open, mut found) = (vec![Vec::new()], Vec::new());
    while let Some(path) = open.pop() {
        let below = listed(program, home, &path);
        if below.is_empty() {
            found.push(path);
        } else {
            open.extend(below.into_iter().map(|name| [path.as_slice(), &[name]].concat()));
        }
    }
    found
}

#[test]
fn every_command_has_help_with_an_example() {
    let home = tempfile::tempdir().unwrap();
    let pkg = built("pkg");
    let all = leaves(&pkg, home.path());
    assert!(all.len() > 35, "{all:?}");
    for path in &all {
        let help = run(command(&pkg, home.path()).args(path).arg("--help")).ok().text();
        let example = format!("pkg {}", path.join(" "));
        let examples = help.split_once("Example").map(|(_, rest)| rest).unwrap_or_default();
        let shows = |line: &str| line.contains(&example) || line.contains(&format!(" {}", path.join(" ")));
        assert!(examples.lines().any(shows), "no example of `{example}` in its help:\n{help}");
    }
}

#[test]
fn every_json_is_one_document() {
    let world = World::new();
    world.offer(&Tree::new().file("usr/bin/tool", "x"), &Layer::package("tool", "1"));
    let (target, url) = (&world.target, world.catalog());
    let (root, folder) = (world.publisher.root_sha256(), target.beside("out"));
    let folder = folder.to_str().unwrap();
    let lines: [&[&str]; 40] = [
        &["update"],
        &["search", "tool"],
        &["search", "nothing at all"],
        &["info", "tool"],
        &["install", "tool", "--dry-run"],
        &["install", "tool"],
        &["install", "tool"],
        &["hold", "tool"],
        &["unhold", "tool"],
        &["upgrade"],
        &["autoremove"],
        &["list"],
        &["files", "tool"],
        &["which", "/usr/bin/tool"],
        &["diff"],
        &["history"],
        &["log"],
        &["status"],
        &["ls", "/"],
        &["du"],
        &["verify"],
        &["repair"],
        &["pin"],
        &["unpin", "2"],
        &["rollback", "--dry-run"],
        &["rollback"],
        &["rollback", "2"],
        &["remove", "tool"],
        &["clean", "--dry-run"],
        &["clean"],
        &["grow", "9G"],
        &["export", folder],
        &["repo", "add", &url, "--root", root, "--name", "again"],
        &["repo", "add", &url, "--root", root, "--name", "again"],
        &["repo", "list"],
        &["repo", "show", "again"],
        &["repo", "set", "again", "--priority", "-1"],
        &["repo", "remove", "again"],
        &["config", "list"],
        &["config", "set", "ask", "no"],
    ];
    for args in lines {
        target.json(args);
    }
    let other = World::empty().target;
    other.json(&["init", "--size", "64M"]);
}

#[test]
fn shells_read_the_completions() {
    let home = tempfile::tempdir().unwrap();
    for program in ["pkg", "plyos"] {
        for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
            let script = run(command(built(program), home.path()).args(["completions", shell])).ok().text();
            assert!(script.contains(word), "{shell}: {script}");
            let file = home.path().join(format!("{program}.{shell}"));
            fs::write(&file, script).unwrap();
            // A shell that is not here cannot be asked.
            if Command::new(shell).arg("--version").output().is_ok() {
                run(Command::new(shell).arg("-n").arg(&file)).ok();
            }
        }
    }
    // bash offers what begins like the word.
    let file = home.path().join("pkg.bash");
    let ask = format!(
        "source {}; COMP_WORDS=(pkg auto); COMP_CWORD=1; _pkg pkg auto pkg; echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    assert_eq!(run(Command::new("bash").args(["-c", &ask])).ok().text(), "autoremove\n");
}

#[test]
fn man_reads_the_pages() {
    let home = tempfile::tempdir().unwrap();
    for (program, page, words) in [
        ("pkg", "pkg-repo-set.1", ["--priority", "pkg repo set main --enabled no"]),
        ("plyos", "plyos-push.1", ["--kind", "plyos push"]),
    ] {
        let dir = home.path().join(program);
        run(command(built(program), home.path()).args(["man", dir.to_str().unwrap()])).ok();
        let pages: Vec<_> = fs::read_dir(&dir).unwrap().map(|page| page.unwrap().path()).collect();
        assert!(pages.len() > 15, "{pages:?}");
        let groff = Command::new("groff").arg("--version").output().is_ok();
        for page in &pages {
            let text = fs::read_to_string(page).unwrap();
            assert!(text.contains(".TH ") && text.contains(".SH NAME"), "{}", page.display());
            if groff {
                let ended = run(Command::new("groff").args(["-man", "-ww", "-Tutf8"]).arg(page)).ok();
                let complaints: Vec<&str> =
                    ended.stderr.lines().filter(|line| line.contains("error")).collect();
                assert!(complaints.is_empty(), "{}: {complaints:?}", page.display());
            }
        }
        if groff {
            let shown = run(Command::new("groff").args(["-man", "-Tascii", "-P-cbou"]).arg(dir.join(page)))
                .ok()
                .text();
            for word in words {
                assert!(shown.contains(word), "no {word:?} in:\n{shown}");
            }
        }
    }
}
