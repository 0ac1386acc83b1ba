//! What a tree becomes when entries come on top of each other.

use plyos_layer_build::ScanOptions;
use plyos_layer_format::entry::EntryKind;

use super::*;
use crate::bounds::Limits;

fn staging() -> Staging {
    Staging::new(Meter::new(Limits::default())).unwrap()
}

fn mode(mode: u16) -> Attributes {
    Attributes { mode, ..Attributes::implied() }
}

fn link(target: &str) -> Special {
    Special::Symlink { target: target.into() }
}

/// Paths, kinds and modes of the finished tree.
fn finished(staging: Staging) -> Vec<String> {
    let tree = staging.finish(&ScanOptions::default()).unwrap();
    let shown = |entry: &plyos_layer_format::entry::Entry| {
        let kind = match &entry.kind {
            EntryKind::Directory { descendants } => format!("directory of {descendants}"),
            EntryKind::File { size, links, .. } => format!("file of {size} with {links}"),
            EntryKind::HardLink { target } => format!("name of {target}"),
            EntryKind::Symlink { target } => format!("link to {}", target.escape_ascii()),
            other => format!("{other:?}"),
        };
        format!("{} {:o} {kind}", shown(&entry.path).display(), entry.mode)
    };
    tree.entries().iter().map(shown).collect()
}

fn refusal(result: Result<impl std::fmt::Debug, ImportError>) -> Refusal {
    match result.unwrap_err() {
        ImportError::Entry { refusal, .. } | ImportError::Archive { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

#[test]
fn missing_parents_are_made_and_later_entries_replace_earlier_ones() {
    let mut tree = staging();
    tree.file(b"a/b/c", mode(0o600), &b"one"[..]).unwrap();
    tree.directory(b"a", mode(0o700)).unwrap();
    tree.file(b"a/b/c", mode(0o640), &b"three"[..]).unwrap();
    tree.special(b"a/l", link("x"), mode(0)).unwrap();
    tree.file(b"a/l", mode(0o644), &b""[..]).unwrap();
    tree.file(b"d", mode(0o644), &b""[..]).unwrap();
    tree.directory(b"d", mode(0o711)).unwrap();
    tree.special(b"d", link("y"), mode(0)).unwrap();
    assert_eq!(
        finished(tree),
        [
            ". 755 directory of 5",
            "a 700 directory of 3",
            "a/b 755 directory of 1",
            "a/b/c 640 file of 5 with 1",
            "a/l 644 file of 0 with 1",
            "d 777 link to y",
        ]
    );
}

#[test]
fn the_first_name_in_order_is_the_file() {
    let mut tree = staging();
    tree.file(b"z", mode(0o600), &b"one"[..]).unwrap();
    tree.hard_link(b"a", b"z").unwrap();
    tree.hard_link(b"m", b"a").unwrap();
    // The name that is replaced takes nothing from the others.
    tree.file(b"z", mode(0o644), &b"other"[..]).unwrap();
    tree.special(b"l", link("t"), mode(0)).unwrap();
    tree.hard_link(b"n", b"l").unwrap();
    assert_eq!(
        finished(tree),
        [
            ". 755 directory of 5",
            "a 600 file of 3 with 2",
            "l 777 link to t",
            "m 600 name of 1",
            "n 777 link to t",
            "z 644 file of 5 with 1",
        ]
    );
}

#[test]
fn what_would_write_elsewhere_is_refused() {
    let mut tree = staging();
    tree.special(b"link", link("/etc"), mode(0)).unwrap();
    tree.file(b"file", mode(0), &b""[..]).unwrap();
    tree.file(b"full/x", mode(0), &b""[..]).unwrap();
    let link_path = || shown(b"link");
    assert_eq!(refusal(tree.file(b"link/passwd", mode(0), &b""[..])), Refusal::BelowLink(link_path()));
    assert_eq!(refusal(tree.hard_link(b"link/passwd", b"file")), Refusal::BelowLink(link_path()));
    assert_eq!(refusal(tree.special(b"link/a/b", link("x"), mode(0))), Refusal::BelowLink(link_path()));
    assert_eq!(refusal(tree.directory(b"file/x", mode(0))), Refusal::BelowFile(shown(b"file")));
    assert_eq!(refusal(tree.file(b"full", mode(0), &b""[..])), Refusal::DirectoryInTheWay);
    assert_eq!(refusal(tree.file(b"", mode(0), &b""[..])), Refusal::Root);
    for target in [&b"later"[..], b"link/passwd", b"full", b""] {
        assert_eq!(refusal(tree.hard_link(b"h", target)), Refusal::HardLink(shown(target)));
    }
}

#[test]
fn lower_layers_give_way() {
    let mut tree = staging();
    tree.file(b"gone/x", mode(0), &b""[..]).unwrap();
    tree.file(b"dir/x", mode(0), &b""[..]).unwrap();
    tree.file(b"emptied/x/y", mode(0), &b""[..]).unwrap();
    tree.next_layer();
    tree.remove(b"gone");
    tree.empty(b"emptied");
    tree.remove(b"");
    tree.file(b"dir", mode(0o644), &b""[..]).unwrap();
    assert_eq!(
        finished(tree),
        [". 755 directory of 2", "dir 644 file of 0 with 1", "emptied 755 directory of 0"]
    );
}

#[test]
fn exclusions_and_strip_are_those_of_a_scan() {
    use plyos_layer_build::{BuildError, Exclusions};
    let make = || {
        let mut tree = staging();
        tree.directory(b"top-1", mode(0o750)).unwrap();
        tree.file(b"top-1/keep", mode(0o644), &b"x"[..]).unwrap();
        tree.hard_link(b"top-1/zz", b"top-1/keep").unwrap();
        tree.file(b"top-1/cache/a", mode(0o644), &b"x"[..]).unwrap();
        tree.file(b"README", mode(0o644), &b"x"[..]).unwrap();
        tree
    };
    let exclude = Exclusions::new([], ["cache/", "**/cache", "README"]).unwrap();
    let rules = ScanOptions { exclude, strip: 1, ..ScanOptions::default() };
    let tree = make().finish(&rules).unwrap();
    let paths: Vec<_> = tree.entries().iter().map(|entry| shown(&entry.path).display().to_string()).collect();
    assert_eq!(paths, [".", "keep", "zz"]);
    assert_eq!(tree.entries()[0].mode, 0o750);
    assert!(matches!(tree.entries()[2].kind, EntryKind::HardLink { target: 1 }));

    let refused = make().finish(&ScanOptions { strip: 1, ..ScanOptions::default() }).unwrap_err();
    assert!(
        matches!(&refused, ImportError::Build(BuildError::Strip { levels: 1, found }) if found.len() == 2),
        "{refused}"
    );
}
