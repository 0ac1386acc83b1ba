//! Diffs of namespaces and layers against a naive comparison of all paths with their bytes.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::cell::Cell;

use plyos_ids::Kind;
use proptest::prelude::*;

use super::{sides::*, *};
use crate::{
    namespace::{Found, Namespace, NamespaceError, NamespaceLayer},
    samples::index::{Built, Memory, Node, build, link, text},
};

/// Bytes of a file, read through its slices from the streams of the layers that are at hand.
fn content_of(built: &[&Built], namespace: &Namespace<Memory>, found: &Found) -> Vec<u8> {
    let source = found.source.unwrap();
    let id = namespace.layers()[source.layer].index.id();
    let stream = &built.iter().find(|built| built.open().index.id() == id).unwrap().stream;
    let first = namespace.layers()[source.layer].first_path(&found.entry).unwrap();
    let EntryKind::File { size, data_offset, .. } = first.unwrap_or_else(|| found.entry.clone()).kind else {
        panic!("no file")
    };
    stream[data_offset as usize..(data_offset + size) as usize].to_vec()
}

/// Differences as `what path`.
fn told<I: AsRef<Entry>>(change: &Change<I>) -> String {
    let what = match change.letter() {
        'A' => "added",
        'D' => "removed",
        'T' => "type",
        'M' => "content",
        '?' => "perhaps",
        _ => "attributes",
    };
    format!("{what} {}", String::from_utf8_lossy(&change.item().as_ref().path))
}

/// What the diff of two generations says, with how many files it had to read.
fn of_namespaces(
    built: &[&Built],
    before: &Namespace<Memory>,
    after: &Namespace<Memory>,
) -> (Vec<String>, usize) {
    let asked = Cell::new(0);
    let compare = Namespaces::new(before, after, |a: &Found, b: &Found| {
        asked.set(asked.get() + 1);
        let same = content_of(built, before, a) == content_of(built, after, b);
        Ok::<_, NamespaceError>(if same { Sameness::Same } else { Sameness::Different })
    });
    let found =
        Diff::new(before.walk(), after.walk(), compare).map(|change| told(&change.unwrap())).collect();
    (found, asked.get())
}

/// The same by looking at everything.
fn naive(built: &[&Built], before: &Namespace<Memory>, after: &Namespace<Memory>) -> Vec<String> {
    let all = |namespace: &Namespace<Memory>| -> BTreeMap<Vec<Vec<u8>>, (String, Vec<u8>)> {
        let parts = |path: &[u8]| {
            if path.is_empty() {
                Vec::new()
            } else {
                path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
            }
        };
        namespace
            .walk()
            .map(|found| {
                let found = found.unwrap();
                let (kind, bytes) = match &found.entry.kind {
                    EntryKind::Directory { .. } => ("directory", Vec::new()),
                    EntryKind::Symlink { target } => ("link", target.clone()),
                    _ => ("file", content_of(built, namespace, &found)),
                };
                (parts(&found.entry.path), (kind.into(), bytes))
            })
            .collect()
    };
    let (before, after) = (all(before), all(after));
    let mut paths: Vec<_> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let say = |what: &str, path: &[Vec<u8>]| format!("{what} {}", String::from_utf8_lossy(&path.join(&b'/')));
    paths
        .into_iter()
        .filter_map(|path| match (before.get(path), after.get(path)) {
            (Some(_), None) => Some(say("removed", path)),
            (None, Some(_)) => Some(say("added", path)),
            (Some(old), Some(new)) if old.0 != new.0 => Some(say("type", path)),
            (Some(old), Some(new)) if old.1 != new.1 => Some(say("content", path)),
            _ => None,
        })
        .collect()
}

fn open(built: &[&Built]) -> Namespace<Memory> {
    Namespace::new(built.iter().map(|built| built.open()).collect())
}

#[test]
fn each_kind_of_difference() {
    let old = build(
        Kind::Site,
        "docs",
        &[],
        &[
            ("gone", text("x")),
            ("kept", text("same")),
            ("kind", text("file")),
            ("link", link("a")),
            ("other", text("1")),
            ("tagged", Node::Tagged(b"a".to_vec())),
        ],
        4096,
    );
    let new = build(
        Kind::Site,
        "docs",
        &[],
        &[
            ("kept", text("same")),
            ("kind/new", text("below")),
            ("link", link("b")),
            ("other", text("2")),
            ("tagged", Node::Tagged(b"b".to_vec())),
        ],
        4096,
    );
    let (found, asked) = of_namespaces(&[&old, &new], &open(&[&old]), &open(&[&new]));
    let expected =
        ["removed gone", "type kind", "added kind/new", "content link", "content other", "attributes tagged"];
    let below = |line: &str| line.replacen(' ', " www/docs/", 1);
    assert_eq!(found, expected.map(below));
    assert_eq!(asked, 2, "of all files only the small ones whose chunks differ were read");

    let (old, new) = (old.open(), new.open());
    let diff = Diff::new(LayerTree::new(&old), LayerTree::new(&new), Layers::new(&old, &new));
    let changes: Vec<_> = diff.map(Result::unwrap).collect();
    let told: Vec<_> = changes.iter().map(told).collect();
    let expected = [
        "removed gone",
        "perhaps kept",
        "type kind",
        "added kind/new",
        "content link",
        "perhaps other",
        "attributes tagged",
    ];
    assert_eq!(told, expected, "indexes alone cannot tell, for these times are kept and all the same");
    let mut summary = Summary::default();
    changes.iter().for_each(|change| summary.add(change));
    assert_eq!(summary.added, Count { files: 1, directories: 0, bytes: 5 });
    assert_eq!(summary.removed, Count { files: 1, directories: 0, bytes: 1 });
    assert_eq!(summary.changed, Count { files: 1, directories: 1, bytes: 0 });
    assert_eq!(summary.perhaps, Count { files: 2, directories: 0, bytes: 5 });
    assert_eq!(summary.attributes, Count { files: 1, directories: 0, bytes: 100_000 });
}

