//! A tar archive as Python's tarfile lists it, made an inventory.

use crate::inventory::{Entry, Inventory, is_root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What the program prints.
pub(super) const LISTING: &str = include_str!("listing.py");

/// Reads the lines of [`LISTING`].
pub(super) fn inventory(lines: &str) -> Inventory {
    let mut found = Inventory::new();
    for line in lines.lines() {
        let facts: Value = serde_json::from_str(line).unwrap();
        let path = path(&facts["path"]);
        if facts["kind"] == "h" {
            let first = self::path(&facts["target"]);
            let entry = found.get_mut(&first).expect("a hard link's first path stands before it");
            entry.first_name = Some(first);
            let entry = entry.clone();
            found.insert(path, entry);
        } else {
            found.insert(path, entry(&facts));
        }
    }
    found
}

fn entry(facts: &Value) -> Entry {
    let kind = facts["kind"].as_str().unwrap().chars().next().unwrap();
    let number = |name: &str| facts[name].as_u64().unwrap();
    let small = |name: &str| u32::try_from(number(name)).unwrap();
    let attributes = facts["xattrs"].as_object().unwrap().iter();
    let content = facts["sha256"].as_str().map(|hex| unhex(hex).try_into().unwrap());
    Entry {
        kind,
        mode: if kind == 'l' { 0 } else { small("mode") },
        owner: is_root().then(|| (small("uid"), small("gid"))),
        size: match kind {
            '-' => number("size"),
            'c' | 'b' => number("device"),
            _ => 0,
        },
        target: (kind == 'l').then(|| path(&facts["target"])),
        content,
        first_name: None,
        attributes: attributes
            .map(|(name, value)| (OsString::from_vec(unhex(name)), unhex(value.as_str().unwrap())))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// A path as inventories have it: the root's is empty.
fn path(hex: &Value) -> PathBuf {
    let bytes = unhex(hex.as_str().unwrap());
    if bytes == b"." { PathBuf::new() } else { PathBuf::from(OsString::from_vec(bytes)) }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
