//! Archives made to do harm, each by name: every one is refused in one line, and no tree comes of it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod archive;
mod image;
mod images;
mod limits;
mod packages;
mod tars;

use plyos_layer_build::ScanOptions;
use plyos_layer_import::{Absolute, ImportError, Imported, Limits, Request, Source};

/// Reads `source` with the usual bounds.
fn read(source: Source) -> Result<Imported, ImportError> {
    read_bounded(source, Limits::default())
}

fn read_bounded(source: Source, limits: Limits) -> Result<Imported, ImportError> {
    let rules = ScanOptions::default();
    let absolute = Absolute::Refuse;
    source.read(&Request {
        rules: &rules,
        limits,
        absolute,
        arch: "amd64",
        python: "usr/lib",
        depends: false,
    })
}

/// A tar as if on standard input.
fn stream(bytes: Vec<u8>) -> Source {
    Source::Stream { input: Box::new(std::io::Cursor::new(bytes)), what: "input".into() }
}

/// A file, told by its content.
fn file(bytes: &[u8]) -> Source {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    Source::File { file, what: "input".into() }
}

/// Asserts that `result` is a refusal of one line with `expected` in it.
fn refused(attack: &str, result: Result<Imported, ImportError>, expected: &str) {
    let error = match result {
        Ok(read) => panic!("{attack}: not refused, {} entries", read.tree.entries().len()),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(expected), "{attack}: expected {expected:?} in {error:?}");
    assert!(!error.contains('\n'), "{attack}: more than one line: {error:?}");
}

/// The paths of a tree.
fn paths(read: &Imported) -> Vec<String> {
    read.tree.entries().iter().map(|entry| entry.path.escape_ascii().to_string()).collect()
}
