use alloc::{format, string::ToString, vec};
use core::convert::Infallible;

use plyos_ids::Kind;
use proptest::prelude::*;

use super::*;
use crate::samples::{base, directory, file, info, package, symlink};

type Layer = (LayerInfo, Vec<Entry>);

fn find_all(layers: &[Layer], same: impl Fn(&FileClaim<'_>, &FileClaim<'_>) -> bool) -> Conflicts {
    let streams =
        layers.iter().map(|(info, entries)| (info, entries.iter().cloned().map(Ok::<_, Infallible>)));
    find(streams, |a, b| Ok(same(&a, &b))).unwrap()
}

/// Conflicts as `path first second`, when no two contents are known to be the same.
fn named(layers: &[Layer]) -> Vec<String> {
    let listed = find_all(layers, |_, _| false).listed;
    listed
        .iter()
        .map(|c| format!("{} {} {} {:?}", String::from_utf8_lossy(&c.path), c.first, c.second, c.why))
        .collect()
}

fn tree(paths: &[&str]) -> Vec<Entry> {
    let mut entries = vec![directory(""), directory("usr")];
    entries.extend(
        paths.iter().map(|path| {
            if path.ends_with('/') { directory(path.trim_end_matches('/')) } else { file(path, 1) }
        }),
    );
    entries
}

#[test]
fn two_packages_with_one_file_are_named() {
    let layers = [
        (package("a", &[]), tree(&["usr/both", "usr/x"])),
        (package("b", &[]), tree(&["usr/both", "usr/y"])),
    ];
    assert_eq!(named(&layers), ["usr/both a b TwoFiles"]);
    let text = find_all(&layers, |_, _| false).listed[0].to_string();
    assert_eq!(text, "/usr/both: a and b have different files here and neither replaces the other");
}

#[test]
fn replaces_by_name_decides() {
    let layers = [(package("a", &[]), tree(&["usr/both"])), (package("b", &["a"]), tree(&["usr/both"]))];
    assert!(named(&layers).is_empty());
}

#[test]
fn packages_that_replace_each_other() {
    let layers = [(package("a", &["b"]), tree(&["usr/both"])), (package("b", &["a"]), tree(&["usr/both"]))];
    assert_eq!(named(&layers), ["usr/both a b Circle"]);
    let ring = [
        (package("a", &["b"]), tree(&["usr/x"])),
        (package("b", &["c"]), tree(&["usr/x"])),
        (package("c", &["a"]), tree(&["usr/x"])),
    ];
    assert_eq!(find_all(&ring, |_, _| false).total, 1);
    assert_eq!(find_all(&ring, |_, _| false).listed[0].why, Why::Circle);
}

#[test]
fn the_bases_file_is_no_conflict() {
    let layers = [(base(), tree(&["usr/both"])), (package("a", &[]), tree(&["usr/both"]))];
    assert!(named(&layers).is_empty());
    let replaced = [(base(), tree(&["usr/both"])), (package("a", &["base"]), tree(&["usr/both"]))];
    assert!(named(&replaced).is_empty());
}

#[test]
fn the_base_does_not_hide_that_two_packages_disagree() {
    let layers = [
        (base(), tree(&["usr/both"])),
        (package("a", &["base"]), tree(&["usr/both"])),
        (package("b", &[]), tree(&["usr/both"])),
    ];
    assert_eq!(named(&layers), ["usr/both a b TwoFiles"]);
}

#[test]
fn a_directory_against_a_file_whatever_replaces_says() {
    let layers = [(base(), tree(&["usr/x/", "usr/x/y"])), (package("a", &["base"]), tree(&["usr/x"]))];
    assert_eq!(named(&layers), ["usr/x base a DirectoryAgainstFile"]);
    let link = vec![directory(""), directory("usr"), symlink("usr/x", "lib")];
    let layers = [(base(), link), (package("a", &[]), tree(&["usr/x/", "usr/x/y"]))];
    assert_eq!(named(&layers), ["usr/x base a DirectoryAgainstFile"]);
}

#[test]
fn base_with_a_file_where_a_model_is_mounted() {
    let model = (info(Kind::Model, "m", &[]), vec![directory(""), file("weights", 1)]);
    for (path, expected) in [
        ("models", "models base m DirectoryAgainstFile"),
        ("models/m", "models/m base m DirectoryAgainstFile"),
    ] {
        let mut entries = vec![directory("")];
        entries.extend(path.contains('/').then(|| directory("models")));
        entries.push(symlink(path, "/elsewhere"));
        assert_eq!(named(&[(base(), entries), model.clone()]), [expected]);
    }
    let roomy = vec![directory(""), directory("models"), directory("models/m"), directory("models/m/more")];
    assert!(named(&[(base(), roomy), model]).is_empty());
}

