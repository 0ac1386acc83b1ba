//! A layer as it lies in a store.

use std::path::PathBuf;
use std::sync::Arc;

use plyos_blockstore::{Extent, LayerEntry, LayerMap, LayerState, Place, read_extent};
use plyos_ids::{LayerId, ManifestDigest};

use crate::{FileDevice, Result, StoreDevice, StoreError};

/// Bytes of a page of an index; the last one may be shorter. Frozen.
pub const INDEX_PAGE: u64 = 16_384;

/// A layer as it lies in a store, with its verified map. It stays readable as long as its generation is leased or the
/// store is not written twice.
#[derive(Debug)]
pub struct StoredLayer<D = FileDevice> {
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
    index: Extent,
    map: LayerMap,
    device: Arc<D>,
    path: PathBuf,
}

impl<D: StoreDevice> StoredLayer<D> {
    pub(crate) fn new(entry: &LayerEntry, map: LayerMap, device: Arc<D>, path: PathBuf) -> Self {
        Self {
            id: entry.id,
            complete: entry.state == LayerState::Complete,
            index_len: entry.index.len,
            manifest: entry.manifest,
            added_at: entry.added_at,
            index: entry.index,
            map,
            device,
            path,
        }
    }

    /// The whole index, verified: its BLAKE3 is the layer's identity.
    pub fn index_bytes(&self) -> Result<Vec<u8>> {
        let bytes = read_extent(&*self.device, self.index)
            .map_err(StoreError::io("reading an index of", &self.path))?;
        if blake3::hash(&bytes).as_bytes() == self.id.as_bytes() {
            return Ok(bytes);
        }
        let what = format!("the index of layer {} does not match its hash", self.id);
        Err(StoreError::Damaged { path: self.path.clone(), what })
    }

    /// One page of the index, counted from 0, not verified: check it with [`StoredLayer::page_hashes`], after these
    /// have been merged to the layer's identity.
    pub fn read_page(&self, number: u32) -> Result<Vec<u8>> {
        let start = u64::from(number) * INDEX_PAGE;
        let len = self.index.len.saturating_sub(start).min(INDEX_PAGE);
        if len == 0 {
            let what = format!("the index of layer {} has no page {number}", self.id);
            return Err(StoreError::Invalid { path: self.path.clone(), what });
        }
        let mut page = vec![0; len as usize];
        let read = self.device.read_at(self.index.offset + start, &mut page);
        read.map_err(StoreError::io("reading an index page of", &self.path))?;
        Ok(page)
    }

    /// Chaining values of the index's pages; none for an index of one page. Claims until they merge to the identity.
    pub fn page_hashes(&self) -> &[[u8; 32]] {
        &self.map.page_hashes
    }

    /// Where a chunk lies, by its number in the index; `None` when it is not here yet, or there is none.
    pub fn place(&self, ordinal: u64) -> Option<Place> {
        usize::try_from(ordinal).ok().and_then(|ordinal| self.map.places.get(ordinal).copied().flatten())
    }

    /// Where each chunk lies, in the order of the index; `None`: not here yet.
    pub fn places(&self) -> &[Option<Place>] {
        &self.map.places
    }
}
