//! Where the three stores and the staging area come together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::blobs::Blobs;
use crate::catalog::CatalogFiles;
use crate::error::StoreError;
use crate::objects::{Landing, Objects};
use crate::repositories::Repositories;
use crate::uploads::Uploads;

/// Everything that a registry keeps. Cloning gives another handle on the same stores.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Content by digest.
    pub blobs: Blobs,
    /// Manifests and tags.
    pub repositories: Repositories,
    /// Static catalog files.
    pub catalog: CatalogFiles,
    /// Bytes that are still arriving.
    pub uploads: Uploads,
}

impl Storage {
    /// Opens storage in a local directory, making it if need be, for at most `most_uploads` open sessions.
    /// Blocks for a moment; to be called when the program starts.
    pub fn local(root: &Path, most_uploads: usize) -> Result<Self, StoreError> {
        let staging = root.join("uploads");
        std::fs::create_dir_all(&staging).map_err(StoreError::staging("make the storage directory"))?;
        let path = root.display().to_string();
        let store = LocalFileSystem::new_with_prefix(root)
            .map_err(|source| StoreError::Backend { doing: "open", path, source })?
            .with_fsync(true);
        Ok(Self::assemble(Objects::new(Arc::new(store), Landing::Rename), staging, most_uploads))
    }

    /// Uses any object store, with `staging` (an existing local directory) for bytes that are still arriving.
    /// Landing an upload then copies it.
    pub fn remote(store: Arc<dyn ObjectStore>, staging: PathBuf, most_uploads: usize) -> Self {
        Self::assemble(Objects::new(store, Landing::Copy), staging, most_uploads)
    }

    fn assemble(objects: Objects, staging: PathBuf, most_uploads: usize) -> Self {
        let blobs = Blobs::new(objects.clone());
        Self {
            repositories: Repositories::new(objects.clone(), blobs.clone()),
            blobs,
            catalog: CatalogFiles::new(objects),
            uploads: Uploads::new(staging, most_uploads),
        }
    }
}
