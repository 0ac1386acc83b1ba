//! What the code makes now is what was committed, and what was committed is read and written the same.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::collections::BTreeSet;

use plyos_test_golden::{Again, all, committed, folder, readme};

/// Where two files differ first, for the message.
fn difference(made: &[u8], committed: &[u8]) -> String {
    let at = made.iter().zip(committed).take_while(|(a, b)| a == b).count();
    format!("{} bytes made, {} committed, the first difference at byte {at}", made.len(), committed.len())
}

#[test]
fn every_maker_has_its_file_and_every_file_its_maker() {
    let goldens = all();
    let makers: BTreeSet<&str> = goldens.iter().map(|golden| golden.name).collect();
    assert_eq!(makers.len(), goldens.len(), "two makers of one file");
    let committed = committed().unwrap();
    let files: BTreeSet<&str> = committed.keys().map(String::as_str).collect();
    let missing: Vec<_> = makers.difference(&files).collect();
    let orphans: Vec<_> = files.difference(&makers).collect();
    assert!(
        missing.is_empty() && orphans.is_empty(),
        "without a file: {missing:?}; without a maker: {orphans:?}; run `make golden` and look at the difference"
    );
}

#[test]
fn the_code_makes_the_committed_bytes() {
    let committed = committed().unwrap();
    let mut faults = Vec::new();
    for golden in all() {
        let made = golden.made().unwrap();
        match committed.get(golden.name) {
            Some(file) if *file == made => {}
            Some(file) => faults.push(format!("{}: {}", golden.name, difference(&made, file))),
            None => faults.push(format!("{}: no file", golden.name)),
        }
    }
    assert!(
        faults.is_empty(),
        "formats changed:\n{}\nA released format does not change: it gets a new magic or version. If this one may, \
         run `make golden` and look at the difference.",
        faults.join("\n")
    );
}

#[test]
fn what_is_read_is_written_the_same() {
    let committed = committed().unwrap();
    for golden in all() {
        let Again::Emit(again) = golden.again else { continue };
        let bytes = golden.bytes_of(&committed[golden.name]).unwrap();
        let found = again(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", golden.name));
        assert!(found == bytes, "{}: {}", golden.name, difference(&found, &bytes));
    }
}

#[test]
fn a_flipped_bit_is_seen() {
    // In every file that is read back, at places all over what is not zero: refused, or written as another object than this one.
    for golden in all() {
        let Again::Emit(again) = golden.again else { continue };
        let bytes = (golden.make)().unwrap();
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        for at in used.iter().step_by((used.len() / 16).max(1)) {
            let mut other = bytes.clone();
            other[*at] ^= 1;
            assert!(
                !again(&other).is_ok_and(|found| found == bytes),
                "{}: byte {at} is not read",
                golden.name
            );
        }
    }
}

#[test]
fn the_files_stay_small() {
    let total: usize = committed().unwrap().values().map(Vec::len).sum();
    assert!(total < 200 << 10, "{total} bytes of golden files");
}

#[test]
fn every_section_has_its_files_or_a_reason() {
    let page = std::fs::read_to_string(folder().join("../../docs/formats.md")).unwrap();
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let pinned = all().into_iter().map(|golden| golden.section);
    let listed: BTreeSet<&str> = pinned.chain(readme::WITHOUT.iter().map(|(section, _)| *section)).collect();
    assert_eq!(sections, listed, "docs/formats.md and the golden files name other sections");
}

#[test]
fn the_list_for_people_is_up_to_date() {
    let page = std::fs::read_to_string(folder().join("README.md")).unwrap();
    assert!(page == readme::text(&all()), "tests/golden/README.md is out of date: run `make golden`");
}
