//! docs/formats.md and the constants of the code describe the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use plyos_bytemap::Layout;
use plyos_test_architecture::byte_maps::{Shape, declared, parse};
use plyos_test_architecture::workspace::{files, read};

/// Every layout of every crate that has some.
fn layouts() -> Vec<&'static Layout> {
    let mut all: Vec<&'static Layout> = vec![&plyos_bytemap::preamble::preamble::LAYOUT];
    all.extend(plyos_blockstore::LAYOUTS);
    all.extend(plyos_layer_format::LAYOUTS);
    all.extend(plyos_namespace::LAYOUTS);
    all.extend(plyos_slots::LAYOUTS);
    all.extend(plyos_trust::LAYOUTS);
    all.extend(plyos_blobs::LAYOUTS);
    all.extend(plyos_blobs::PIECE_LAYOUTS);
    all
}

fn shapes() -> BTreeMap<String, Shape> {
    let mut shapes = BTreeMap::new();
    for layout in layouts() {
        let before = shapes.insert(layout.name.to_owned(), Shape::from(layout));
        assert!(before.is_none(), "two layouts are called {}", layout.name);
    }
    shapes
}

#[test]
fn every_table_is_a_layout_and_every_layout_a_table() {
    let (documented, coded) = (parse(&read("docs/formats.md").unwrap()).unwrap(), shapes());
    let names = |shapes: &BTreeMap<String, Shape>| shapes.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&coded), "left: documented, right: in the code");
    for (name, shape) in documented {
        assert_eq!(Some(&shape), coded.get(&name), "{name}: left: documented, right: in the code");
        assert_eq!(shape.fields.iter().map(|(_, size, _)| size).sum::<usize>(), shape.size, "{name}");
    }
}

#[test]
fn no_layout_is_declared_without_being_exported() {
    let coded = shapes();
    let mut found = BTreeSet::new();
    for path in files().unwrap().iter().filter(|path| path.contains("/src/") && path.ends_with(".rs")) {
        for name in declared(&read(path).unwrap()) {
            assert!(coded.contains_key(&name), "{path} declares {name:?}, which is in nobody's LAYOUTS");
            assert!(found.insert(name.clone()), "{path} declares {name:?} a second time");
        }
    }
    let unseen: Vec<_> = coded.keys().filter(|name| !found.contains(*name)).collect();
    assert!(
        unseen.is_empty(),
        "exported, but not found in any source, so the search above is blind: {unseen:?}"
    );
}
