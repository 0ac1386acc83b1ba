//! A layer as it lies in a store.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use plyos_blockstore::{LayerEntry, LayerMap, LayerState, Place, read_extent, read_map};
use plyos_ids::{LayerId, ManifestDigest};

use crate::{FileDevice, Result, StoreDevice, StoreError};

/// Bytes of a page of an index; the last one may be shorter. Frozen.
pub const INDEX_PAGE: u64 = 16_384;

/// A layer as a mount needs it: its index, page by page. Where its chunks lie is read and verified with the first place that
/// is asked for, so that opening costs the same for a layer of any size.
///
/// It stays readable as long as its generation is leased or the store is not written twice.
#[derive(Debug)]
pub struct MountedLayer<D = FileDevice> {
    /// Which layer.
    pub id: LayerId,
    /// Whether every chunk is here.
    pub complete: bool,
    /// Bytes of the index.
    pub index_len: u64,
    /// The OCI manifest by which it came; `None` for a local layer.
    pub manifest: Option<ManifestDigest>,
    /// When it was first added, seconds since 1970-01-01 UTC.
    pub added_at: u64,
    entry: LayerEntry,
    page_hashes: Vec<[u8; 32]>,
    places: OnceLock<Vec<Option<Place>>>,
    store_len: u64,
    device: Arc<D>,
    path: PathBuf,
}

impl<D: StoreDevice> MountedLayer<D> {
    pub(crate) fn new(
        entry: &LayerEntry,
        page_hashes: Vec<[u8; 32]>,
        store_len: u64,
        device: Arc<D>,
        path: PathBuf,
    ) -> Self {
        Self {
            id: entry.id,
            complete: entry.state == LayerState::Complete,
            index_len: entry.index.len,
            manifest: entry.manifest,
            added_at: entry.added_at,
            entry: *entry,
            page_hashes,
            places: OnceLock::new(),
            store_len,
            device,
            path,
        }
    }

    /// The whole index, verified: its BLAKE3 is the layer's identity.
    pub fn index_bytes(&self) -> Result<Vec<u8>> {
        let bytes = read_extent(&*self.device, self.entry.index)
            .map_err(StoreError::io("reading an index of", &self.path))?;
        if blake3::hash(&bytes).as_bytes() == self.id.as_bytes() {
            return Ok(bytes);
        }
        let what = format!("the index of layer {} does not match its hash", self.id);
        Err(StoreError::Damaged { path: self.path.clone(), what })
    }

    /// One page of the index, counted from 0, not verified: check it with [`MountedLayer::page_hashes`], after these
    /// have been merged to the layer's identity.
    pub fn read_page(&self, number: u32) -> Result<Vec<u8>> {
        let len = self.index_len.saturating_sub(u64::from(number) * INDEX_PAGE).min(INDEX_PAGE);
        let mut page = vec![0; len as usize];
        self.read_page_into(number, &mut page)?;
        Ok(page)
    }

    /// The same into a buffer; where the index ends before the buffer does, zeroes follow.
    pub fn read_page_into(&self, number: u32, out: &mut [u8]) -> Result<()> {
        let start = u64::from(number) * INDEX_PAGE;
        let len = self.index_len.saturating_sub(start).min(INDEX_PAGE).min(out.len() as u64);
        if len == 0 {
            let what = format!("the index of layer {} has no page {number}", self.id);
            return Err(StoreError::Invalid { path: self.path.clone(), what });
        }
        let (page, behind) = out.split_at_mut(len as usize);
        behind.fill(0);
        let read = self.device.read_at(self.entry.index.offset + start, page);
        read.map_err(StoreError::io("reading an index page of", &self.path))
    }

    /// Chaining values of the index's pages; none for an index of one page. Claims until they merge to the identity.
    pub fn page_hashes(&self) -> &[[u8; 32]] {
        &self.page_hashes
    }

    /// Where a chunk lies, by its number in the index; `None` when it is not here yet, or there is none. The first call
    /// reads the layer's map and verifies it.
    pub fn place(&self, ordinal: u64) -> Result<Option<Place>> {
        let places = match self.places.get() {
            Some(places) => places,
            None => {
                let map = read_map(&*self.device, &self.entry, self.store_len)
                    .map_err(|error| StoreError::unreadable(&self.path, &map_of(&self.id), error))?;
                self.places.get_or_init(|| map.places)
            }
        };
        Ok(usize::try_from(ordinal).ok().and_then(|ordinal| places.get(ordinal).copied().flatten()))
    }
}

/// How messages name a layer's map.
pub(crate) fn map_of(id: &LayerId) -> String {
    format!("the map of layer {id}")
}

/// A layer as it lies in a store, with its verified map. As a [`MountedLayer`] it gives its index.
#[derive(Debug)]
pub struct StoredLayer<D = FileDevice> {
    layer: MountedLayer<D>,
    places: Vec<Option<Place>>,
}

impl<D> Deref for StoredLayer<D> {
    type Target = MountedLayer<D>;

    fn deref(&self) -> &MountedLayer<D> {
        &self.layer
    }
}

impl<D> AsRef<MountedLayer<D>> for StoredLayer<D> {
    fn as_ref(&self) -> &MountedLayer<D> {
        &self.layer
    }
}

impl<D> AsRef<Self> for MountedLayer<D> {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<D: StoreDevice> StoredLayer<D> {
    pub(crate) fn new(
        entry: &LayerEntry,
        map: LayerMap,
        store_len: u64,
        device: Arc<D>,
        path: PathBuf,
    ) -> Self {
        Self { layer: MountedLayer::new(entry, map.page_hashes, store_len, device, path), places: map.places }
    }

    /// Where a chunk lies, by its number in the index; `None` when it is not here yet, or there is none.
    pub fn place(&self, ordinal: u64) -> Option<Place> {
        usize::try_from(ordinal).ok().and_then(|ordinal| self.places.get(ordinal).copied().flatten())
    }

    /// Where each chunk lies, in the order of the index; `None`: not here yet.
    pub fn places(&self) -> &[Option<Place>] {
        &self.places
    }
}
