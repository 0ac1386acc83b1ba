//! Rules of the house that a machine can check.

use plyos_test_architecture::workspace::{files, members, read};

/// What each top-level folder of the repository is: a concept.
const CONCEPTS: [&str; 10] =
    ["boot", "casstore", "client", "deltas", "docs", "kernel", "layers", "registry", "signer", "tests"];

/// Names that say nothing of what is inside.
const GRAB_BAGS: [&str; 7] = ["common", "util", "utils", "core", "helpers", "misc", "shared"];

/// Marks of work that is not done; put together here so that this file does not hold them.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!"), concat!("to", "do!(")];

/// Crates with lints of their own: the freestanding program has the allocator and memory functions that are unsafe code, the kernel's
/// machine is unsafe code, and its image has the one name that the machine calls.
const OWN_LINTS: [&str; 3] = ["plyos-test-nostd", "plyos-kernel-machine", "plyos-kernel"];

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_to_do() {
    let mut faults = Vec::new();
    let mut texts = 0;
    for path in files().unwrap().into_iter().filter(|path| path != "Cargo.lock") {
        // What is not text, or a file that is tracked but gone, has no marks.
        let Ok(text) = read(&path) else { continue };
        texts += 1;
        for (number, line) in text.lines().enumerate() {
            for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
                faults.push(format!("{path}:{}: {mark}", number + 1));
            }
        }
    }
    assert_none(&faults);
    assert!(texts > 50, "only {texts} files were read");
}

#[test]
fn top_level_folders_are_the_concepts() {
    let faults: Vec<String> = files()
        .unwrap()
        .iter()
        .filter_map(|path| path.split_once('/'))
        .filter(|(folder, _)| !folder.starts_with('.') && !CONCEPTS.contains(folder))
        .map(|(folder, file)| format!("{folder}/{file}: no such concept"))
        .collect();
    assert_none(&faults);
}

#[test]
fn no_crate_or_module_is_a_grab_bag() {
    let mut faults = Vec::new();
    for path in files().unwrap().iter().filter(|path| path.ends_with(".rs")) {
        let parts = path.trim_end_matches(".rs").split('/');
        faults.extend(parts.filter(|part| GRAB_BAGS.contains(part)).map(|part| format!("{path}: {part}")));
    }
    for member in members().unwrap() {
        let word = member.name.trim_start_matches("plyos-");
        faults.extend(GRAB_BAGS.contains(&word).then(|| format!("crate {}", member.name)));
    }
    assert_none(&faults);
}

#[test]
fn every_crate_is_under_the_workspaces_lints() {
    let mut faults = Vec::new();
    for member in members().unwrap() {
        let manifest = read(&format!("{}/Cargo.toml", member.folder)).unwrap();
        if manifest.contains("[lints]\nworkspace = true\n") == OWN_LINTS.contains(&member.name.as_str()) {
            faults.push(format!("{} and the list of crates with their own lints disagree", member.name));
        }
    }
    assert_none(&faults);
}
