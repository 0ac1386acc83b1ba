//! Namespaces of random layers against a naive model that holds every path in one map.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format, vec,
};

use plyos_layer_format::entry::compare_paths;
use proptest::prelude::*;

use super::*;
use crate::{precedence, rules::is_below, samples::index::link};

/// Paths of a random layer, each with whether a file is there; directories that lead there are implied.
type Tree = BTreeMap<String, bool>;

fn tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["usr", "a", "a-", "b", "www"]);
    prop::collection::vec((prop::collection::vec(name, 1..5), any::<bool>()), 0..10).prop_map(|paths| {
        let mut tree = Tree::new();
        for (parts, file) in paths {
            let path = parts.join("/");
            let under_file =
                tree.iter().any(|(other, file)| *file && is_below(path.as_bytes(), other.as_bytes()));
            let above = tree.keys().any(|other| is_below(other.as_bytes(), path.as_bytes()));
            if !under_file && !(file && (above || tree.contains_key(&path))) {
                tree.entry(path).or_insert(file);
            }
        }
        tree
    })
}

/// Claims to each path, in layer order: layer, whether a directory, and whether described by an entry.
type Claims = BTreeMap<Vec<Vec<u8>>, Vec<(usize, bool, bool)>>;

fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

fn model(namespace: &Namespace<Memory>) -> BTreeMap<Vec<u8>, (bool, Option<usize>)> {
    let mut claims = Claims::new();
    for (number, layer) in namespace.layers().iter().enumerate() {
        let mount = parts(layer.info.prefix());
        for length in 0..mount.len() {
            claims.entry(mount[..length].to_vec()).or_default().push((number, true, false));
        }
        for entry in layer.index.entries() {
            let entry = entry.unwrap();
            let path = [mount.clone(), parts(&entry.path)].concat();
            claims.entry(path).or_default().push((number, entry.is_directory(), true));
        }
    }
    let mut seen: BTreeMap<Vec<Vec<u8>>, (bool, Option<usize>)> = BTreeMap::new();
    for path in ["", "models", "usr", "www"] {
        seen.insert(parts(path.as_bytes()), (true, None));
    }
    for (path, claims) in claims {
        let ranked = claims.iter().map(|(layer, directory, described)| {
            let has = match (directory, described) {
                (true, true) => Has::Directory,
                (true, false) => Has::ImpliedDirectory,
                (false, _) => Has::Other,
            };
            (&namespace.layers()[*layer].info, has)
        });
        let (layer, directory, described) = claims[precedence::seen(ranked)];
        seen.insert(path, (directory, described.then_some(layer)));
    }
    let hidden: BTreeSet<_> =
        seen.keys().filter(|path| (0..path.len()).any(|length| !seen[&path[..length]].0)).cloned().collect();
    seen.into_iter()
        .filter(|(path, _)| !hidden.contains(path))
        .map(|(path, found)| (path.join(&b'/'), found))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn every_answer_is_that_of_a_naive_merge(
        trees in prop::collection::vec((tree(), 0usize..6), 0..5),
        with_base in any::<bool>(),
    ) {
        let mut layers = Vec::new();
        for (number, (tree, replaces)) in trees.iter().enumerate() {
            let nodes: Vec<(&str, Node)> = tree.iter()
                .map(|(path, file)| (path.as_str(), if *file { link("x") } else { Node::Directory }))
                .collect();
            let (kind, name) = match number {
                0 if with_base => (Kind::Base, "base".into()),
                1 => (Kind::Site, ["a", "b", "usr"][replaces % 3].into()),
                2 => (Kind::Model, "a".into()),
                _ => (Kind::Package, format!("p{number}")),
            };
            let taken = ["base", "p0", "p3", "p4"].get(*replaces).copied();
            layers.push(build(kind, &name, taken.as_slice(), &nodes, 4096).open());
        }
        let namespace = Namespace::new(layers);
        let expected = model(&namespace);

        let answer = |found: &Found| (found.entry.is_directory(), found.source.map(|source| source.layer));
        let walked: Vec<_> = namespace.walk().map(Result::unwrap).collect();
        let sorted = walked.is_sorted_by(|a, b| compare_paths(&a.entry.path, &b.entry.path).is_lt());
        prop_assert!(sorted);
        let seen: BTreeMap<_, _> = walked.iter().map(|found| (found.entry.path.clone(), answer(found))).collect();
        prop_assert_eq!(&seen, &expected);

        for found in &walked {
            let looked_up = namespace.lookup(&found.entry.path).unwrap();
            prop_assert_eq!(looked_up.as_ref(), Some(found));
            if let Some(source) = found.source
                && found.entry.is_directory()
            {
                prop_assert!(found.merged().any(|merged| merged == source));
            }
            let listed = namespace.read_dir(&found.entry.path).unwrap();
            prop_assert_eq!(listed.is_some(), found.entry.is_directory());
            let listed: Vec<Found> = listed.into_iter().flatten().map(Result::unwrap).collect();
            let depth = parts(&found.entry.path).len() + 1;
            let children: Vec<&Found> = walked.iter()
                .filter(|other| is_below(&other.entry.path, &found.entry.path) && parts(&other.entry.path).len() == depth)
                .collect();
            prop_assert_eq!(listed.iter().collect::<Vec<_>>(), children);
            // Each name that was handed out is a cookie; so is any other.
            for cookie in listed.iter().map(|child| child.entry.name()).chain([&b"a!"[..], b"", b"zz"]) {
                let rest = namespace.children_after(found, cookie).unwrap();
                let expected = listed.iter().filter(|child| child.entry.name() > cookie);
                prop_assert_eq!(rest.map(Result::unwrap).collect::<Vec<_>>(), expected.cloned().collect::<Vec<_>>());
            }
            // A walk passes over what it is told to, and nothing else.
            if found.entry.is_directory() {
                let mut walk = namespace.walk();
                let at = walk.position(|other| other.unwrap() == *found);
                walk.skip_below().unwrap();
                let expected = walked.iter().skip(at.unwrap() + 1)
                    .filter(|other| !is_below(&other.entry.path, &found.entry.path));
                prop_assert_eq!(walk.map(Result::unwrap).collect::<Vec<_>>(), expected.cloned().collect::<Vec<_>>());
            }
        }
        // What any layer has anywhere but is not seen is not found either.
        for layer in namespace.layers() {
            for entry in layer.index.entries() {
                let entry = entry.unwrap();
                for path in [entry.path.clone(), [b"www/a/", entry.path.as_slice()].concat()] {
                    let found = namespace.lookup(&path).unwrap();
                    prop_assert_eq!(found.map(|found| answer(&found)), expected.get(&path).copied());
                }
            }
        }
        // The search that jumps over lone directories finds what the plain one finds.
        let jumping = namespace.conflicts(|_, _| Ok::<_, NamespaceError>(false)).unwrap();
        let plain = crate::conflicts::find(
            namespace.layers().iter().map(|layer| (&layer.info, layer.index.entries())),
            |_, _| Ok(false),
        );
        prop_assert_eq!(jumping, plain.unwrap());
    }
}
