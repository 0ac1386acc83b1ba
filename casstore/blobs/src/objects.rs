//! The object store behind everything: what this crate needs of one, with "there is nothing" told apart from failure.
//!
//! On a local disk `object_store` (with `fsync` on) writes as wanted: temporary name, flush, rename, flush the directory. What it
//! cannot do there is added: replacing an object that still is what it was, reading a small file in one go, and writing several that
//! belong together (`ordered.rs`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error as BackendError, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload,
    RenameOptions, RenameTargetMode, UpdateVersion,
};
use tokio::sync::Mutex;

use crate::content::Content;
use crate::error::{StoreError, is_obstruction};
use crate::resident::{self, Resident};
use crate::upload::blocking;

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
    /// The directory that a local store lies in, for reading small files in one go.
    directory: Option<Arc<PathBuf>>,
    /// Local file systems have no conditional replacement; one process serves a directory, so a lock does.
    exchanges: Arc<Mutex<()>>,
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, directory: Option<PathBuf>) -> Self {
        Self { store, directory: directory.map(Arc::new), exchanges: Arc::default() }
    }

    /// The directory of a local store.
    pub(crate) fn directory(&self) -> Option<Arc<PathBuf>> {
        self.directory.clone()
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
        Ok(self.read_versioned(path, limit).await?.map(|(bytes, _)| bytes))
    }

    pub(crate) async fn read_versioned(
        &self,
        path: &Path,
        limit: usize,
    ) -> Result<Option<(Bytes, Option<UpdateVersion>)>, StoreError> {
        let too_long = || StoreError::Damaged { path: path.to_string(), why: "it is too long" };
        if let Some(directory) = &self.directory {
            let file = directory.join(path.as_ref());
            match resident::read(&file, limit) {
                Resident::Here(bytes) => return Ok(Some((bytes, None))),
                Resident::Nothing => return Ok(None),
                Resident::Unknown => {}
            }
            let read = blocking("read a file", move || read_file(&file, limit)).await?;
            return read.map(|bytes| bytes.map(|bytes| (bytes, None)).ok_or_else(too_long)).transpose();
        }
        let result = self.store.get_opts(path, GetOptions::new()).await;
        let Some(result) = found(result, "read", path)? else { return Ok(None) };
        let version =
            UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
        let mut content = Content::new(result);
        let mut whole = BytesMut::new();
        while let Some(piece) = content.stream.try_next().await? {
            if whole.len() + piece.len() > limit {
                return Err(too_long());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some((whole.freeze(), Some(version))))
    }

    /// Writes an object, whatever stood there.
    pub(crate) async fn write_small(&self, path: &Path, bytes: Bytes) -> Result<(), StoreError> {
        self.put(path, bytes, PutMode::Overwrite).await.map(drop)
    }

    /// Writes an object that says what a process is about to do. It need not outlive a power cut, which that process does not.
    pub(crate) async fn write_passing(&self, path: &Path, bytes: Bytes) -> Result<(), StoreError> {
        let Some(directory) = &self.directory else { return self.write_small(path, bytes).await };
        let file = directory.join(path.as_ref());
        blocking("write a note", move || {
            // Names that end so are not listed.
            let mut new = file.clone().into_os_string();
            new.push("#1");
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&new, bytes)?;
            std::fs::rename(&new, &file)
        })
        .await
    }

    /// Writes an object that is not there yet; says whether it did.
    pub(crate) async fn create_small(&self, path: &Path, bytes: Bytes) -> Result<bool, StoreError> {
        self.put(path, bytes, PutMode::Create).await
    }

    /// Replaces an object that still holds `before`; says whether it did.
    pub(crate) async fn exchange_small(
        &self,
        path: &Path,
        before: &[u8],
        after: Bytes,
    ) -> Result<bool, StoreError> {
        let _alone = match self.directory {
            Some(_) => Some(self.exchanges.lock().await),
            None => None,
        };
        // One byte more than expected is already something else.
        match self.read_versioned(path, before.len()).await {
            Ok(Some((bytes, version))) if bytes == before => {
                self.put(path, after, version.map_or(PutMode::Overwrite, PutMode::Update)).await
            }
            Ok(_) | Err(StoreError::Damaged { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn put(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<bool, StoreError> {
        match self.store.put_opts(path, PutPayload::from_bytes(bytes.clone()), mode.into()).await {
            Ok(_) => Ok(true),
            Err(BackendError::AlreadyExists { .. } | BackendError::Precondition { .. }) => {
                Ok(self.written_before(path, &bytes).await?.is_some())
            }
            Err(e) => Err(StoreError::backend("write", path, e)),
        }
    }

    /// Whether a conditional write that was refused is there all the same, and as what version: a bucket's client sends a write again
    /// whose answer was a failure or did not come, and the second one is refused because the first was carried out. Somebody else
    /// may have written the very same, which is as good.
    async fn written_before(&self, path: &Path, bytes: &[u8]) -> Result<Option<UpdateVersion>, StoreError> {
        if self.directory.is_some() {
            return Ok(None);
        }
        match self.read_versioned(path, bytes.len()).await {
            Ok(Some((there, version))) if there == bytes => Ok(version),
            Ok(_) | Err(StoreError::Damaged { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The names right below a prefix that have more below them, sorted.
    pub(crate) async fn children(&self, prefix: &Path) -> Result<Vec<String>, StoreError> {
        let listed = self.store.list_with_delimiter(Some(prefix)).await;
        let Some(listed) = found(listed, "list", prefix)? else { return Ok(Vec::new()) };
        let mut names: Vec<String> = Vec::new();
        names.extend(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)));
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes an object, if there is one; object stores do not say whether there was.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        found(self.store.delete(path).await, "delete", path).map(drop)
    }

    /// Makes durable what was deleted in directories of a local storage, which deleting alone does not. A bucket has done it already.
    pub(crate) async fn flush_directories(&self, folders: BTreeSet<Path>) -> Result<(), StoreError> {
        let Some(directory) = self.directory.clone() else { return Ok(()) };
        blocking("flush directories", move || {
            for folder in folders {
                match File::open(directory.join(folder.as_ref())) {
                    Ok(folder) => folder.sync_all()?,
                    // The last one that was in it took it along.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(())
        })
        .await
    }

    pub(crate) fn list(&self, prefix: Path) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.store.list(Some(&prefix)).map_err(move |e| StoreError::backend("list", &prefix, e)).boxed()
    }

    /// Replaces an object that still is of this version; gives the new one if it did. Not for local storage, which has none.
    pub(crate) async fn replace_version(
        &self,
        path: &Path,
        bytes: Bytes,
        version: UpdateVersion,
    ) -> Result<Option<UpdateVersion>, StoreError> {
        let mode = PutMode::Update(version);
        match self.store.put_opts(path, PutPayload::from_bytes(bytes.clone()), mode.into()).await {
            Ok(put) => Ok(Some(UpdateVersion { e_tag: put.e_tag, version: put.version })),
            Err(BackendError::Precondition { .. }) => self.written_before(path, &bytes).await,
            Err(BackendError::NotFound { .. }) => Ok(None),
            Err(e) => Err(StoreError::backend("write", path, e)),
        }
    }

    /// Moves an object.
    pub(crate) async fn rename(
        &self,
        from: &Path,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        let mode = match if_exists {
            IfExists::Replace => RenameTargetMode::Overwrite,
            IfExists::Keep => RenameTargetMode::Create,
        };
        let options = RenameOptions::new().with_target_mode(mode);
        landed(self.store.rename_opts(from, to, options).await, to)
    }

    /// Copies an object, without its bytes passing through here.
    pub(crate) async fn copy(
        &self,
        from: &Path,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        let result = match if_exists {
            IfExists::Replace => self.store.copy(from, to).await,
            IfExists::Keep => self.store.copy_if_not_exists(from, to).await,
        };
        landed(result, to)
    }
}

fn landed(result: Result<(), BackendError>, to: &Path) -> Result<Landed, StoreError> {
    match result {
        Ok(()) => Ok(Landed::Yes),
        Err(BackendError::AlreadyExists { .. } | BackendError::Precondition { .. }) => Ok(Landed::Existed),
        Err(e) => Err(StoreError::backend("write", to, e)),
    }
}

/// A whole file; `None` inside if it is longer than `limit`, outside if there is none.
fn read_file(path: &std::path::Path, limit: usize) -> io::Result<Option<Option<Bytes>>> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some((bytes.len() <= limit).then(|| Bytes::from(bytes)))),
        Err(e) if matches!(e.kind(), NotFound | NotADirectory | IsADirectory) => Ok(None),
        Err(e) => Err(e),
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
