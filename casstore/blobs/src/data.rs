//! Data objects: immutable bytes under names of chance, which recipes point into.
//!
//! A data object is a whole blob, or what a blob brought anew (a pack). Nothing is known of it but its bytes; who needs it stands
//! in the recipes.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::ObjectMeta;

use crate::content::Content;
use crate::error::StoreError;
use crate::keys::{self, DataId};
use crate::objects::Objects;
use crate::recipe::Extent;

/// All data objects.
#[derive(Clone, Debug)]
pub struct DataObjects {
    objects: Objects,
}

impl DataObjects {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects }
    }

    /// A name for a new data object. Whoever writes one claims its name before.
    pub fn new_id(&self) -> Result<DataId, StoreError> {
        DataId::random().map_err(StoreError::staging("name a data object"))
    }

    /// Stores bytes that are in memory as a new data object.
    pub async fn put(&self, id: &DataId, bytes: Bytes) -> Result<(), StoreError> {
        self.objects.write_small(&keys::data(id), bytes).await
    }

    /// Bytes of a data object, or `None` if it is gone.
    pub async fn size(&self, id: &DataId) -> Result<Option<u64>, StoreError> {
        Ok(self.objects.head(&keys::data(id)).await?.map(|meta| meta.size))
    }

    /// Opens the bytes `range`, or gives `None` if the object is gone. A range that leads past the end is damage.
    pub async fn open(&self, id: &DataId, range: Range<u64>) -> Result<Option<Content>, StoreError> {
        let key = keys::data(id);
        let content = self.objects.open_range(&key, range.clone()).await?;
        match content {
            Some(content) if content.range != range => {
                Err(StoreError::Damaged { path: key.to_string(), why: "it is shorter than a recipe says" })
            }
            content => Ok(content),
        }
    }

    /// Opens an extent, which must be there.
    pub(crate) async fn open_extent(&self, extent: &Extent) -> Result<Content, StoreError> {
        let range = extent.offset..extent.offset.saturating_add(extent.length);
        let gone = || StoreError::Damaged { path: keys::data(&extent.data).to_string(), why: "it is gone" };
        self.open(&extent.data, range).await?.ok_or_else(gone)
    }

    /// Deletes a data object, if there is one. Nothing is asked about who needs it.
    pub async fn delete(&self, id: &DataId) -> Result<(), StoreError> {
        self.objects.delete(&keys::data(id)).await
    }

    /// All data objects, with their sizes and when they were written, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<(DataId, ObjectMeta), StoreError>> {
        let all = self.objects.list(keys::all_data());
        all.filter_map(|meta| async move {
            match meta {
                Ok(meta) => keys::data_of(&meta.location).map(|id| Ok((id, meta))),
                Err(e) => Some(Err(e)),
            }
        })
        .boxed()
    }
}
