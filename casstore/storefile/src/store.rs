//! Reading a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plyos_blockstore::{
    Audit, BadSets, Extent, Floors, History, LayerEntry, ListError, OpenError, Place, RecordEntry,
    RecordType, StoreView, Superblock, open, read_extent, read_map, read_page_hashes, read_record,
};
use plyos_ids::{ChunkId, LayerId};
use plyos_slots::Slots;

use crate::decode::decode;
use crate::layer::{INDEX_PAGE, map_of};
use crate::locks::CommitLock;
use crate::{Access, FileDevice, LockMode, MountedLayer, Result, StoreDevice, StoreError, StoredLayer};

/// A store as it was when it was opened or last refreshed.
#[derive(Debug)]
pub struct Store<D = FileDevice> {
    pub(crate) device: Arc<D>,
    pub(crate) path: PathBuf,
    pub(crate) view: StoreView,
}

impl Store {
    /// Opens a store for reading. Takes no lock that lasts: hold a [`Lease`](crate::Lease) on what is mounted.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::on_device(FileDevice::open(path, Access::Read)?, path)
    }
}

impl<D: StoreDevice> Store<D> {
    /// Opens the store on a device; `name` stands for it in messages.
    pub fn on_device(device: D, name: impl Into<PathBuf>) -> Result<Self> {
        let path = name.into();
        let view = look(&device, &path)?;
        Ok(Self { device: Arc::new(device), path, view })
    }

    /// Looks at the store again, to see what others have committed since.
    pub fn refresh(&mut self) -> Result<()> {
        self.view = look(&*self.device, &self.path)?;
        Ok(())
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The device it lies on.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The superblock that counts.
    pub const fn superblock(&self) -> &Superblock {
        &self.view.chosen.superblock
    }

    /// The slots.
    pub const fn slots(&self) -> &Slots {
        &self.view.chosen.superblock.slots
    }

    /// The two copies of the superblock with their directories.
    pub const fn view(&self) -> &StoreView {
        &self.view
    }

    /// Every layer, sorted by identity.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &LayerEntry> {
        self.view.chosen.directory.layers.values()
    }

    /// One layer with its map, verified; `None` when the store has it not at all.
    pub fn layer(&self, id: &LayerId) -> Result<Option<StoredLayer<D>>> {
        let Some(entry) = self.view.chosen.directory.layers.get(id) else { return Ok(None) };
        let store_len = self.superblock().store_len();
        let map = read_map(&*self.device, entry, store_len)
            .map_err(|error| StoreError::unreadable(&self.path, &map_of(id), error))?;
        let (device, path) = (Arc::clone(&self.device), self.path.clone());
        Ok(Some(StoredLayer::new(entry, map, store_len, device, path)))
    }

    /// One layer as a mount needs it, without its places; `None` when the store has it not at all.
    pub fn mounted_layer(&self, id: &LayerId) -> Result<Option<MountedLayer<D>>> {
        let Some(entry) = self.view.chosen.directory.layers.get(id) else { return Ok(None) };
        // An index has at most 1 GiB: the directory's parser saw to it.
        let pages = entry.index.len.div_ceil(INDEX_PAGE) as u32;
        let hashes = read_page_hashes(&*self.device, entry, pages)
            .map_err(|error| StoreError::unreadable(&self.path, &map_of(id), error))?;
        let (device, path) = (Arc::clone(&self.device), self.path.clone());
        Ok(Some(MountedLayer::new(entry, hashes, self.superblock().store_len(), device, path)))
    }

    /// Every record of a type, sorted by key.
    pub fn records(&self, record_type: RecordType) -> impl Iterator<Item = &RecordEntry> {
        let bounds = (record_type, [0; 32])..=(record_type, [0xff; 32]);
        self.view.chosen.directory.records.range(bounds).map(|(_, entry)| entry)
    }

