//! Attacks on tar archives, and beside them what looks like one and is honest.

use plyos_layer_format::entry::EntryKind;

use crate::archive::{Archive, header};
use crate::{paths, read, refused, stream};

fn tar() -> Archive {
    Archive::new()
}

/// A file whose size field holds these bytes.
fn sized(field: &[u8; 12]) -> Archive {
    tar().edited(header(b'0', b"a", 0), |block| block[124..136].copy_from_slice(field), b"")
}

#[test]
fn each_attack_is_refused_by_name() {
    let long = vec![b'a'; 256];
    let deep = "d/".repeat(256) + "f";
    let wide = format!("{}f", "w".repeat(200) + "/").repeat(21);
    let attacks: Vec<(&str, Archive, &str)> = vec![
        ("name-with-dot-dot", tar().file("a/../../etc/passwd", "x"), "`..`"),
        ("name-is-dot-dot", tar().directory(".."), "`..`"),
        ("absolute-name", tar().file("/etc/passwd", "x"), "absolute"),
        ("name-with-nul-in-pax", tar().pax(&[("path", b"a\0b")]).file("a", ""), "NUL"),
        ("link-target-with-nul-in-pax", tar().pax(&[("linkpath", b"a\0b")]).symlink("l", "x"), "NUL"),
        (
            "name-with-nul-in-gnu-long-name",
            tar().entry(b'L', "././@LongLink", b"a\0b\0").file("a", ""),
            "NUL",
        ),
        ("component-of-256-bytes", tar().pax(&[("path", &long)]).file("a", ""), "255"),
        ("path-of-256-levels", tar().pax(&[("path", deep.as_bytes())]).file("a", ""), "255 components"),
        ("path-of-4221-bytes", tar().pax(&[("path", wide.as_bytes())]).file("a", ""), "4095"),
        ("whiteout-in-a-plain-tar", tar().file("a/.wh.b", ""), ".wh."),
        ("file-below-a-link", tar().symlink("l", "/etc").file("l/passwd", "x"), "link"),
        ("directory-below-a-link", tar().symlink("l", "/etc").directory("l/d/"), "link"),
        ("link-below-a-link", tar().symlink("l", "/etc").symlink("l/passwd", "x"), "link"),
        (
            "hard-link-below-a-link",
            tar().file("f", "").symlink("l", "/etc").hard_link("l/passwd", "f"),
            "link",
        ),
        ("deep-below-a-link", tar().directory("a").symlink("a/l", "..").file("a/l/b/c", "x"), "a/l"),
        ("file-below-a-file", tar().file("f", "").file("f/g", ""), "no directory"),
        ("file-over-a-full-directory", tar().file("d/f", "").file("d", ""), "not empty"),
        ("link-over-a-full-directory", tar().file("d/f", "").symlink("d", "/etc"), "not empty"),
        ("hard-link-forward", tar().hard_link("l", "f").file("f", ""), "stands before it"),
        ("hard-link-out", tar().hard_link("l", "../../etc/passwd"), "`..`"),
        ("hard-link-to-an-absolute-name", tar().hard_link("l", "/etc/passwd"), "absolute"),
        ("hard-link-to-a-directory", tar().directory("d").hard_link("l", "d"), "no file"),
        (
            "hard-link-through-a-link",
            tar().symlink("l", "d").file("d/f", "").hard_link("h", "l/f"),
            "no file",
        ),
        ("root-is-a-link", tar().symlink("./", "/etc"), "root"),
        ("root-is-a-file", tar().pax(&[("path", b".")]).file("a", ""), "root"),
        (
            "pax-size-smaller-than-that-of-the-header",
            tar().pax(&[("size", b"0")]).file("a", "hidden"),
            "size",
        ),
        ("pax-size-greater-than-that-of-the-header", tar().pax(&[("size", b"512")]).file("a", ""), "size"),
        ("pax-size-negative", tar().pax(&[("size", b"-1")]).file("a", ""), "negative"),
        ("pax-size-huge", tar().pax(&[("size", b"18446744073709551615")]).file("a", ""), "too great"),
        (
            "pax-size-beyond-numbers",
            tar().pax(&[("size", b"99999999999999999999")]).file("a", ""),
            "too great",
        ),
        ("size-negative", sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "negative"),
        ("size-huge", sized(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), "too great"),
        ("size-beyond-numbers", sized(b"\x80\x01\0\0\0\0\0\0\0\0\0\0"), "too great"),
        ("size-is-no-number", sized(b"12 34567890\0"), "no number"),
        ("two-path-records", tar().pax(&[("path", b"a"), ("path", b"b")]).file("c", ""), "twice"),
        ("two-pax-headers", tar().pax(&[("path", b"a")]).pax(&[("mtime", b"1")]).file("c", ""), "twice"),
        (
            "pax-path-and-gnu-long-name",
            tar().pax(&[("path", b"a")]).entry(b'L', "././@LongLink", b"b\0").file("c", ""),
            "twice",
        ),
        ("empty-pax-path", tar().pax(&[("path", b"")]).file("c", ""), "empty"),
        ("pax-record-over-the-end", tar().entry(b'x', "x", b"99 path=a\n").file("c", ""), "runs over"),
        ("pax-record-without-length", tar().entry(b'x', "x", b"path=a\n").file("c", ""), "no length"),
        ("pax-header-of-nothing", tar().pax(&[("path", b"a")]), "belongs to no entry"),
        ("global-header-with-a-path", tar().entry(b'g', "g", b"10 path=a\n").file("c", ""), "global"),
        ("global-header-with-a-size", tar().entry(b'g', "g", b"11 size=10\n").file("c", ""), "global"),
        (
            "two-values-of-one-attribute",
            {
                let records: [(&str, &[u8]); 2] =
                    [("SCHILY.xattr.user.a", b"1"), ("LIBARCHIVE.xattr.user.a", b"Mg")];
                tar().pax(&records).file("a", "")
            },
            "twice",
        ),
        ("attributes-too-long", tar().pax(&[("SCHILY.xattr.user.a", &[b'x'; 9000])]).file("a", ""), "8000"),
        (
            "attribute-of-overlayfs",
            tar().pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")]).directory("a"),
            "overlay",
        ),
        ("directory-with-content", tar().entry(b'5', "d/", b"hidden"), "no file and has content"),
        ("symbolic-link-with-content", tar().entry(b'2', "l", b"hidden"), "no file and has content"),
        (
            "hard-link-with-content",
            tar().file("f", "").entry(b'1', "l", b"hidden"),
            "no file and has content",
        ),
        ("file-that-is-named-like-a-directory", tar().entry(b'0', "d/", b""), "one or the other"),
        ("unknown-type", tar().entry(b'Z', "a", b""), "'Z'"),
        ("multi-volume", tar().entry(b'M', "a", b""), "'M'"),
        ("wrong-checksum", tar().raw(&header(b'0', b"a", 0)), "checksum"),
        ("not-a-tar", tar().raw(&[b'x'; 512]), "checksum"),
        ("one-zero-block-and-more", tar().raw(&[0; 512]).file("hidden", ""), "after its end"),
        ("archive-after-the-end", tar().file("a", "").raw(&[0; 1024]).file("hidden", ""), "after its end"),
        (
            "device-without-numbers",
            tar().edited(header(b'3', b"a", 0), |block| block[329..337].fill(b'x'), b""),
            "no number",
        ),
        ("symbolic-link-to-nothing", tar().symlink("l", ""), "target"),
        ("owner-too-great", tar().pax(&[("uid", b"4294967296")]).file("a", ""), "too great"),
        (
            "access-list-with-a-name",
            tar().pax(&[("SCHILY.acl.access", b"user:joe:rwx")]).file("a", ""),
            "joe",
        ),
    ];
    for (attack, archive, expected) in attacks {
        refused(attack, read(stream(archive.end())), expected);
    }
}

