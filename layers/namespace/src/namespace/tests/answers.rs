//! Lookups, directories, owners and links.

use alloc::{format, string::ToString, vec};

use super::*;
use crate::samples::index::{link, text};

fn sample() -> Namespace<Memory> {
    namespace(&[
        (Kind::Site, "docs", &[("index.html", text("<p>")), ("img/a.png", text("a"))]),
        (
            Kind::Package,
            "jq",
            &[("usr/bin/jq", text("jq")), ("usr/share/jq/x", text("x")), ("usr/both", text("p"))],
        ),
        (
            Kind::Base,
            "plyos",
            &[
                ("bin", link("usr/bin")),
                ("usr/bin/sh", text("sh")),
                ("usr/both", text("b")),
                ("etc/hosts", text("h")),
            ],
        ),
        (Kind::Kernel, "plyos", &[("vmlinuz", text("kernel"))]),
    ])
}

fn seen(namespace: &Namespace<Memory>, path: &str) -> Option<(String, Option<String>)> {
    let found = namespace.lookup(path.as_bytes()).unwrap()?;
    Some((text_of(&found.entry.path), owner(namespace, &found)))
}

fn names(namespace: &Namespace<Memory>, path: &str) -> Option<Vec<String>> {
    let listed = namespace.read_dir(path.as_bytes()).unwrap()?;
    Some(listed.map(|found| text_of(found.unwrap().entry.name())).collect())
}

#[test]
fn layers_stand_in_generation_order() {
    let sorted: Vec<_> = sample().layers().iter().map(|layer| layer.info.kind).collect();
    assert_eq!(sorted, [Kind::Kernel, Kind::Base, Kind::Package, Kind::Site]);
}

#[test]
fn each_layer_is_seen_where_it_is_mounted() {
    let namespace = sample();
    for (path, expected) in [
        ("etc/hosts", "plyos"),
        ("/etc/hosts", "plyos"),
        ("usr/bin/sh", "plyos"),
        ("usr/bin/jq", "jq"),
        ("usr/share/jq", "jq"),
        ("usr/share/jq/x", "jq"),
        ("usr/both", "plyos"),
        ("www/docs/index.html", "docs"),
        ("www/docs/img/a.png", "docs"),
        ("www/docs", "docs"),
        ("usr", "plyos"),
        ("", "plyos"),
    ] {
        let path_found = path.trim_start_matches('/').to_string();
        assert_eq!(seen(&namespace, path), Some((path_found, Some(expected.to_string()))), "{path}");
        assert_eq!(namespace.owner_of(path.as_bytes()).unwrap().unwrap().name, expected, "{path}");
    }
}

#[test]
fn what_is_not_there() {
    let namespace = sample();
    for path in [
        "vmlinuz",
        "nothing",
        "etc/hosts/x",
        "usr/bin/jq/x",
        "usr/bin/",
        "//etc",
        "usr//bin",
        "usr/bin/.",
        "usr/../etc",
        "./etc",
        "index.html",
        "www/other",
        "www/docs/nothing",
        "www/docs/img/",
        "www/docsx",
        "www/doc",
        "usr/share/jq//x",
        "usr/share/",
        "etc/",
    ] {
        assert_eq!(seen(&namespace, path), None, "{path:?}");
        assert_eq!(namespace.owner_of(path.as_bytes()).unwrap(), None, "{path:?}");
    }
}

#[test]
fn a_child_is_one_component_of_a_directory() {
    let namespace = sample();
    let root = namespace.root().unwrap();
    let child = |above: &Found, name: &str| namespace.child(above, name.as_bytes()).unwrap();
    let etc = child(&root, "etc").unwrap();
    let hosts = child(&etc, "hosts").unwrap();
    for (above, name) in
        [(&root, "etc/hosts"), (&root, "/etc"), (&root, ""), (&etc, ""), (&hosts, "x"), (&hosts, "")]
    {
        assert_eq!(child(above, name), None, "{name:?}");
    }
    assert_eq!(namespace.children(&hosts).unwrap().count(), 0);
}

#[test]
fn directories_that_no_layer_has() {
    let namespace = sample();
    for path in ["www", "models"] {
        assert_eq!(seen(&namespace, path), Some((path.to_string(), None)));
        assert_eq!(namespace.owner_of(path.as_bytes()).unwrap(), None);
    }
    let empty = Namespace::<Memory>::new(vec![]);
    assert_eq!(names(&empty, "").unwrap(), ["models", "usr", "www"]);
    assert_eq!(names(&empty, "usr").unwrap(), Vec::<String>::new());
    let usr = empty.lookup(b"usr").unwrap().unwrap();
    assert_eq!((usr.source, usr.entry.mode, usr.entry.is_directory()), (None, 0o755, true));
    assert_eq!(empty.walk().count(), 4);
}

