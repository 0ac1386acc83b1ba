//! What cannot become a layer, and what goes wrong on the way, ends with its own error and never hangs.

use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;

use plyos_layer_format::stream::{EntryError, NameError};
use tempfile::tempdir;

use super::{descriptor, keep_times, noise};
use crate::ahead::{Ahead, Brought, Ready};
use crate::produce::{Stop, produce};
use crate::{BuildError, BuildOptions, ScanOptions, build, scan};

fn scan_error(prepare: impl FnOnce(&std::path::Path)) -> BuildError {
    let dir = tempdir().unwrap();
    prepare(dir.path());
    scan(dir.path(), &ScanOptions::default()).unwrap_err()
}

#[test]
fn a_socket_is_refused_by_name() {
    let error = scan_error(|dir| drop(UnixListener::bind(dir.join("control.sock")).unwrap()));
    assert!(matches!(&error, BuildError::Socket { path } if path.ends_with("control.sock")), "{error}");
}

#[test]
fn a_whiteout_is_refused_by_name() {
    let error = scan_error(|dir| fs::write(dir.join(".wh.gone"), b"").unwrap());
    let reason = EntryError::Path(NameError::Whiteout);
    assert!(
        matches!(&error, BuildError::Refused { path, source } if path.ends_with(".wh.gone") && *source == reason)
    );
}

#[test]
fn attributes_of_overlayfs_are_refused() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("opaque")).unwrap();
    if xattr::set(dir.path().join("opaque"), "trusted.overlay.opaque", b"y").is_err() {
        return; // Only root may have such attributes, so nobody else meets them.
    }
    let error = scan(dir.path(), &ScanOptions::default()).unwrap_err();
    assert!(matches!(error, BuildError::Refused { source: EntryError::XattrOverlay, .. }), "{error}");
}

#[test]
fn a_missing_directory_and_a_file_are_no_trees() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    for name in ["missing", "file"] {
        let error = scan(&dir.path().join(name), &ScanOptions::default()).unwrap_err();
        assert!(matches!(error, BuildError::Root { .. }), "{error}");
    }
}

/// Scans a directory with one file of `size` bytes, lets `change` happen, builds.
fn changed(size: usize, options: &ScanOptions, change: impl FnOnce(&std::path::Path)) -> BuildError {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, noise(1, size)).unwrap();
    let tree = scan(dir.path(), options).unwrap();
    change(&file);
    let options = BuildOptions { level: 1, threads: 2, ..BuildOptions::default() };
    build(&tree, &descriptor(), &options, &mut io::sink(), &|_| {}).unwrap_err()
}

#[test]
fn a_file_that_changes_after_the_scan_is_named() {
    for size in [10, 100_000] {
        let mut errors = vec![
            changed(size, &ScanOptions::default(), |file| fs::write(file, noise(1, size + 1)).unwrap()),
            changed(size, &ScanOptions::default(), |file| fs::write(file, noise(1, size - 1)).unwrap()),
            changed(size, &ScanOptions::default(), |file| fs::remove_file(file).unwrap()),
            changed(size, &ScanOptions::default(), |file| {
                fs::rename(file, file.with_extension("old")).unwrap();
                fs::write(file, noise(1, size)).unwrap();
            }),
            changed(size, &ScanOptions::default(), |file| {
                fs::rename(file, file.with_extension("old")).unwrap();
                std::os::unix::fs::symlink("file.old", file).unwrap();
            }),
        ];
        errors.push(changed(size, &keep_times(), |file| {
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }));
        for (at, error) in errors.iter().enumerate() {
            assert!(matches!(error, BuildError::Changed { path } if path.ends_with("file")), "{at}: {error}");
        }
    }
}

#[test]
fn a_huge_file_must_be_the_same_when_it_is_read_again() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), noise(1, 5_000_000)).unwrap();
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    let produce_with = |hash: [u8; 32]| {
        let (sender, files) = mpsc::channel();
        sender.send(Brought::of_one(Ready::Huge { hash: Some(hash) })).unwrap();
        produce(&tree, &mut Ahead::new(files), |_| Ok(()))
    };
    assert!(produce_with(*blake3::hash(&noise(1, 5_000_000)).as_bytes()).is_ok());
    let error = produce_with([0; 32]);
    assert!(matches!(error, Err(Stop::Failed(BuildError::Changed { .. }))), "{error:?}");
}

/// Takes some bytes, then is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        self.0 = left.ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_build_at_once() {
    let dir = tempdir().unwrap();
    for name in 0..24 {
        fs::write(dir.path().join(name.to_string()), noise(name, 2 << 20)).unwrap();
    }
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    // The blob has 50,368,178 bytes, the last 26,770 after the frames.
    for (room, threads) in [(0, 1), (0, 7), (20 << 20, 2), (50_350_000, 3)] {
        let options = BuildOptions { level: 1, threads, ..BuildOptions::default() };
        let error = build(&tree, &descriptor(), &options, &mut Full(room), &|_| {}).err().unwrap();
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        assert!(matches!(&error, BuildError::Write(error) if is_full(error)), "{error}");
    }
}

#[test]
fn a_level_that_zstd_does_not_have_is_refused() {
    let dir = tempdir().unwrap();
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    for level in [0, -3, 23] {
        let options = BuildOptions { level, threads: 1, ..BuildOptions::default() };
        let error = build(&tree, &descriptor(), &options, &mut io::sink(), &|_| {}).unwrap_err();
        assert!(matches!(error, BuildError::Level { .. }));
    }
}