#[test]
fn equal_files_are_no_conflict_and_metadata_counts() {
    let with = |change: fn(&mut Entry)| {
        let mut entry = file("usr/both", 1);
        change(&mut entry);
        (package("b", &[]), vec![directory(""), directory("usr"), entry])
    };
    let first = (package("a", &[]), tree(&["usr/both"]));
    let total = |second: Layer, same: bool| find_all(&[first.clone(), second], |_, _| same).total;
    assert_eq!(total(with(|_| {}), true), 0);
    assert_eq!(total(with(|_| {}), false), 1);
    assert_eq!(total(with(|e| e.mtime += 1), true), 0, "when it was written does not matter");
    assert_eq!(total(with(|e| e.mode = 0o755), true), 1);
    assert_eq!(total(with(|e| e.uid = 1), true), 1);
    assert_eq!(total(with(|e| e.gid = 1), true), 1);
    assert_eq!(total(with(|e| e.kind = EntryKind::File { size: 2, data_offset: 0, links: 1 }), true), 1);
    let xattr = plyos_layer_format::entry::Xattr { name: b"user.x".to_vec(), value: Vec::new() };
    let mut attributed = with(|_| {});
    attributed.1[2].xattrs.push(xattr);
    assert_eq!(total(attributed, true), 1);
    let link = |target: &str| vec![directory(""), directory("usr"), symlink("usr/l", target)];
    let links = |other: &str| {
        find_all(&[(package("a", &[]), link("t")), (package("b", &[]), link(other))], |_, _| false)
    };
    assert_eq!(links("t").total, 0);
    assert_eq!(links("u").total, 1);
}

#[test]
fn hard_links_are_left_to_the_comparer_with_their_ordinals() {
    let mut linked = tree(&["usr/a", "usr/both"]);
    linked[3].kind = EntryKind::HardLink { target: 2 };
    let layers = [(package("a", &[]), linked), (package("b", &[]), tree(&["usr/both"]))];
    let found = find_all(&layers, |a, b| {
        assert_eq!(((a.layer, a.ordinal), (b.layer, b.ordinal)), ((0, 3), (1, 2)));
        true
    });
    assert!(found.is_empty());
    assert_eq!(find_all(&layers, |_, _| false).total, 1);
}

#[test]
fn identical_files_are_no_conflict_even_in_a_circle_and_each_is_compared_once() {
    let names: Vec<String> = (0..100).map(|number| format!("p{number:02}")).collect();
    let next = |number: usize| names[(number + 1) % 100].as_str();
    for circle in [false, true] {
        let layers: Vec<Layer> = (0..100)
            .map(|number| {
                let replaces = if circle { vec![next(number)] } else { Vec::new() };
                (package(&names[number], &replaces), tree(&["usr/x"]))
            })
            .collect();
        let asked = core::cell::Cell::new(0);
        let found = find_all(&layers, |_, _| {
            asked.set(asked.get() + 1);
            true
        });
        assert!(found.is_empty(), "{:?}", found.listed);
        assert!(asked.get() <= 200, "{} comparisons of 100 files", asked.get());
    }
}

#[test]
fn directories_that_differ_merge_and_are_told() {
    let with = |info: LayerInfo, mode: u16, uid: u32| {
        let mut entries = tree(&["usr/share/"]);
        (entries[2].mode, entries[2].uid) = (mode, uid);
        (info, entries)
    };
    let layers =
        [with(package("a", &[]), 0o755, 0), with(base(), 0o750, 1), with(package("b", &[]), 0o750, 1)];
    let found = find_all(&layers, |_, _| false);
    assert!(found.is_empty());
    assert_eq!(found.differing_total, 1);
    assert_eq!(
        found.differing[0].to_string(),
        "/usr/share: seen as base has it (0750 1:0), not as a (0755 0:0)"
    );
    // Nobody describes the way to a mount point, so nobody differs there.
    let model = (info(Kind::Model, "m", &[]), vec![directory("")]);
    let mut odd = vec![directory(""), directory("models")];
    odd[1].mode = 0o700;
    assert_eq!(find_all(&[(base(), odd), model], |_, _| false), Conflicts::default());
}

#[test]
fn kernels_are_in_no_tree() {
    let layers = [(info(Kind::Kernel, "k", &[]), tree(&["usr/x"])), (package("a", &[]), tree(&["usr/x"]))];
    assert!(named(&layers).is_empty());
}

