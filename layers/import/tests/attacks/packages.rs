//! Debian packages and wheels: honest ones, and attacks on what they say of themselves.

use std::io::{Cursor, Write};

use base64::Engine;
use plyos_layer_format::entry::EntryKind;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use crate::archive::Archive;
use crate::{file, paths, read, refused};

const CONTROL: &str = "Package: hello\nVersion: 2:2.10-3\nArchitecture: amd64\nDescription: greets\n";

fn control() -> Vec<u8> {
    Archive::new()
        .file("./control", CONTROL)
        .file("./postinst", "#!/bin/sh\n")
        .file("./conffiles", "/etc/hello\n")
        .end()
}

fn data() -> Vec<u8> {
    Archive::new().directory("./").file("./usr/bin/hello", "x").end()
}

fn debian(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in parts {
        builder.append(&ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64), &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn version() -> Vec<u8> {
    b"2.0\n".to_vec()
}

#[test]
fn a_debian_package_is_its_data_and_says_what_it_is() {
    let xz = |bytes: &[u8]| {
        let mut out = liblzma::write::XzEncoder::new(Vec::new(), 0);
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let zst = zstd::encode_all(&data()[..], 1).unwrap();
    let package = debian(&[
        ("debian-binary", version()),
        ("control.tar.xz", xz(&control())),
        ("_gpgorigin", b"whatever".to_vec()),
        ("data.tar.zst", zst),
    ]);
    let read = read(file(&package)).unwrap();
    assert_eq!(paths(&read), ["", "usr", "usr/bin", "usr/bin/hello"]);
    assert_eq!(
        (read.facts.name.as_deref(), read.facts.version.as_deref()),
        (Some("hello"), Some("2:2.10-3"))
    );
    assert_eq!((read.facts.kind.as_deref(), read.facts.abi.as_deref()), (Some("package"), Some("linux")));
    assert!(read.notes[0].starts_with("1 maintainer scripts") && read.notes[1].starts_with("1 conffiles"));
}

#[test]
fn debian_packages_that_are_not_whole_are_refused() {
    let whole = [("debian-binary", version()), ("control.tar", control()), ("data.tar", data())];
    let without = |number: usize| {
        let mut parts = whole.to_vec();
        parts.remove(number);
        debian(&parts)
    };
    for (attack, package, expected) in [
        ("no-version", without(0), "stands where debian-binary is expected"),
        ("no-control", without(1), "stands where control.tar is expected"),
        ("no-data", without(2), "no data.tar"),
        ("other-archive", debian(&[("a.o", vec![1])]), "is it a Debian package"),
        ("version-3", debian(&[("debian-binary", b"3.0\n".to_vec())]), "2.x"),
        (
            "two-controls",
            debian(&[
                ("debian-binary", version()),
                ("control.tar", Archive::new().file("control", CONTROL).file("./control", CONTROL).end()),
                ("data.tar", data()),
            ]),
            "twice",
        ),
        (
            "data-below-a-link",
            debian(&[
                ("debian-binary", version()),
                ("control.tar", control()),
                ("data.tar", Archive::new().symlink("usr", "/etc").file("usr/passwd", "").end()),
            ]),
            "link",
        ),
    ] {
        refused(attack, read(file(&package)), expected);
    }
    let package = debian(&whole);
    assert!(read(file(&package[..package.len() - 1500])).is_err(), "cut in the data");
}

/// A wheel of these files; RECORD is made from them and then changed.
fn wheel(files: &[(&str, &str)], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let info = "Hello_World-1.0.dist-info";
    let metadata = [
        (format!("{info}/METADATA"), "Metadata-Version: 2.1\nName: Hello_World\nVersion: 1.0\n\n".to_owned()),
        (format!("{info}/WHEEL"), "Wheel-Version: 1.0\nTag: py3-none-any\n".to_owned()),
        (format!("{info}/entry_points.txt"), "[console_scripts]\nhello = hello:main\n".to_owned()),
    ];
    let files = files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned()));
    let all: Vec<(String, String)> = files.chain(metadata).collect();
    let mut record = format!("{info}/RECORD,,\n");
    for (name, content) in &all {
        let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(content));
        record.push_str(&format!("{name},sha256={hash},{}\n", content.len()));
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in all.iter().chain([&(format!("{info}/RECORD"), change(record))]) {
        zip.start_file(name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_wheel_is_laid_out_as_an_installer_would() {
    let package = wheel(
        &[
            ("hello/__init__.py", "print('hello')\n"),
            ("Hello_World-1.0.data/scripts/greet", "#!python\nimport hello\n"),
            ("Hello_World-1.0.data/data/share/hello.txt", "hi"),
            ("Hello_World-1.0.data/purelib/extra.py", ""),
        ],
        |record| record,
    );
    let read = read(file(&package)).unwrap();
    let found = paths(&read);
    for path in ["usr/bin/greet", "usr/share/hello.txt", "usr/lib/hello/__init__.py", "usr/lib/extra.py"] {
        assert!(found.iter().any(|found| found == path), "{path} in {found:?}");
    }
    let greet = read.tree.entries().iter().find(|entry| entry.path == b"usr/bin/greet").unwrap();
    // The first line names the Python that there is.
    let size = "#!/usr/bin/python3\nimport hello\n".len() as u64;
    assert!(
        greet.mode == 0o755 && matches!(greet.kind, EntryKind::File { size: found, .. } if found == size)
    );
    assert_eq!((read.facts.name.as_deref(), read.facts.arch.as_deref()), (Some("hello-world"), Some("any")));
    assert!(read.notes[0].starts_with("1 programs of entry points"));
}

#[test]
fn wheels_that_are_not_what_their_record_says_are_refused() {
    let files = [("hello.py", "print('hello')\n")];
    let same = |record: String| record;
    let flip = |record: String| record.replace("hello.py,sha256=", "hello.py,sha256=A");
    let attacks: Vec<(&str, Vec<u8>, &str)> = vec![
        ("hash-of-something-else", wheel(&files, flip), "RECORD"),
        ("file-not-listed", wheel(&files, |record| record.replace("hello.py", "other.py")), "no hash"),
        ("file-listed-and-missing", wheel(&files, |record| record + "gone.py,sha256=AAAA,1\n"), "lacks"),
        ("hash-by-md5", wheel(&files, |record| record + "gone.py,md5=AAAA,1\n"), "sha256"),
        ("name-with-dot-dot", wheel(&[("../evil.py", "")], same), "`..`"),
        ("absolute-name", wheel(&[("/evil.py", "")], same), "absolute"),
        ("data-with-dot-dot", wheel(&[("Hello_World-1.0.data/scripts/../../x", "")], same), "`..`"),
        ("unknown-scheme", wheel(&[("Hello_World-1.0.data/root/etc/passwd", "")], same), "no part"),
        ("two-wheels-in-one", wheel(&[("Other-1.dist-info/METADATA", "")], same), "dist-info"),
    ];
    for (attack, package, expected) in attacks {
        refused(attack, read(file(&package)), expected);
    }
}
