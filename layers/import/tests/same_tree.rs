//! Other people's tar of a tree gives the very layer that the tree itself gives: GNU tar in each of its formats, bsdtar,
//! Python's tarfile. Our own reader agreeing with our own writer would prove little.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use plyos_ids::Kind;
use plyos_layer_build::{BuildOptions, ScanOptions, Tree, build, scan};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::index::MtimeRule;
use plyos_layer_import::{Absolute, Limits, Request, Source};

/// Whether the tests with foreign tools are to be left out. Without that, a missing tool is a failure.
fn skipped() -> bool {
    std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|value| value == "1")
}

/// A tree of all that ustar can say, and more unless it is to be `plain`.
fn make(root: &Path, plain: bool) {
    let path = |name: &[u8]| root.join(OsStr::from_bytes(name));
    fs::set_permissions(root, Permissions::from_mode(0o751)).unwrap();
    for size in [0, 1, 511, 512, 513, 70_000] {
        fs::write(path(format!("size-{size}").as_bytes()), vec![b'x'; size]).unwrap();
    }
    fs::create_dir_all(path(b"dir/empty")).unwrap();
    fs::write(path(b"dir/a-b"), "order").unwrap();
    fs::write(path(b"zz-first"), "two names").unwrap();
    fs::hard_link(path(b"zz-first"), path(b"dir/aa-second")).unwrap();
    for (name, target) in [("dangling", "nowhere"), ("absolute", "/etc/passwd"), ("to-dir", "dir")] {
        symlink(target, root.join(name)).unwrap();
    }
    for (name, mode) in [("size-1", 0o4755), ("size-511", 0o2711), ("dir", 0o1777)] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    fifo(&path(b"fifo"));
    // Only root can give files away; all else is the same for everyone.
    let _ = chown(path(b"size-512"), Some(1234), Some(5678));
    if plain {
        return;
    }
    for name in [&b"not utf-8 \xff\xfe"[..], b"new\nline", "caf\u{e9}".as_bytes(), &[b'n'; 255]] {
        fs::write(path(name), name).unwrap();
    }
    symlink("t".repeat(300), path(b"long-link")).unwrap();
    let deep = root.join("d".repeat(150)).join("e".repeat(150));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), "far down").unwrap();
    fs::hard_link(deep.join("bottom"), path(b"zz-to-the-bottom")).unwrap();
    let sparse = File::create(path(b"sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 2 << 20).unwrap();
    sparse.write_all_at(b"further", 4 << 20).unwrap();
}

/// With extended attributes and access control lists.
fn attributes(root: &Path) {
    xattr::set(root.join("size-0"), "user.bytes", b"\0\n=\xff").unwrap();
    xattr::set(root.join("dir"), "user.directory", b"yes").unwrap();
    let mut capability = [0; 20];
    capability[..8].copy_from_slice(&[1, 0, 0, 2, 0, 0x20, 0, 0]);
    // Of root only.
    let _ = xattr::set(root.join("size-513"), "security.capability", &capability);
    let mut list = vec![2, 0, 0, 0];
    for (tag, rights, id) in
        [(1u16, 6u16, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend_from_slice(&tag.to_le_bytes());
        list.extend_from_slice(&rights.to_le_bytes());
        list.extend_from_slice(&id.to_le_bytes());
    }
    xattr::set(root.join("size-70000"), "system.posix_acl_access", &list).unwrap();
}

fn fifo(path: &Path) {
    run(Command::new("mkfifo").arg(path));
}

fn run(command: &mut Command) -> Vec<u8> {
    let output =
        command.env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::piped()).output().unwrap_or_else(
            |error| panic!("cannot run {command:?} ({error}): install it or set PLYOS_SKIP_FOREIGN=1"),
        );
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Identity and blob of a tree.
fn built(tree: &Tree) -> (String, Vec<u8>) {
    let descriptor = Descriptor::new(Kind::Package, "sample", "1.0", "any").unwrap();
    let mut blob = Vec::new();
    let options = BuildOptions { level: 1, threads: 2, ..BuildOptions::default() };
    let built = build(tree, &descriptor, &options, &mut blob, &|_| {}).unwrap();
    (built.layer.to_string(), blob)
}

fn read(archive: Vec<u8>, rules: &ScanOptions) -> Tree {
    let (limits, absolute) = (Limits::default(), Absolute::Refuse);
    let request = Request { rules, limits, absolute, arch: "amd64", python: "", depends: false };
    let source = Source::Stream { input: Box::new(std::io::Cursor::new(archive)), what: "input".into() };
    source.read(&request).unwrap().tree
}

fn assert_same(what: &str, expected: &Tree, found: &Tree) {
    for (a, b) in expected.entries().iter().zip(found.entries()) {
        assert_eq!(a, b, "{what}");
    }
    assert_eq!(expected.entries().len(), found.entries().len(), "{what}");
    assert!(built(expected) == built(found), "{what}: the layers differ");
}

/// Packs `root` by `pack` and compares, with times made and kept.
fn compare(what: &str, root: &Path, pack: impl Fn() -> Vec<u8>) {
    let archive = pack();
    for mtime in [MtimeRule::Content, MtimeRule::Kept] {
        let rules = ScanOptions { mtime, ..ScanOptions::default() };
        assert_same(what, &scan(root, &rules).unwrap(), &read(archive.clone(), &rules));
    }
}

#[test]
fn gnu_tar_in_each_of_its_formats() {
    if skipped() {
        return;
    }
    for (format, plain, with_attributes) in [
        ("ustar", true, false),
        ("gnu", false, false),
        ("oldgnu", false, false),
        ("pax", false, true),
        ("v7", true, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), plain);
        if with_attributes {
            attributes(dir.path());
        }
        if format == "v7" {
            fs::remove_file(dir.path().join("fifo")).unwrap();
        }
        for sparse in [false, true] {
            if sparse && (format == "ustar" || format == "v7") {
                continue;
            }
            let pack = || {
                let mut tar = Command::new("tar");
                tar.arg(format!("--format={format}")).arg("--numeric-owner");
                if with_attributes {
                    tar.args(["--xattrs", "--xattrs-include=*", "--acls"]);
                }
                if sparse {
                    tar.arg("--sparse");
                }
                run(tar.arg("-C").arg(dir.path()).args(["-cf", "-", "."]))
            };
            compare(&format!("tar --format={format}, sparse: {sparse}"), dir.path(), pack);
        }
    }
}

#[test]
fn gnu_tar_with_the_older_pax_form_of_holes() {
    if skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), false);
    compare("tar --sparse-version=0.1", dir.path(), || {
        let mut tar = Command::new("tar");
        tar.args(["--format=pax", "--sparse", "--sparse-version=0.1", "-C"]).arg(dir.path());
        run(tar.args(["-cf", "-", "."]))
    });
}