#[test]
fn the_list_is_bounded_and_the_rest_counted() {
    let names: Vec<String> = (0..250).map(|n| format!("usr/{n:03}")).collect();
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    let found =
        find_all(&[(package("a", &[]), tree(&paths)), (package("b", &[]), tree(&paths))], |_, _| false);
    assert_eq!((found.listed.len(), found.total), (MAX_LISTED, 250));
    assert_eq!(found.listed[19].path, b"usr/019");
}

#[test]
fn lone_directories_are_passed_over_and_ordinals_stay_right() {
    let mut big = tree(&["usr/a/", "usr/a/1", "usr/a/2", "usr/b"]);
    big[2].kind = EntryKind::Directory { descendants: 2 };
    let layers = [(package("a", &[]), big), (package("b", &[]), tree(&["usr/b"]))];
    let found = find_all(&layers, |a, b| {
        assert_eq!((a.ordinal, b.ordinal), (5, 2));
        false
    });
    assert_eq!(found.total, 1);
}

#[test]
fn a_comparer_that_cannot_read_ends_the_search() {
    let layers = [(package("a", &[]), tree(&["usr/x"])), (package("b", &[]), tree(&["usr/x"]))];
    let streams = layers.iter().map(|(info, entries)| (info, entries.iter().cloned().map(Ok)));
    assert_eq!(find(streams, |_, _| Err("disk")), Err(MergeError::Read("disk")));
}

/// Paths of a small tree as sets: (directories, files).
fn small_tree() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let name = prop::sample::select(vec!["a", "a-", "b"]);
    prop::collection::vec(prop::collection::vec(name, 1..4), 0..8).prop_map(|paths| {
        let mut entries: alloc::collections::BTreeMap<Vec<Vec<u8>>, bool> =
            alloc::collections::BTreeMap::new();
        for path in paths {
            let parts: Vec<Vec<u8>> = path.iter().map(|part| part.as_bytes().to_vec()).collect();
            // A file that is already somebody's parent stays a directory, and a file gets no children.
            if (1..parts.len()).any(|len| entries.get(&parts[..len]) == Some(&false)) {
                continue;
            }
            for len in 0..parts.len() {
                entries.insert(parts[..len].to_vec(), true);
            }
            entries.entry(parts).or_insert(false);
        }
        entries.entry(Vec::new()).or_insert(true);
        entries.into_iter().map(|(parts, directory)| (parts.join(&b'/'), directory)).collect()
    })
}

proptest! {
    #[test]
    fn finds_what_a_naive_search_finds(
        trees in prop::collection::vec((small_tree(), 0u8..3), 0..5),
        same in any::<bool>(),
    ) {
        let layers: Vec<Layer> = trees.iter().enumerate().map(|(n, (paths, replaces))| {
            let taken = format!("p{}", (n + 1) % trees.len());
            let info = match (n, replaces) {
                (0, 0) => base(),
                (_, 1) => package(&format!("p{n}"), &[&taken]),
                (_, 2) => package(&format!("p{n}"), &["base"]),
                _ => package(&format!("p{n}"), &[]),
            };
            let entries = paths.iter().map(|(path, is_directory)| {
                let path = core::str::from_utf8(path).unwrap();
                if *is_directory {
                    let below = paths.iter().filter(|(other, _)| crate::rules::is_below(other, path.as_bytes())).count();
                    let mut entry = directory(path);
                    entry.kind = EntryKind::Directory { descendants: below as u64 };
                    entry
                } else {
                    file(path, 1)
                }
            });
            (info, entries.collect())
        }).collect();
        let found = find_all(&layers, |_, _| same);

        let mut expected = alloc::collections::BTreeSet::new();
        for (a_number, (a, a_entries)) in layers.iter().enumerate() {
            for (b, b_entries) in &layers[a_number + 1..] {
                for (x, y) in a_entries.iter().flat_map(|x| b_entries.iter().map(move |y| (x, y))) {
                    let undecided = !precedence::beats(a, b) && !precedence::beats(b, a) && !same;
                    if x.path == y.path
                        && (x.is_directory() != y.is_directory() || (!x.is_directory() && undecided))
                    {
                        expected.insert(x.path.clone());
                    }
                }
            }
        }
        // A circle of three or more is a conflict, too, though each pair is decided; unless the files are the same.
        let got: alloc::collections::BTreeSet<Vec<u8>> = found.listed.iter()
            .filter(|conflict| conflict.why != Why::Circle || expected.contains(&conflict.path))
            .map(|conflict| conflict.path.clone())
            .collect();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(found.listed.len() as u64, found.total);
    }
}
