//! A store as a machine's disk: a copy of what `pkg` made, with the roots of who published it, to be damaged at known places.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use plyos_storefile::{Extent, LayerEntry, Place, RecordType, Store};
use plyos_test_system::world::World;
use plyos_trust::pins::{PinnedSet, Pins};
use plyos_trust::tuf::{self, Envelope, Root};
use tempfile::TempDir;

use super::disk::Disk;
use super::{Config, Kind};

/// A store with its pinned roots, in a folder of its own.
#[derive(Debug)]
pub struct StoreImage {
    folder: TempDir,
}

impl StoreImage {
    /// The store of a world's target.
    pub fn of(world: &World) -> Self {
        Self::new(&world.target.store(), &pinned(&world.publisher.root_file()))
    }

    /// A store of these bytes, and the file of pinned roots that goes with it.
    pub fn of_bytes(store: &[u8], roots: &[u8]) -> Self {
        let image = Self { folder: TempDir::with_prefix("plyos-store-").unwrap() };
        fs::write(image.path(), store).unwrap();
        fs::write(image.roots(), roots).unwrap();
        image
    }

    fn new(store: &Path, roots: &[u8]) -> Self {
        let image = Self { folder: TempDir::with_prefix("plyos-store-").unwrap() };
        fs::copy(store, image.path()).unwrap();
        fs::write(image.roots(), roots).unwrap();
        image
    }

    /// A copy, to be changed.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self::new(&self.path(), &fs::read(self.roots()).unwrap())
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The file of its pinned roots.
    pub fn roots(&self) -> PathBuf {
        self.folder.path().join("roots")
    }

    /// As a disk.
    pub fn disk(&self) -> Disk {
        Disk::raw(&self.path())
    }

    /// A machine with it.
    pub fn machine(&self, kind: Kind) -> Config {
        Config::new(kind).with(self.disk(), &self.roots())
    }

    /// The store, opened by `pkg`'s own crate.
    pub fn open(&self) -> Store {
        Store::open(self.path()).unwrap()
    }

    /// Turns one bit of the byte at `offset`.
    pub fn flip(&self, offset: u64) {
        let file = File::options().read(true).write(true).open(self.path()).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }

    /// Cuts its end off.
    pub fn truncate(&self, length: u64) {
        File::options().write(true).open(self.path()).unwrap().set_len(length).unwrap();
    }

    /// The one layer of this name; the store must have no other version of it.
    pub fn layer(&self, name: &str) -> LayerEntry {
        let store = self.open();
        let slots = store.slots();
        let active = slots.active().unwrap().generation;
        let bytes = store.record(RecordType::Generation, active.as_bytes()).unwrap().unwrap();
        let generation = plyos_namespace::generation::Generation::parse(&bytes).unwrap();
        let id = generation.layers.iter().find(|layer| layer.name == name).unwrap().id;
        *store.layers().find(|entry| entry.id == id).unwrap()
    }

    /// Where the chunks of this layer lie.
    pub fn chunks(&self, name: &str) -> Vec<Place> {
        let layer = self.open().layer(&self.layer(name).id).unwrap().unwrap();
        layer.places().iter().map(|place| place.unwrap()).collect()
    }

    /// Where the record of a type with this key lies; without a key, the only one there is.
    pub fn record(&self, record_type: RecordType, key: Option<&[u8; 32]>) -> Extent {
        let store = self.open();
        let mut found = store.records(record_type).filter(|entry| key.is_none_or(|key| entry.key == *key));
        let extent = found.next().unwrap().extent;
        assert!(key.is_some() || found.next().is_none(), "several records of type {record_type:?}");
        extent
    }
}

/// Pinned roots of a root file.
pub fn pinned(root_file: &Path) -> Vec<u8> {
    let envelope = Envelope::parse(tuf::ROOT, &fs::read(root_file).unwrap()).unwrap();
    let root = Root::parse(&envelope).unwrap();
    Pins::new([PinnedSet::of_root(&root).unwrap()]).unwrap().emit()
}
