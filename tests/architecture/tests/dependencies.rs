//! The crates and their edges are those of the table in docs/architecture.md.

use std::collections::BTreeSet;

use plyos_test_architecture::dependencies::{Allowed, Role, Table, below, faults, parse};
use plyos_test_architecture::workspace::{Member, Use, members, read};

/// Crates from the registry that are `no_std` without their default features and do no I/O.
const PURE: [&str; 10] = [
    "blake3",
    "sha2",
    "ed25519-dalek",
    "serde",
    "serde_json",
    "thiserror",
    "base64",
    "smoltcp",
    "spin",
    "unicode-width",
];

fn table() -> Result<Table, String> {
    parse(&read("docs/architecture.md")?)
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "docs/architecture.md and the workspace disagree:\n{}", faults.join("\n"));
}

#[test]
fn the_table_is_sound() {
    assert_none(&faults(&table().unwrap()));
}

#[test]
fn every_crate_has_its_row_and_every_row_its_crate() {
    let rows: BTreeSet<_> = table().unwrap().into_iter().map(|(name, row)| (name, row.folder)).collect();
    let crates: BTreeSet<_> =
        members().unwrap().into_iter().map(|member| (member.name, member.folder)).collect();
    let missing = crates.difference(&rows).map(|found| format!("no row: {found:?}"));
    let stale = rows.difference(&crates).map(|found| format!("no crate: {found:?}"));
    assert_none(&missing.chain(stale).collect::<Vec<_>>());
    assert!(rows.len() > 15, "the table was read as almost empty: {rows:?}");
}

/// Edges of a crate that its row does not allow.
fn refused_edges(table: &Table, member: &Member) -> Vec<String> {
    let Some(row) = table.get(&member.name) else { return Vec::new() };
    let below = below(table, &member.name);
    let refused = member.dependencies.iter().filter(|used| used.is_member).filter(|used| match used.usage {
        Use::Normal | Use::Build => !row.may_use.contains(&used.name),
        Use::Dev => row.may_use != Allowed::Everything && !below.contains(&used.name),
    });
    refused.map(|used| format!("{} -> {} ({:?})", member.name, used.name, used.usage)).collect()
}

#[test]
fn every_edge_is_in_the_table() {
    let (table, members) = (table().unwrap(), members().unwrap());
    assert_none(&members.iter().flat_map(|member| refused_edges(&table, member)).collect::<Vec<_>>());
    let edges = members.iter().flat_map(|member| &member.dependencies).filter(|used| used.is_member).count();
    assert!(edges > 15, "cargo told of almost no edges: {edges}");
}

#[test]
fn an_edge_that_is_not_in_the_table_is_seen() {
    let mut slots = members().unwrap().into_iter().find(|member| member.name == "plyos-slots").unwrap();
    let table = table().unwrap();
    assert!(refused_edges(&table, &slots).is_empty());
    for used in &mut slots.dependencies {
        used.name = "plyos-storefile".into();
    }
    assert!(!refused_edges(&table, &slots).is_empty());
}

#[test]
fn cores_say_that_they_are_cores() {
    let table = table().unwrap();
    let cores: Vec<_> = table.iter().filter(|(_, row)| row.role == Role::Core).collect();
    assert!(cores.len() >= 8, "{cores:?}");
    let mut faults = Vec::new();
    for (name, row) in cores {
        let source = read(&format!("{}/src/lib.rs", row.folder)).unwrap();
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !source.lines().any(|line| line == attribute) {
                faults.push(format!("{name} is a core without {attribute}"));
            }
        }
        let mut before = "";
        for line in source.lines() {
            if line.contains("extern crate std") && before != "#[cfg(test)]" {
                faults.push(format!("{name} is a core and names std outside of its tests"));
            }
            before = line;
        }
    }
    assert_none(&faults);
}

#[test]
fn cores_use_only_pure_crates_of_others_without_default_features() {
    let table = table().unwrap();
    let mut faults = Vec::new();
    let mut seen = 0;
    for member in members().unwrap() {
        if table.get(&member.name).is_none_or(|row| row.role != Role::Core) {
            continue;
        }
        for used in member.dependencies.iter().filter(|used| used.usage == Use::Normal && !used.is_member) {
            seen += 1;
            if !PURE.contains(&used.name.as_str()) {
                faults
                    .push(format!("core {} uses {}, which is not known to be pure", member.name, used.name));
            }
            if used.default_features {
                faults.push(format!("core {} uses {} with its default features", member.name, used.name));
            }
        }
    }
    assert_none(&faults);
    assert!(seen > 5, "almost no dependency was looked at");
}