#[test]
fn archives_that_end_early_are_refused() {
    let whole = tar().file("a", &"content ".repeat(100)).file("b", "");
    let bytes = whole.clone().cut();
    for length in [0, 1, 511, 512, 513, 1000, 1311, 1312, 1535] {
        refused(&format!("cut-at-{length}"), read(stream(bytes[..length].to_vec())), "cut short");
    }
    refused("no-end-mark", read(stream(bytes.clone())), "no end mark");
    refused("half-an-end-mark", read(stream(whole.clone().raw(&[0; 512]).cut())), "no end mark");
    assert_eq!(paths(&read(stream(whole.end())).unwrap()), ["", "a", "b"]);
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    let sparse = |map: &[u8], size: &[u8]| {
        let mut content = map.to_vec();
        content.resize(512, 0);
        content.extend_from_slice(b"0123456789");
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"real"),
            ("GNU.sparse.realsize", size),
        ];
        tar().pax(&records).entry(b'0', "GNUSparseFile.0/real", &content).end()
    };
    for (attack, map, size) in [
        ("pieces-overlap", &b"2\n0\n6\n5\n4\n"[..], &b"100"[..]),
        ("pieces-backwards", b"2\n50\n5\n0\n5\n", b"100"),
        ("piece-after-the-end", b"1\n95\n10\n", b"100"),
        ("piece-without-an-end", b"1\n18446744073709551615\n10\n", b"100"),
        ("more-than-is-stored", b"1\n0\n11\n", b"100"),
        ("less-than-is-stored", b"1\n0\n9\n", b"100"),
        ("a-billion-pieces", b"1000000000\n", b"100"),
        ("no-number", b"1\nx\n10\n", b"100"),
        ("map-over-the-end", b"60\n1\n", b"100"),
    ] {
        refused(attack, read(stream(sparse(map, size))), "map of holes");
    }
    let honest = read(stream(sparse(b"2\n5\n4\n20\n6\n", b"100"))).unwrap();
    assert!(matches!(honest.tree.entries()[1].kind, EntryKind::File { size: 100, .. }));
    assert_eq!(paths(&honest), ["", "real"]);
}