#[test]
fn bsdtar() {
    if skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), false);
    attributes(dir.path());
    compare("bsdtar", dir.path(), || {
        let mut tar = Command::new("bsdtar");
        tar.args(["--format", "pax", "--numeric-owner", "--xattrs", "--acls", "-C"]).arg(dir.path());
        run(tar.args(["-cf", "-", "."]))
    });
}

#[test]
fn pythons_tarfile() {
    if skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), false);
    compare("tarfile", dir.path(), || {
        let out = tempfile::NamedTempFile::new().unwrap();
        let script = "import sys, tarfile\nwith tarfile.open(sys.argv[2], 'w') as t: t.add(sys.argv[1], '.')";
        run(Command::new("python3").args(["-c", script]).arg(dir.path()).arg(out.path()));
        fs::read(out.path()).unwrap()
    });
}

#[test]
fn compressed_by_the_real_tools() {
    if skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), false);
    let plain = tempfile::NamedTempFile::new().unwrap();
    let rules = ScanOptions::default();
    let expected = scan(dir.path(), &rules).unwrap();
    let archive =
        run(Command::new("tar").args(["--format=pax", "-C"]).arg(dir.path()).args(["-cf", "-", "."]));
    plain.as_file().write_all(&archive).unwrap();
    for tool in ["gzip", "xz", "zstd"] {
        let compressed = run(Command::new(tool).arg("-c").arg(plain.path()));
        assert_same(tool, &expected, &read(compressed, &rules));
    }
}