#[test]
fn directories_merge_sorted_by_name() {
    let namespace = sample();
    assert_eq!(names(&namespace, "").unwrap(), ["bin", "etc", "models", "usr", "www"]);
    assert_eq!(names(&namespace, "usr").unwrap(), ["bin", "both", "share"]);
    assert_eq!(names(&namespace, "usr/bin").unwrap(), ["jq", "sh"]);
    assert_eq!(names(&namespace, "www").unwrap(), ["docs"]);
    assert_eq!(names(&namespace, "www/docs").unwrap(), ["img", "index.html"]);
    assert_eq!(names(&namespace, "models").unwrap(), Vec::<String>::new());
    assert_eq!(names(&namespace, "bin"), None, "a link is no directory");
    assert_eq!(names(&namespace, "nothing"), None);
    let merged = namespace.lookup(b"usr/bin").unwrap().unwrap();
    assert_eq!(merged.merged().map(|source| source.layer).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_package_that_replaces_the_base() {
    let files = [("usr/both", text("x"))];
    let built = [
        build(Kind::Base, "plyos", &[], &files, 4096),
        build(Kind::Package, "p", &["plyos >= 1"], &files, 4096),
    ];
    let namespace = Namespace::new(built.iter().map(Built::open).collect());
    assert_eq!(seen(&namespace, "usr/both").unwrap().1.unwrap(), "p");
    assert_eq!(seen(&namespace, "usr").unwrap().1.unwrap(), "plyos");
}

#[test]
fn links_are_followed_inside_the_tree() {
    let files = [
        ("bin", link("usr/bin")),
        ("usr/bin/sh", link("busybox")),
        ("usr/bin/busybox", text("b")),
        ("usr/lib/abs", link("/usr/bin/sh")),
        ("usr/lib/up", link("../../../../../etc/hosts")),
        ("usr/lib/dir", link("..")),
        ("usr/lib/broken", link("/nothing")),
        ("usr/lib/through-file", link("/etc/hosts/.")),
        ("usr/lib/slash", link("/etc/hosts/")),
        ("usr/lib/root", link("/")),
        ("etc/hosts", text("h")),
    ];
    let namespace = namespace(&[(Kind::Base, "plyos", &files)]);
    let resolved =
        |path: &str| namespace.resolve(path.as_bytes()).unwrap().map(|found| text_of(&found.entry.path));
    for (path, expected) in [
        ("bin/sh", "usr/bin/busybox"),
        ("/bin/sh", "usr/bin/busybox"),
        ("usr/lib/abs", "usr/bin/busybox"),
        ("usr/lib/up", "etc/hosts"),
        ("usr/lib/dir", "usr"),
        ("usr/lib/dir/lib/abs", "usr/bin/busybox"),
        ("usr/lib/root/etc/hosts", "etc/hosts"),
        ("../../etc/hosts", "etc/hosts"),
        ("bin/../..", ""),
        ("usr/lib/", "usr/lib"),
        ("", ""),
        ("/", ""),
        ("www/..", ""),
    ] {
        assert_eq!(resolved(path), Some(expected.to_string()), "{path}");
    }
    for path in [
        "usr/lib/broken",
        "usr/lib/through-file",
        "usr/lib/slash",
        "etc/hosts/",
        "etc/hosts/..",
        "x/..",
        "bin/none",
    ] {
        assert_eq!(resolved(path), None, "{path}");
    }
}

#[test]
fn links_without_end_are_refused_and_forty_are_not() {
    let mut files =
        vec![("a".to_string(), link("b")), ("b".to_string(), link("a")), ("c0".to_string(), text("end"))];
    files.extend((1..=41).map(|n| (format!("c{n}"), link(&format!("c{}", n - 1)))));
    let files: Vec<(&str, Node)> = files.iter().map(|(path, node)| (path.as_str(), node.clone())).collect();
    let namespace = namespace(&[(Kind::Base, "plyos", &files)]);
    assert_eq!(namespace.resolve(b"a"), Err(NamespaceError::TooManyLinks { path: b"a".to_vec() }));
    assert_eq!(namespace.resolve(b"c40").unwrap().unwrap().entry.path, b"c0");
    assert!(matches!(namespace.resolve(b"c41"), Err(NamespaceError::TooManyLinks { .. })));
}

#[test]
fn link_out_of_a_site_leads_into_the_namespace_only() {
    let namespace = namespace(&[
        (Kind::Base, "plyos", &[("etc/hosts", text("h"))]),
        (
            Kind::Site,
            "docs",
            &[("out", link("../../../../etc/hosts")), ("abs", link("/www/docs/x")), ("x", text("x"))],
        ),
    ]);
    assert_eq!(namespace.resolve(b"www/docs/out").unwrap().unwrap().entry.path, b"etc/hosts");
    assert_eq!(namespace.resolve(b"www/docs/abs").unwrap().unwrap().entry.path, b"www/docs/x");
}

#[test]
fn a_damaged_page_names_its_layer_and_ends_every_walk() {
    let names: Vec<String> = (0..1000).map(|n| format!("usr/share/{n:04}")).collect();
    let files: Vec<(&str, Node)> = names.iter().map(|name| (name.as_str(), text(""))).collect();
    let built = build(Kind::Package, "big", &[], &files, 4096);
    let mut layer = built.open();
    let hashes = layer.index.hashes().clone();
    let mut damaged = built.index.clone();
    damaged[3 * plyos_layer_format::pages::PAGE_SIZE + 100] ^= 1;
    layer.index = Index::open(layer.index.id(), hashes, Memory(damaged)).unwrap();
    let namespace = Namespace::new(vec![layer]);
    let is_named =
        |error: &NamespaceError| matches!(error, NamespaceError::Index { layer, .. } if layer == "big");

    let walked: Vec<_> = namespace.walk().collect();
    assert!(walked.len() > 10 && walked.len() < 1000);
    assert!(walked[..walked.len() - 1].iter().all(Result::is_ok));
    assert!(is_named(walked.last().unwrap().as_ref().unwrap_err()));
    let listed: Vec<_> = namespace.read_dir(b"usr/share").unwrap().unwrap().collect();
    assert!(is_named(listed.last().unwrap().as_ref().unwrap_err()) && listed.len() < 1000);
    let failed = names.iter().filter_map(|name| namespace.lookup(name.as_bytes()).err()).collect::<Vec<_>>();
    assert!(!failed.is_empty() && failed.len() < 1000 && failed.iter().all(is_named));
    assert!(namespace.lookup(b"usr").is_ok());
}
