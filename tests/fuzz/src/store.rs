//! The store: superblock, directory, maps, lists.

use plyos_blockstore::{Audit, BadSets, Directory, Floors, History, LayerMap, Superblock};

/// Length of the store that places are checked against.
const STORE: u64 = 1 << 30;

/// A superblock has one spelling.
pub fn superblock(data: &[u8]) {
    if let Ok(superblock) = Superblock::parse(data) {
        assert_eq!(data.get(..4096), Some(superblock.emit().as_slice()), "emit(parse(x)) must be x");
    }
}

/// A directory has one spelling, and nothing in it lies outside the store.
pub fn directory(data: &[u8]) {
    if let Ok(directory) = Directory::parse(data, STORE) {
        assert_eq!(directory.emit(), data, "emit(parse(x)) must be x");
        for layer in directory.layers.values() {
            assert!(layer.index.offset + layer.index.len <= STORE);
            assert!(layer.map.offset + layer.map.len <= STORE);
        }
    }
}

/// A map has one spelling, and its places fit the store.
pub fn layer_map(data: &[u8]) {
    if let Ok(map) = LayerMap::parse(data, STORE) {
        assert_eq!(map.emit(), data, "emit(parse(x)) must be x");
        assert!(map.places.iter().flatten().all(|place| place.fits(STORE)));
    }
}

/// History, audit, bad layer sets and floors have one spelling each.
pub fn lists(data: &[u8]) {
    if let Ok(history) = History::parse(data) {
        assert_eq!(history.emit(), data, "emit(parse(x)) must be x");
    }
    if let Ok(audit) = Audit::parse(data) {
        assert_eq!(audit.emit(), data, "emit(parse(x)) must be x");
    }
    if let Ok(bad) = BadSets::parse(data) {
        assert_eq!(bad.emit(), data, "emit(parse(x)) must be x");
    }
    if let Ok(floors) = Floors::parse(data) {
        assert_eq!(floors.emit(), data, "emit(parse(x)) must be x");
    }
}
