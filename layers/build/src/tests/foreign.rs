//! Other people's tools as judges: `zstd -dc | tar -x` must give back the tree. Our own reader agreeing with our own
//! writer would prove little.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use plyos_layer_format::entry::{Entry, EntryKind};
use tempfile::tempdir;

use super::facts::{self, Facts, What};
use super::{build_dir, entries, keep_times, nasty};
use crate::ScanOptions;

/// Whether the tests with foreign tools are to be left out. Without that, a missing tool is a failure.
pub(super) fn skipped() -> bool {
    std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|value| value == "1")
}

/// Runs a program that must end well; what it wrote.
pub(super) fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot run {command:?} ({error}): install it or set PLYOS_SKIP_FOREIGN=1")
        });
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn untar(blob: &[u8], dest: &Path) -> Facts {
    let stream = run(Command::new("zstd").args(["-dc"]), blob);
    fs::create_dir(dest).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C"]).arg(dest);
    run(&mut tar, &stream);
    facts::of(dest)
}

#[test]
fn tar_extracts_the_tree_that_was_scanned() {
    if skipped() {
        return;
    }
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (_, blob) = build_dir(dir.path(), &keep_times());
    let out = tempdir().unwrap();
    facts::assert_same(&facts::of(dir.path()), &untar(&blob, &out.path().join("tree")));
}

#[test]
fn tar_extracts_what_the_index_says() {
    if skipped() {
        return;
    }
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (built, blob) = build_dir(dir.path(), &ScanOptions::default());
    let out = tempdir().unwrap();
    let found = untar(&blob, &out.path().join("tree"));
    let entries = entries(&built.index);
    assert_eq!(found.len(), entries.len());
    for entry in &entries {
        let fact = &found[&entry.path];
        assert_eq!(
            fact.mode,
            u32::from(entry.mode) | if matches!(fact.what, What::Symlink(_)) { 0o777 } else { 0 }
        );
        assert_eq!(fact.mtime, entry.mtime, "{}", entry.path.escape_ascii());
        match (&entry.kind, &fact.what) {
            (EntryKind::Directory { .. }, What::Directory) | (EntryKind::Fifo, What::Fifo) => {}
            (EntryKind::Symlink { target }, What::Symlink(found)) => assert_eq!(target, found),
            (EntryKind::File { size, links, .. }, What::File { size: found, first_path, .. }) => {
                assert_eq!((size, u64::from(*links)), (found, fact.links));
                assert_eq!(first_path, &entry.path);
            }
            (EntryKind::HardLink { target }, What::File { first_path, .. }) => {
                assert_eq!(first_path, &entries[*target as usize].path);
            }
            other => panic!("{}: {other:?}", entry.path.escape_ascii()),
        }
    }
}

#[test]
fn tar_lists_the_entries_in_our_order() {
    if skipped() {
        return;
    }
    let dir = tempdir().unwrap();
    nasty::make(dir.path());
    let (built, blob) = build_dir(dir.path(), &ScanOptions::default());
    let stream = run(Command::new("zstd").args(["-dc"]), &blob);
    // Names that tar escapes are left out on both sides.
    let listed = run(Command::new("tar").args(["-t", "--quoting-style=escape"]), &stream);
    let listed = String::from_utf8(listed).unwrap();
    let plain = |name: &str| name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'\\');
    let listed: Vec<&str> = listed.lines().filter(|name| plain(name)).collect();
    let name_of = |entry: &Entry| match (std::str::from_utf8(&entry.path), entry.is_directory()) {
        (Ok(""), _) => Some("./".to_owned()),
        (Ok(path), true) => Some(format!("{path}/")),
        (Ok(path), false) => Some(path.to_owned()),
        (Err(_), _) => None,
    };
    let ours: Vec<String> =
        entries(&built.index).iter().filter_map(name_of).filter(|name| plain(name)).collect();
    assert!(ours.len() > 40);
    assert_eq!(listed, ours);
}
