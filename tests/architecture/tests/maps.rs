//! Maps with keys from outside: nobody can choose names that all fall into one place of a map.
//!
//! The cores know ordered maps only (no hash map without `std` is among the dependencies). The shells use the standard
//! library's hash map with its own hasher, SipHash under a random key of each process. So what makes either of them slow
//! cannot be prepared in a layer, a manifest or a catalog; this test keeps other hashers out.

use plyos_test_architecture::workspace::{files, members, read};

/// Crates of maps and hashers whose hash has no key, or a fixed one.
const UNKEYED: [&str; 11] = [
    "hashbrown",
    "indexmap",
    "ahash",
    "fxhash",
    "rustc-hash",
    "fnv",
    "nohash",
    "nohash-hasher",
    "twox-hash",
    "metrohash",
    "foldhash",
];

/// Ways to give a standard map another hasher than its own; put together here so that this file does not hold them.
const OTHER_HASHERS: [&str; 5] = [
    concat!("with_", "hasher"),
    concat!("with_capacity_and_", "hasher"),
    concat!("BuildHasher", "Default"),
    concat!("Build", "Hasher for"),
    concat!("impl ", "Hasher for"),
];

#[test]
fn no_crate_uses_maps_whose_hash_has_no_key() {
    let members = members().unwrap();
    assert!(members.len() > 10, "only {} crates were looked at", members.len());
    let mut faults = Vec::new();
    for member in &members {
        let unkeyed = member.dependencies.iter().filter(|used| UNKEYED.contains(&used.name.as_str()));
        faults.extend(unkeyed.map(|used| format!("{} uses {}", member.name, used.name)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_map_is_given_another_hasher() {
    let sources: Vec<String> = files().unwrap().into_iter().filter(|path| path.ends_with(".rs")).collect();
    assert!(sources.len() > 100, "only {} files were looked at", sources.len());
    let mut faults = Vec::new();
    for path in sources {
        // A file that is tracked but gone uses nothing.
        let Ok(text) = read(&path) else { continue };
        let others = OTHER_HASHERS.iter().filter(|way| text.contains(**way));
        faults.extend(others.map(|way| format!("{path}: {way}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