    /// One record, verified; `None` when there is none. Types of which there is one have the key
    /// [`RecordType::ONLY`]. [`StoreError::Changed`] when others have replaced it since this store was looked at.
    pub fn record(&self, record_type: RecordType, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let Some(entry) = self.view.chosen.directory.records.get(&(record_type, *key)) else {
            return Ok(None);
        };
        read_record(&*self.device, entry).map(Some).map_err(|error| {
            let what = format!("a record ({record_type})");
            if !self.was_replaced(entry) {
                return StoreError::unreadable(&self.path, &what, error);
            }
            let why = format!("{what} was replaced before it could be read");
            StoreError::Changed { path: self.path.clone(), why, active: None }
        })
    }

    /// Whether others have replaced a record since: after two commits its place may be written over, which is no damage.
    fn was_replaced(&self, entry: &RecordEntry) -> bool {
        let is_it = |now: &RecordEntry| (now.extent, now.hash) == (entry.extent, entry.hash);
        look(&*self.device, &self.path).is_ok_and(|view| {
            let now = view.chosen.directory.records.get(&(entry.record_type, entry.key));
            !now.is_some_and(is_it)
        })
    }

    /// The history; empty when none was written.
    pub fn history(&self) -> Result<History> {
        self.list(RecordType::History, History::parse)
    }

    /// The audit; empty when none was written.
    pub fn audit(&self) -> Result<Audit> {
        self.list(RecordType::Audit, Audit::parse)
    }

    /// The sets of layers that turned out bad; empty when none was written.
    pub fn bad_sets(&self) -> Result<BadSets> {
        self.list(RecordType::BadSets, BadSets::parse)
    }

    /// The epoch floors; empty when none were written.
    pub fn floors(&self) -> Result<Floors> {
        self.list(RecordType::Floors, Floors::parse)
    }

    fn list<T: Default>(
        &self,
        record_type: RecordType,
        parse: impl Fn(&[u8]) -> std::result::Result<T, ListError>,
    ) -> Result<T> {
        let Some(bytes) = self.record(record_type, &RecordType::ONLY)? else { return Ok(T::default()) };
        parse(&bytes).map_err(|error| {
            let what = format!("the record {record_type}: {error}");
            StoreError::Damaged { path: self.path.clone(), what }
        })
    }

    /// Reads a chunk: stored bytes from `place`, decoded to exactly `uncompressed_len` bytes (at most 1 MiB) and
    /// verified against its identity.
    pub fn read_place(&self, place: Place, uncompressed_len: u32, id: &ChunkId) -> Result<Vec<u8>> {
        let stored = self.stored_at(place, id)?;
        decode(place.codec, stored, uncompressed_len, id).map_err(|why| self.damaged_chunk(place, id, &why))
    }

    /// Reads the stored bytes of a chunk, for another store. That they decode to the chunk is verified.
    pub fn read_stored(&self, place: Place, uncompressed_len: u32, id: &ChunkId) -> Result<Vec<u8>> {
        let stored = self.stored_at(place, id)?;
        decode(place.codec, stored.clone(), uncompressed_len, id)
            .map_err(|why| self.damaged_chunk(place, id, &why))?;
        Ok(stored)
    }

    fn stored_at(&self, place: Place, id: &ChunkId) -> Result<Vec<u8>> {
        if place.source != 0 || !place.fits(self.superblock().store_len()) {
            return Err(self.damaged_chunk(place, id, "its place is not in this store"));
        }
        let extent = Extent { offset: place.offset, len: u64::from(place.length) };
        read_extent(&*self.device, extent).map_err(StoreError::io("reading a chunk of", &self.path))
    }

    fn damaged_chunk(&self, place: Place, id: &ChunkId, why: &str) -> StoreError {
        let what = format!("chunk {id} at byte {}: {why}", place.offset);
        StoreError::Damaged { path: self.path.clone(), what }
    }
}

/// Opens without a lock, as a commit replaces only the copy that does not count. When two commits have passed during
/// the reading nothing may verify; then once more with commits held off.
pub(crate) fn look<D: StoreDevice>(device: &D, path: &Path) -> Result<StoreView> {
    match open(device) {
        Err(OpenError::NoValidCopy(_)) => {
            let _lock = CommitLock::take(device, path, LockMode::Shared)?;
            open(device).map_err(|error| StoreError::opening(path, error))
        }
        found => found.map_err(|error| StoreError::opening(path, error)),
    }
}
