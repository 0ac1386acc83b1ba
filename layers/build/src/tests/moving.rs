//! Trees that change while they are read: whatever changes, and whenever, nothing is shipped.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::tempdir;

use super::{descriptor, noise};
use crate::{BuildError, BuildOptions, ScanOptions, build, scan};

/// More than a build with one thread has under way: when the first frame is written, the end was not read yet.
const LARGE: usize = 16 << 20;

/// A tree in which something large comes between the first and the last small file.
fn make(dir: &Path) {
    fs::create_dir(dir.join("a-dir")).unwrap();
    fs::write(dir.join("a-dir/file"), "x").unwrap();
    fs::write(dir.join("a-small"), "same length").unwrap();
    symlink("a-small", dir.join("link")).unwrap();
    fs::write(dir.join("m-large"), noise(1, LARGE)).unwrap();
    fs::write(dir.join("z-small"), "x").unwrap();
}

/// Builds, and lets `change` happen when some of the layer is written: all small files before the large one were read.
fn changed_on_the_way(change: impl Fn(&Path)) -> BuildError {
    let dir = tempdir().unwrap();
    make(dir.path());
    let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
    let once = AtomicBool::new(false);
    build(
        &tree,
        &descriptor(),
        &BuildOptions { level: 1, threads: 1, ..BuildOptions::default() },
        &mut io::sink(),
        &|_| {
            if !once.swap(true, Ordering::Relaxed) {
                change(dir.path());
            }
        },
    )
    .unwrap_err()
}

#[test]
fn what_changes_after_it_was_read_is_named() {
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 9] = [
        ("a-small", |dir| fs::write(dir.join("a-small"), "SAME LENGTH").unwrap()),
        ("a-small", |dir| {
            // A program that sets the time back is seen too.
            let file = File::options().write(true).open(dir.join("a-small")).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            (&file).write_all(b"SAME LENGTH").unwrap();
            file.set_modified(before).unwrap();
        }),
        ("a-small", |dir| fs::set_permissions(dir.join("a-small"), Permissions::from_mode(0o600)).unwrap()),
        ("a-small", |dir| xattr::set(dir.join("a-small"), "user.new", b"x").unwrap()),
        ("a-dir", |dir| fs::write(dir.join("a-dir/new"), "").unwrap()),
        ("a-dir", |dir| fs::remove_file(dir.join("a-dir/file")).unwrap()),
        ("a-dir", |dir| fs::set_permissions(dir.join("a-dir"), Permissions::from_mode(0o700)).unwrap()),
        (".", |dir| fs::create_dir(dir.join("new")).unwrap()),
        (".", |dir| {
            fs::remove_file(dir.join("link")).unwrap();
            symlink("a-dir!!", dir.join("link")).unwrap();
        }),
    ];
    for (at, (name, change)) in changes.into_iter().enumerate() {
        let error = changed_on_the_way(change);
        assert!(
            matches!(&error, BuildError::Changed { path } if path == Path::new(name)),
            "change {at} of {name}: {error}"
        );
    }
}

#[test]
fn what_is_left_out_may_change() {
    let dir = tempdir().unwrap();
    make(dir.path());
    fs::create_dir_all(dir.path().join("run/log")).unwrap();
    let exclude = crate::Exclusions::new([], ["run/log"]).unwrap();
    let tree = scan(dir.path(), &ScanOptions { exclude, ..ScanOptions::default() }).unwrap();
    fs::write(dir.path().join("run/log/new"), "x").unwrap();
    let options = BuildOptions { level: 1, threads: 1, ..BuildOptions::default() };
    build(&tree, &descriptor(), &options, &mut io::sink(), &|_| {}).unwrap();
}

#[test]
fn a_program_that_keeps_writing_is_noticed() {
    let dir = tempdir().unwrap();
    make(dir.path());
    let path = dir.path().join("a-small");
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().write(true).open(&path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                // In place, and as long as it was.
                io::Seek::rewind(&mut file).unwrap();
                file.write_all(format!("{:011}", written.fetch_add(1, Ordering::Relaxed)).as_bytes())
                    .unwrap();
            }
        });
        let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
        let seen = written.load(Ordering::Relaxed);
        while written.load(Ordering::Relaxed) < seen + 2 {
            std::thread::yield_now();
        }
        let options = BuildOptions { level: 1, threads: 1, ..BuildOptions::default() };
        let error = build(&tree, &descriptor(), &options, &mut io::sink(), &|_| {}).unwrap_err();
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(&error, BuildError::Changed { path } if path.ends_with("a-small")), "{error}");
    });
}
