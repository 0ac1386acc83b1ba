//! Other people's archives: tar in its dialects, Debian packages, wheels.

use plyos_layer_build::ScanOptions;
use plyos_layer_format::entry::compare_paths;
use plyos_layer_format::stream::check_entry;
use plyos_layer_import::{Absolute, Limits, Request, Source};
use std::io::Cursor;

/// What an archive may become here.
const LIMITS: Limits = Limits { entries: 10_000, expanded: Some(16 << 20) };

/// A tar is refused, or becomes a tree under the rules of a layer: sorted, one entry a path, each inside the tree.
pub fn archive(data: &[u8]) {
    let rules = ScanOptions::default();
    let request = Request {
        rules: &rules,
        limits: LIMITS,
        absolute: Absolute::Refuse,
        arch: "amd64",
        python: "usr/lib/python3/dist-packages",
        depends: true,
    };
    let input = Box::new(Cursor::new(data.to_vec()));
    let Ok(read) = (Source::Stream { input, what: "it".to_owned() }).read(&request) else { return };
    let entries = read.tree.entries();
    assert!(entries.len() as u64 <= LIMITS.entries + 1);
    assert!(entries.iter().all(|entry| check_entry(entry).is_ok()));
    let sorted = entries.windows(2).all(|pair| match pair {
        [one, next] => compare_paths(&one.path, &next.path).is_lt(),
        _ => true,
    });
    assert!(sorted, "entries are out of order, or a path stands twice");
}
