//! docs/oci-distribution.md names a test for each line, and those tests are there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The sections of the specification that ask something of a registry.
const SECTIONS: [&str; 19] = [
    "Pulling manifests",
    "Pulling blobs",
    "Checking if content exists",
    "Push",
    "POST then PUT",
    "Single POST",
    "Pushing a blob in chunks",
    "Mounting a blob",
    "Pushing manifests",
    "Pushing manifests with subject",
    "Listing tags",
    "Listing referrers",
    "Deleting tags",
    "Deleting manifests",
    "Deleting blobs",
    "Enabling the referrers API",
    "Determining support",
    "Error codes",
    "Warnings",
];

struct Line {
    number: String,
    section: String,
    tests: Vec<String>,
}

fn server() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn lines() -> Vec<Line> {
    let page = std::fs::read_to_string(server().join("../../docs/oci-distribution.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    let lines = cells.filter(|cells| {
        cells
            .first()
            .is_some_and(|number| number.len() > 1 && number[1..].bytes().all(|b| b.is_ascii_digit()))
    });
    let line = |cells: Vec<String>| {
        let [number, section, what, tests] =
            <[String; 4]>::try_from(cells).unwrap_or_else(|c| panic!("{c:?}"));
        assert!(!what.is_empty(), "{number}");
        let tests = tests.split(", ").map(|test| {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            name.unwrap_or_else(|| panic!("{number}: {test} is no test")).to_owned()
        });
        let tests = tests.collect();
        Line { number, section, tests }
    };
    lines.map(line).collect()
}

/// Whether a file holds a test function of that name.
fn has_test(file: &Path, name: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let heads = [
        format!("#[tokio::test]\nasync fn {name}("),
        format!("#[test]\n    fn {name}("),
        format!("#[tokio::test]\n    async fn {name}("),
    ];
    heads.iter().any(|head| text.contains(head))
}

#[test]
fn every_line_names_tests_that_are_there() {
    let lines = lines();
    let mut faults = Vec::new();
    for line in &lines {
        for test in &line.tests {
            let (file, name) = test.rsplit_once("::").expect(test);
            let file = match file.strip_prefix("src/") {
                Some(file) => server().join(format!("src/{file}.rs")),
                None => server().join(format!("tests/http/{file}.rs")),
            };
            if !has_test(&file, name) {
                faults.push(format!("{}: there is no test {test}", line.number));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
    assert!(lines.len() > 80, "only {} lines were read", lines.len());
}

#[test]
fn numbers_have_no_gaps() {
    for kind in ["M", "S", "X"] {
        let lines = lines();
        let numbers = lines.iter().filter_map(|line| line.number.strip_prefix(kind)?.parse::<usize>().ok());
        let numbers: Vec<usize> = numbers.collect();
        assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "{kind}");
        assert!(!numbers.is_empty(), "{kind}");
    }
}

#[test]
fn every_section_is_there() {
    let lines = lines();
    let demands = lines.iter().filter(|line| line.number.starts_with('M'));
    let found: BTreeSet<&str> = demands.map(|line| line.section.as_str()).collect();
    assert_eq!(found, BTreeSet::from(SECTIONS));
}