#[test]
fn a_layer_that_both_have_is_not_gone_into() {
    let names: Vec<String> = (0..2000).map(|number| format!("{number:04}")).collect();
    let nodes: Vec<(&str, Node)> = names.iter().map(|name| (name.as_str(), text("x"))).collect();
    let many = build(Kind::Site, "many", &[], &nodes, 4096);
    let (old, new) = (
        build(Kind::Package, "p", &[], &[("usr/a", text("1"))], 4096),
        build(Kind::Package, "p", &[], &[("usr/a", text("22"))], 4096),
    );
    let (before, after) = (open(&[&many, &old]), open(&[&many, &new]));
    let compare =
        Namespaces::new(&before, &after, |_: &Found, _: &Found| Ok::<_, NamespaceError>(Sameness::Unknown));
    let mut handed_out = [0; 2];
    let [first, second] = &mut handed_out;
    let diff = Diff::new(Counting(before.walk(), first), Counting(after.walk(), second), compare);
    assert_eq!(diff.map(|change| told(&change.unwrap())).collect::<Vec<_>>(), ["content usr/a"]);
    assert!(handed_out.iter().all(|count| *count < 10), "{handed_out:?}");
}

/// Counts what a tree hands out.
struct Counting<'a, T>(T, &'a mut usize);

impl<T: Tree> Tree for Counting<'_, T> {
    type Item = T::Item;
    type Error = T::Error;

    fn next_item(&mut self) -> Option<Result<T::Item, T::Error>> {
        *self.1 += 1;
        self.0.next_item()
    }

    fn skip_below(&mut self) -> Result<(), T::Error> {
        self.0.skip_below()
    }
}

#[test]
fn an_error_ends_the_diff() {
    let mut old = build(Kind::Site, "docs", &[], &[("a", text("1"))], 4096);
    let new = build(Kind::Site, "docs", &[], &[("a", text("1"))], 4096).open();
    let whole = old.open();
    // The entry page, behind the head.
    old.index[plyos_layer_format::pages::PAGE_SIZE + 100] ^= 1;
    let damaged = NamespaceLayer { index: reopened(&whole, &old.index), info: whole.info };
    let mut diff = Diff::new(LayerTree::new(&damaged), LayerTree::new(&new), Layers::new(&damaged, &new));
    assert!(matches!(diff.next(), Some(Err(NamespaceError::Index { .. }))));
    assert!(diff.next().is_none());
}

/// The same identity over other bytes.
fn reopened(layer: &NamespaceLayer<Memory>, bytes: &[u8]) -> plyos_layer_format::index::Index<Memory> {
    let hashes = layer.index.hashes().clone();
    plyos_layer_format::index::Index::open(layer.index.id(), hashes, Memory(bytes.to_vec())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn finds_what_a_naive_comparison_finds(
        trees in prop::collection::vec(
            prop::collection::btree_map("[ab]{1,2}(/[ab]{1,2}){0,2}", 0u8..4, 0..8), 4),
        kept in prop::collection::vec(any::<bool>(), 2),
    ) {
        // Versions of a package and of a site, of which some stay.
        let built: Vec<Built> = trees.iter().enumerate().map(|(number, tree)| {
            let below = if number % 2 == 0 { "usr/" } else { "" };
            let nodes: Vec<(String, Node)> = tree.iter().map(|(path, what)| {
                let node = match what {
                    0 => Node::Directory,
                    1 => link("a"),
                    what => Node::File(alloc::vec![*what; 5]),
                };
                (format!("{below}{path}"), node)
            }).collect();
            // What has something below it is a directory.
            let nodes: Vec<(&str, Node)> = nodes.iter().map(|(path, node)| {
                let is_above = nodes.iter().any(|(other, _)| crate::rules::is_below(other.as_bytes(), path.as_bytes()));
                (path.as_str(), if is_above { Node::Directory } else { node.clone() })
            }).collect();
            let (kind, name) = if number % 2 == 0 { (Kind::Package, "p") } else { (Kind::Site, "s") };
            build(kind, name, &[], &nodes, 700)
        }).collect();
        let all: Vec<&Built> = built.iter().collect();
        let before = open(&[all[0], all[1]]);
        let after = open(&[all[if kept[0] { 0 } else { 2 }], all[if kept[1] { 1 } else { 3 }]]);
        prop_assert_eq!(of_namespaces(&all, &before, &after).0, naive(&all, &before, &after));
        prop_assert_eq!(of_namespaces(&all, &before, &before), (Vec::new(), 0));
    }
}
