//! How much lies in the storage, for operators who watch it.

use futures_util::stream::TryStreamExt;

use crate::error::StoreError;
use crate::storage::Storage;

/// What there is, as it was listed: what came or went meanwhile may be missing or counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Blobs, manifests included.
    pub blobs: u64,
    /// Data objects that blobs share.
    pub data_objects: u64,
    /// Their bytes. Small blobs, which lie in their recipes, are not in it.
    pub data_bytes: u64,
}

impl Storage {
    /// Lists everything, without reading any of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed.
    pub async fn footprint(&self) -> Result<Footprint, StoreError> {
        let mut found = Footprint::default();
        let mut blobs = self.blobs.list();
        while blobs.try_next().await?.is_some() {
            found.blobs += 1;
        }
        let mut data = self.blobs.data().list();
        while let Some((_, meta)) = data.try_next().await? {
            found.data_objects += 1;
            found.data_bytes += meta.size;
        }
        Ok(found)
    }
}
