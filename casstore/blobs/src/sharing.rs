//! How much blobs share: what they hold in all, beside what is stored for them.

use std::collections::HashMap;

use futures_util::stream::TryStreamExt;

use crate::error::StoreError;
use crate::keys::DataId;
use crate::recipe::Body;
use crate::storage::Storage;

/// Sums over all blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Blobs.
    pub blobs: u64,
    /// Their sizes in all.
    pub bytes: u64,
    /// Bytes of the data objects that recipes point into, and of blobs that recipes hold themselves.
    pub stored: u64,
    /// Bytes of data objects that no recipe points into: a clean-up's matter, if they are not just being used.
    pub unused: u64,
}

impl Storage {
    /// Looks at every recipe, and takes some 50 bytes of memory for each data object.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails, or a recipe cannot be read.
    pub async fn sharing(&self) -> Result<Sharing, StoreError> {
        let mut sharing = Sharing::default();
        // With its size, and whether a recipe points into it.
        let mut data: HashMap<DataId, (u64, bool)> = HashMap::new();
        let mut objects = self.blobs.data().list();
        while let Some((id, meta)) = objects.try_next().await? {
            data.insert(id, (meta.size, false));
        }
        let mut recipes = self.blobs.list();
        while let Some((digest, _)) = recipes.try_next().await? {
            let Some(recipe) = self.blobs.confirm_recipe(&digest).await? else { continue };
            sharing.blobs += 1;
            sharing.bytes += recipe.size();
            if let Body::Inline(bytes) = recipe.body() {
                sharing.stored += bytes.len() as u64;
            }
            for extent in recipe.extents() {
                if let Some((_, used)) = data.get_mut(&extent.data) {
                    *used = true;
                }
            }
        }
        for (size, used) in data.into_values() {
            *(if used { &mut sharing.stored } else { &mut sharing.unused }) += size;
        }
        Ok(sharing)
    }
}
