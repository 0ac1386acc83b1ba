//! Foreign readers as judges, entry by entry: type, mode, owner, size, link target, hard links, extended attributes, content. And
//! back: `pkg export` against the source. Over small and nasty trees always; over the corpus by `make oracles`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::inventory;
use plyos_test_system::oracles::{Case, READERS, Verdict};
use plyos_test_system::programs::run;
use plyos_test_system::publisher::Publisher;
use plyos_test_system::registry::Registry;
use plyos_test_system::trees;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Lets all readers read a tree; gives a line of the table for each, and what is wrong.
fn judge(name: &str, kind: &'static str, tree: &Path) -> (String, Vec<String>) {
    let registry = Registry::start();
    let publisher = Publisher::new(&registry);
    let case = Case::new(&registry, &publisher, tree, kind, name);
    let (mut table, mut faults) = (String::new(), Vec::new());
    for reader in READERS {
        let said = match case.judge(reader) {
            Verdict::Skipped(why) => {
                eprintln!("{name}: {} skipped: {why}", reader.name);
                let is_fine = std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|skip| skip == "1");
                if !is_fine && why != "needs root" {
                    faults.push(format!(
                        "{name}: {} skipped: {why}; install it, or set PLYOS_SKIP_FOREIGN=1",
                        reader.name
                    ));
                }
                format!("skipped: {why}")
            }
            Verdict::Compared(entries, differences) => {
                let count = differences.len();
                faults.extend(
                    differences.into_iter().take(5).map(|line| format!("{name}: {}: {line}", reader.name)),
                );
                format!("{entries} entries, {count} differ")
            }
        };
        writeln!(table, "| {name} | {} | {said} |", reader.name).unwrap();
    }
    (table, faults)
}

fn assert_judged(name: &str, kind: &'static str, tree: &Path) {
    let (table, faults) = judge(name, kind, tree);
    println!("{table}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_small_base() {
    assert_judged("base", "base", trees::base().path());
}

#[test]
fn a_nasty_tree() {
    let tree = trees::nasty_base();
    run(plyos_test_system::programs::command("mkfifo", tree.path()).arg(tree.at("pipe"))).ok();
    if inventory::is_root() {
        std::os::unix::fs::lchown(tree.at("dangling"), Some(1234), Some(5678)).unwrap();
        std::os::unix::fs::chown(tree.at("links/first"), Some(3_000_000), Some(4_000_000)).unwrap();
    }
    assert_judged("nasty", "base", tree.path());
}

/// The trees of the corpus: `NAME/v1`.
fn corpus() -> Vec<(String, PathBuf)> {
    let folder = PathBuf::from(std::env::var_os("PLYOS_CORPUS").expect("PLYOS_CORPUS names the corpus"));
    let folders = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let mut trees: Vec<_> = folders
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path().join("v1")))
        .filter(|(_, tree)| tree.is_dir())
        .collect();
    trees.sort();
    assert!(!trees.is_empty(), "no NAME/v1 in {}", folder.display());
    trees
}

#[test]
#[ignore = "minutes; `make oracles` runs it over PLYOS_CORPUS"]
fn the_corpus() {
    let (mut table, mut faults) =
        (String::from("| tree | reader | compared |\n| --- | --- | --- |\n"), Vec::new());
    for (name, tree) in corpus() {
        let (lines, more) = judge(&name, if name.starts_with("base") { "base" } else { "site" }, &tree);
        eprint!("{lines}");
        table += &lines;
        faults.extend(more);
    }
    if let Some(out) = std::env::var_os("PLYOS_ORACLE_TABLE") {
        fs::write(out, &table).unwrap();
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