#[test]
fn pax_wins_over_the_header_as_posix_says() {
    let records: [(&str, &[u8]); 3] = [("path", b"real/\xff"), ("uid", b"3000000"), ("comment", b"x")];
    let read = read(stream(tar().pax(&records).file("shown-to-old-readers", "x").end())).unwrap();
    assert_eq!(paths(&read), ["", "real", r"real/\xff"]);
    assert_eq!(read.tree.entries()[2].uid, 3_000_000);
    // The header is of one entry only.
    let two = tar().pax(&[("path", b"a")]).file("x", "").file("b", "").end();
    assert_eq!(paths(&crate::read(stream(two)).unwrap()), ["", "a", "b"]);
}

#[test]
fn duplicates_end_as_the_last_of_them() {
    let archive = tar()
        .file("a", "first")
        .hard_link("other-name", "a")
        .symlink("a", "elsewhere")
        .directory("d")
        .file("d", "")
        .file("e", "")
        .directory("e");
    let read = read(stream(archive.end())).unwrap();
    assert_eq!(paths(&read), ["", "a", "d", "e", "other-name"]);
    let kinds: Vec<_> = read.tree.entries().iter().map(|entry| &entry.kind).collect();
    assert!(matches!(kinds[1], EntryKind::Symlink { .. }));
    assert!(matches!(kinds[2], EntryKind::File { size: 0, .. }));
    assert!(matches!(kinds[3], EntryKind::Directory { .. }));
    assert!(matches!(kinds[4], EntryKind::File { size: 5, links: 1, .. }));
}

#[test]
fn a_leading_slash_is_taken_off_when_that_is_asked_for() {
    let archive = tar().file("/etc//./passwd", "x").hard_link("l", "/etc/passwd").end();
    let rules = plyos_layer_build::ScanOptions::default();
    let request = plyos_layer_import::Request {
        rules: &rules,
        limits: Default::default(),
        absolute: plyos_layer_import::Absolute::Strip,
        arch: "amd64",
        python: "",
        depends: false,
    };
    assert_eq!(paths(&stream(archive).read(&request).unwrap()), ["", "etc", "etc/passwd", "l"]);
}
