//! Where everything that a registry keeps comes together: opening a storage, and seeing that it has this layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;

use crate::blobs::Blobs;
use crate::bucket::BucketUrl;
use crate::catalog::CatalogFiles;
use crate::claims::Claims;
use crate::data::DataObjects;
use crate::error::StoreError;
use crate::hot::Hot;
use crate::keys;
use crate::objects::Objects;
use crate::repositories::Repositories;
use crate::staged_parts::Bucket;
use crate::uploads::{Place, Uploads};

/// Bounds on what a storage takes for itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Upload sessions open at a time on this server.
    pub most_uploads: usize,
    /// Bytes of memory for what was just read.
    pub hot_bytes: usize,
    /// The directory for what arrives for a bucket and is less than a part yet; the system's for temporary files if not given.
    pub spools: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { most_uploads: 4096, hot_bytes: 32 * 1024 * 1024, spools: None }
    }
}

/// Everything that a registry keeps. Cloning gives another handle on it.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Content by digest.
    pub blobs: Blobs,
    /// Links, manifests, tags and referrers.
    pub repositories: Repositories,
    /// Static catalog files.
    pub catalog: CatalogFiles,
    /// Bytes that are still arriving.
    pub uploads: Uploads,
    /// What writers rely on until they have published.
    pub claims: Claims,
    pub(crate) objects: Objects,
}

impl Storage {
    /// Opens the storage that `location` names: a directory, which is made if need be, or a bucket as `s3://BUCKET/PREFIX`.
    /// A bucket is reached by the usual `AWS_…` variables, before which `options` go (names as in `object_store`). Nothing is scanned.
    ///
    /// # Errors
    ///
    /// [`StoreError::Staging`] if a directory cannot be made, [`StoreError::Backend`] if a bucket cannot be reached,
    /// [`StoreError::Layout`] if something else is kept there.
    pub async fn open(
        location: &str,
        options: &BTreeMap<String, String>,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        match BucketUrl::parse(location) {
            Some(url) => Self::remote(Arc::new(url.open(options)?), settings).await,
            None => Self::local(Path::new(location), settings).await,
        }
    }

    /// Opens storage in a local directory.
    pub async fn local(root: &Path, settings: &Settings) -> Result<Self, StoreError> {
        let uploads = root.join("uploads");
        std::fs::create_dir_all(&uploads).map_err(StoreError::staging("make the storage directory"))?;
        let path = root.display().to_string();
        let store = LocalFileSystem::new_with_prefix(root)
            .map_err(|source| StoreError::Backend { doing: "open", path, source })?
            .with_fsync(true);
        let objects = Objects::new(Arc::new(store), Some(root.to_owned()));
        Self::assemble(objects, Place::Directory(uploads), settings).await
    }

    /// Uses any store that takes objects in parts.
    pub async fn remote<S>(store: Arc<S>, settings: &Settings) -> Result<Self, StoreError>
    where
        S: ObjectStore + MultipartStore,
    {
        let objects = Objects::new(Arc::clone(&store) as Arc<dyn ObjectStore>, None);
        let spools = settings.spools.clone().unwrap_or_else(std::env::temp_dir);
        let bucket = Arc::new(Bucket::new(objects.clone(), store, spools));
        Self::assemble(objects, Place::Bucket(bucket), settings).await
    }

    /// Sees that the storage answers, and is still the one that was opened. Costs one small read.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it does not, [`StoreError::Layout`] if what was there has gone.
    pub async fn answers(&self) -> Result<(), StoreError> {
        let found = self.objects.read_small(&keys::layout(), keys::LAYOUT.len()).await?;
        if found.is_some_and(|found| found == keys::LAYOUT) { Ok(()) } else { Err(StoreError::Layout) }
    }

    async fn assemble(objects: Objects, place: Place, settings: &Settings) -> Result<Self, StoreError> {
        check_layout(&objects).await?;
        let hot = Hot::new(settings.hot_bytes);
        let blobs = Blobs::new(objects.clone(), DataObjects::new(objects.clone()), hot.clone());
        Ok(Self {
            repositories: Repositories::new(objects.clone(), blobs.clone(), hot),
            blobs,
            catalog: CatalogFiles::new(objects.clone()),
            uploads: Uploads::new(place, settings.most_uploads),
            claims: Claims::new(objects.clone()),
            objects,
        })
    }
}

/// Sees that the storage has this layout, or is new.
async fn check_layout(objects: &Objects) -> Result<(), StoreError> {
    let place = keys::layout();
    let found = match objects.read_small(&place, keys::LAYOUT.len()).await? {
        Some(found) => found,
        None => {
            // Storage with blobs but no layout was written before there were layouts.
            if !objects.children(&keys::all_recipes()).await?.is_empty() {
                return Err(StoreError::Layout);
            }
            objects.create_small(&place, keys::LAYOUT.into()).await?;
            return Ok(());
        }
    };
    if found == keys::LAYOUT { Ok(()) } else { Err(StoreError::Layout) }
}
