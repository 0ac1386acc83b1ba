//! The object store behind all three stores, and how a sealed upload lands in it.
//!
//! On a local disk `object_store` (with `fsync` on) writes small objects as wanted: temporary name, flush,
//! rename, flush the directory. Large ones come from the staging area, which lies on the same file system, so
//! landing is one rename. Other object stores get a copy in parts.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error as BackendError, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload,
    RenameOptions, RenameTargetMode, WriteMultipart,
};

use crate::content::{Content, read_piece};
use crate::error::{StoreError, is_obstruction};
use crate::upload::Sealed;

/// Size of a part when copying to an object store; S3 takes no less than 5 MiB.
const PART: usize = 8 * 1024 * 1024;
/// Parts in flight while copying; with [`PART`] the memory that one landing takes.
const PARTS_IN_FLIGHT: usize = 2;

/// How a file of the staging area becomes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    /// The staging area is `uploads/` of the same local file system.
    Rename,
    /// The store is elsewhere.
    Copy,
}

/// What to do if the object exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfExists {
    Replace,
    Keep,
}

/// Whether an object landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    Yes,
    Existed,
}

#[derive(Clone, Debug)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    landing: Landing,
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, landing: Landing) -> Self {
        Self { store, landing }
    }

    pub(crate) async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, StoreError> {
        found(self.store.head(path).await, "look up", path)
    }

    /// Opens an object, or the part of it that `options` say.
    pub(crate) async fn open(&self, path: &Path, options: GetOptions) -> Result<Option<Content>, StoreError> {
        let result = self.store.get_opts(path, options).await;
        Ok(found(result, "read", path)?.map(Content::new))
    }

    pub(crate) async fn open_range(
        &self,
        path: &Path,
        range: Range<u64>,
    ) -> Result<Option<Content>, StoreError> {
        // Stores refuse an empty range, but an empty object has no other.
        let options = GetOptions::new().with_range((!range.is_empty()).then_some(range));
        self.open(path, options).await
    }

    /// Reads a whole object that is known to be small; a larger one is damaged.
    pub(crate) async fn read_small(&self, path: &Path, limit: usize) -> Result<Option<Bytes>, StoreError> {
        let Some(mut content) = self.open(path, GetOptions::new()).await? else { return Ok(None) };
        let mut whole = BytesMut::new();
        while let Some(piece) = content.stream.try_next().await? {
            if whole.len() + piece.len() > limit {
                return Err(StoreError::Damaged { path: path.to_string(), why: "it is too long" });
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    }

    pub(crate) async fn write_small(&self, path: &Path, bytes: Bytes) -> Result<(), StoreError> {
        let result = self.store.put(path, PutPayload::from_bytes(bytes)).await;
        result.map(drop).map_err(|e| StoreError::backend("write", path, e))
    }

    /// Deletes an object, if there is one; object stores do not say whether there was.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        found(self.store.delete(path).await, "delete", path).map(drop)
    }

    pub(crate) fn list(&self, prefix: Path) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.store.list(Some(&prefix)).map_err(move |e| StoreError::backend("list", &prefix, e)).boxed()
    }

    /// Gives a sealed upload its final name. The upload is spent unless this fails.
    pub(crate) async fn land(
        &self,
        sealed: Sealed,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        // A task of its own, because the request that waits for it may be dropped at any moment, and the upload's
        // lock must not be free while its file is being renamed.
        let (this, path) = (self.clone(), to.clone());
        let landing = tokio::spawn(async move { this.land_undisturbed(sealed, &path, if_exists).await });
        landing.await.unwrap_or_else(|e| {
            let source = std::io::Error::other(e);
            Err(StoreError::Staging { doing: "land an upload", source })
        })
    }

    async fn land_undisturbed(
        &self,
        sealed: Sealed,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        let from = match self.landing {
            Landing::Rename => Path::from_iter(["uploads", sealed.file_name()]),
            Landing::Copy => Path::from_iter(["incoming", sealed.file_name()]),
        };
        let result = match (self.landing, if_exists) {
            (Landing::Copy, IfExists::Replace) => self.copy_in(&sealed, to).await.map(|()| Landed::Yes),
            (Landing::Copy, IfExists::Keep) => {
                self.copy_in(&sealed, &from).await?;
                self.rename(&from, to, RenameTargetMode::Create).await
            }
            (Landing::Rename, IfExists::Replace) => self.rename(&from, to, RenameTargetMode::Overwrite).await,
            (Landing::Rename, IfExists::Keep) => self.rename(&from, to, RenameTargetMode::Create).await,
        };
        if result.is_ok() {
            sealed.spend().await;
        }
        result
    }

    async fn rename(&self, from: &Path, to: &Path, mode: RenameTargetMode) -> Result<Landed, StoreError> {
        let options = RenameOptions::new().with_target_mode(mode);
        match self.store.rename_opts(from, to, options).await {
            Ok(()) => Ok(Landed::Yes),
            Err(BackendError::AlreadyExists { .. }) => Ok(Landed::Existed),
            Err(e) => Err(StoreError::backend("write", to, e)),
        }
    }

    async fn copy_in(&self, sealed: &Sealed, to: &Path) -> Result<(), StoreError> {
        let failed = |e| StoreError::backend("write", to, e);
        let parts = self.store.put_multipart(to).await.map_err(failed)?;
        let mut parts = WriteMultipart::new_with_chunk_size(parts, PART);
        let mut at = 0;
        while at < sealed.len() {
            let piece = match read_piece(sealed.file(), at..sealed.len()).await {
                Ok(piece) if !piece.is_empty() => piece,
                other => {
                    let _ = parts.abort().await;
                    let why = "a staged file became shorter";
                    return Err(other.err().unwrap_or(StoreError::Damaged { path: to.to_string(), why }));
                }
            };
            at += piece.len() as u64;
            parts.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(failed)?;
            parts.put(piece);
        }
        parts.finish().await.map(drop).map_err(failed)
    }
}

/// Separates "there is nothing" from failure. A path that leads through a file leads to nothing.
fn found<T>(
    result: Result<T, BackendError>,
    doing: &'static str,
    path: &Path,
) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(BackendError::NotFound { .. }) => Ok(None),
        Err(BackendError::Precondition { .. }) => Ok(None),
        Err(e) if is_obstruction(&e) => Ok(None),
        Err(e) => Err(StoreError::backend(doing, path, e)),
    }
}
