//! Trees that try to write outside their destination, or over each other.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use plyos_layer_format::entry::{Entry, EntryKind, Xattr};
use plyos_layer_format::stream::{EntryError, NameError};
use tempfile::tempdir;

use crate::export::{ExportError, ExportOptions, Exported, Owners, export};

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 1, xattrs: Vec::new() }
}

fn root() -> Entry {
    entry("", EntryKind::Directory { descendants: 0 })
}

fn directory(path: &str) -> Entry {
    entry(path, EntryKind::Directory { descendants: 0 })
}

fn file(path: &str) -> Entry {
    entry(path, EntryKind::File { size: 3, data_offset: 0, links: 1 })
}

fn symlink(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink { target: target.into() })
}

fn export_to(dest: &Path, entries: Vec<Entry>, owners: Owners) -> Result<Exported, ExportError> {
    let mut content = |_offset: u64, out: &mut [u8]| {
        out.fill(b'x');
        Ok(())
    };
    let entries = entries.into_iter().map(Ok::<_, Infallible>);
    export(entries, &mut content, dest, &ExportOptions { owners })
}

/// Exports into a directory beside a canary, which must not be touched.
fn attack(entries: Vec<Entry>) -> ExportError {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/canary"), b"alive").unwrap();
    let error = export_to(&dir.path().join("dest"), entries, Owners::Current).unwrap_err();
    assert_eq!(fs::read(dir.path().join("outside/canary")).unwrap(), b"alive");
    assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    error
}

#[track_caller]
fn assert_refused(entries: Vec<Entry>, reason: EntryError) {
    let error = attack(entries);
    assert!(matches!(&error, ExportError::Refused { source, .. } if *source == reason), "{error}");
}

#[test]
fn file_outside_by_dots_or_absolute_path() {
    assert_refused(vec![root(), file("../outside/new")], NameError::Dots.into());
    assert_refused(vec![root(), directory("a"), file("a/../../outside/new")], NameError::Dots.into());
    assert_refused(vec![root(), file("/outside")], NameError::Empty.into());
    assert_refused(vec![root(), file("a\0b")], NameError::Nul.into());
}

#[test]
fn file_below_a_symlink() {
    assert_refused(vec![root(), symlink("a", "../outside"), file("a/new")], EntryError::Parent);
}

#[test]
fn directory_over_a_symlink_then_file_below() {
    let error = attack(vec![root(), symlink("a", "../outside"), directory("a"), file("a/new")]);
    assert!(
        matches!(error, ExportError::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    );
}

#[test]
fn file_over_a_symlink() {
    let error = attack(vec![root(), symlink("a", "../outside/canary"), file("a")]);
    assert!(
        matches!(error, ExportError::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    );
}

#[test]
fn file_below_a_file_or_a_missing_directory() {
    assert_refused(vec![root(), file("a"), file("a/b")], EntryError::Parent);
    assert_refused(vec![root(), file("a/b")], EntryError::Parent);
    // Left, so closed: its mode and times are final.
    assert_refused(vec![root(), directory("a"), directory("b"), file("a/c")], EntryError::Parent);
}

#[test]
fn entries_that_do_not_start_with_one_root() {
    assert_refused(vec![file("a")], EntryError::Root);
    assert_refused(vec![root(), root()], EntryError::Root);
    assert_refused(vec![file("")], EntryError::Root);
}

#[test]
fn hard_link_to_what_is_no_shared_file() {
    let link = |target| entry("z", EntryKind::HardLink { target });
    assert_refused(vec![root(), symlink("a", "../outside/canary"), link(1)], EntryError::HardLinkTarget);
    assert_refused(vec![root(), file("a"), link(1)], EntryError::HardLinkTarget);
    assert_refused(vec![root(), link(0)], EntryError::HardLinkTarget);
    assert_refused(vec![root(), link(9)], EntryError::HardLinkTarget);
}

#[test]
fn destination_that_exists() {
    let dir = tempdir().unwrap();
    let error = export_to(dir.path(), vec![root()], Owners::Current).unwrap_err();
    assert!(matches!(error, ExportError::Destination { .. }), "{error}");
    std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
    let error = export_to(&dir.path().join("link"), vec![root()], Owners::Current).unwrap_err();
    assert!(matches!(error, ExportError::Destination { .. }), "{error}");
}

#[test]
fn content_that_cannot_be_had_names_the_file() {
    let dir = tempdir().unwrap();
    let mut content = |_: u64, _: &mut [u8]| Err(io::Error::other("damaged"));
    let entries = [root(), file("a")].map(Ok::<_, Infallible>);
    let options = ExportOptions::default();
    let error = export(entries, &mut content, &dir.path().join("dest"), &options).unwrap_err();
    assert!(matches!(error, ExportError::Content { path, .. } if path == Path::new("a")));
}

#[test]
fn set_id_bits_are_dropped_for_another_owner() {
    let dir = tempdir().unwrap();
    let ours = fs::metadata(dir.path()).unwrap().uid();
    let set_id = |path: &str, uid| Entry { mode: 0o6755, uid, gid: ours + 1, ..file(path) };
    let dest = dir.path().join("dest");
    let entries = vec![root(), set_id("other", ours + 1), set_id("own", ours)];
    let exported = export_to(&dest, entries, Owners::Current).unwrap();
    assert_eq!(exported.set_ids_dropped, 2);
    let mode = |name| fs::metadata(dest.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("other"), mode("own")), (0o755, 0o4755));
}

#[test]
fn directories_that_nobody_may_enter_are_complete() {
    let dir = tempdir().unwrap();
    let dest = dir.path().join("dest");
    let closed = |path: &str| Entry { mode: 0, ..directory(path) };
    let shared = entry("a/b/c", EntryKind::File { size: 3, data_offset: 0, links: 2 });
    let link = entry("d", EntryKind::HardLink { target: 3 });
    export_to(&dest, vec![root(), closed("a"), closed("a/b"), shared, link], Owners::Current).unwrap();
    assert_eq!(fs::metadata(dest.join("d")).unwrap().nlink(), 2);
    assert_eq!(fs::metadata(dest.join("a")).unwrap().mode() & 0o7777, 0);
    assert_eq!(fs::metadata(dest.join("a")).unwrap().mtime(), 1);
    // So that the temporary directory can be removed by others than root.
    use std::os::unix::fs::PermissionsExt;
    for path in ["a", "a/b"] {
        fs::set_permissions(dest.join(path), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn attributes_that_the_system_does_not_know_are_counted() {
    let dir = tempdir().unwrap();
    let attribute = Xattr { name: b"nonsense.name".to_vec(), value: b"x".to_vec() };
    let odd = Entry { xattrs: vec![attribute], ..file("a") };
    let exported = export_to(&dir.path().join("dest"), vec![root(), odd], Owners::Current).unwrap();
    assert_eq!(exported.attributes_lost, 1);
}
