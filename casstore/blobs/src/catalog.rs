//! Catalog files: plain files under their own names, so that the directory can be served by any web server.
//!
//! Nothing is stored beside a file, so its digest, which is its strong ETag, is computed when it is first asked
//! for and remembered for as long as the store says that the file is the same one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as BackendError, GetOptions};

use crate::catalog_path::{CatalogName, CatalogPath};
use crate::content::Content;
use crate::digest::{Algorithm, Digest};
use crate::error::StoreError;
use crate::hasher::Hasher;
use crate::objects::{IfExists, Landed, Objects};
use crate::upload::Upload;

/// Most digests remembered, at about 300 bytes each; when full, all are forgotten.
const MOST_REMEMBERED: usize = 16 * 1024;
/// Longest file that is replaced by [`CatalogFiles::exchange`]; a timestamp has less than 1 KiB.
pub const LARGEST_EXCHANGE: usize = 1024 * 1024;
/// How often to start again when a file is replaced while it is being hashed.
const ATTEMPTS: usize = 4;

/// A catalog file as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogFile {
    /// The digest of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    place: Path,
    version: String,
}

/// Whether a file with other content may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Whatever stands there.
    Allowed,
    /// Only a missing file is written.
    Refused,
}

/// What became of a file that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was not there before.
    Created,
    /// It was there with other content.
    Replaced,
    /// It was there with this content.
    Unchanged,
    /// It is there with other content, and stays.
    Refused,
    /// What stands there is not what was to be replaced, and stays; or nothing stands there.
    Stale,
}

/// The catalog files of all catalogs.
#[derive(Clone, Debug)]
pub struct CatalogFiles {
    objects: Objects,
    digests: Arc<Mutex<HashMap<(Path, String), Digest>>>,
}

impl CatalogFiles {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, digests: Arc::default() }
    }

    /// Finds a file and its digest.
    pub async fn find(
        &self,
        name: &CatalogName,
        path: &CatalogPath,
    ) -> Result<Option<CatalogFile>, StoreError> {
        let place = place(name, path)?;
        for _ in 0..ATTEMPTS {
            let Some(meta) = self.objects.head(&place).await? else { return Ok(None) };
            let version = meta.e_tag.unwrap_or_else(|| format!("{}-{}", meta.last_modified, meta.size));
            let file =
                CatalogFile { digest: Digest::of(b""), size: meta.size, place: place.clone(), version };
            let key = (place.clone(), file.version.clone());
            let known = self.digests.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
            if let Some(digest) = known {
                return Ok(Some(CatalogFile { digest, ..file }));
            }
            let Some(content) = self.open(&file, 0..file.size).await? else { continue };
            let digest = hash(content).await?;
            self.remember(key, digest);
            return Ok(Some(CatalogFile { digest, ..file }));
        }
        Err(StoreError::Damaged { path: place.to_string(), why: "it changes faster than it can be read" })
    }

    /// Opens the bytes `range` of just this version of a file; `None` if it has been replaced.
    pub async fn open(&self, file: &CatalogFile, range: Range<u64>) -> Result<Option<Content>, StoreError> {
        let options = GetOptions::new()
            .with_range((!range.is_empty()).then_some(range))
            .with_if_match(Some(file.version.as_str()));
        self.objects.open(&file.place, options).await
    }

    /// Makes an upload a catalog file, in one step.
    pub async fn put(
        &self,
        name: &CatalogName,
        path: &CatalogPath,
        upload: Upload,
        replace: Replace,
    ) -> Result<Written, StoreError> {
        let place = place(name, path)?;
        let sealed = upload.seal();
        let before = self.find(name, path).await?;
        if before.as_ref().is_some_and(|file| file.digest == sealed.digest()) {
            sealed.spend().await;
            return Ok(Written::Unchanged);
        }
        let if_exists = match replace {
            Replace::Allowed => IfExists::Replace,
            Replace::Refused => IfExists::Keep,
        };
        let digest = sealed.digest();
        match (self.objects.land(sealed, &place, if_exists).await?, before) {
            (Landed::Yes, None) => Ok(Written::Created),
            (Landed::Yes, Some(_)) => Ok(Written::Replaced),
            // Someone else may have put the very same file at the same moment.
            (Landed::Existed, _) => match self.find(name, path).await? {
                Some(file) if file.digest == digest => Ok(Written::Unchanged),
                Some(_) => Ok(Written::Refused),
                None => Err(StoreError::Obstructed { path: place.to_string() }),
            },
        }
    }

    /// Replaces a file that still has the content `expected`, so that nobody's change in between is lost: also not that of another
    /// server over the same bucket. For small files: the old and the new content are held in memory.
    pub async fn exchange(
        &self,
        name: &CatalogName,
        path: &CatalogPath,
        expected: &Digest,
        after: Bytes,
    ) -> Result<Written, StoreError> {
        let place = place(name, path)?;
        let Some(before) = self.objects.read_small(&place, LARGEST_EXCHANGE).await? else {
            return Ok(Written::Stale);
        };
        // First, because a publisher whose answer was lost asks again, with a condition that held before.
        if before == after {
            return Ok(Written::Unchanged);
        }
        let same = expected.algorithm().digest(&before) == *expected;
        if same && self.objects.exchange_small(&place, &before, after).await? {
            return Ok(Written::Replaced);
        }
        Ok(Written::Stale)
    }

    /// The first `most` catalogs after `last`, sorted.
    pub async fn names(&self, last: Option<&str>, most: usize) -> Result<Vec<CatalogName>, StoreError> {
        let all = self.objects.children(&Path::from("catalog")).await?;
        // What has another name was not put there by this store.
        let names = all
            .iter()
            .filter(|name| last.is_none_or(|last| name.as_str() > last))
            .filter_map(|name| name.parse().ok());
        Ok(names.take(most).collect())
    }

    fn remember(&self, key: (Path, String), digest: Digest) {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if digests.len() >= MOST_REMEMBERED {
            digests.clear();
        }
        digests.insert(key, digest);
    }
}

async fn hash(mut content: Content) -> Result<Digest, StoreError> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while let Some(piece) = content.stream.try_next().await? {
        hasher.update(&piece);
    }
    Ok(hasher.finish())
}

/// The characters of a catalog path need no escape in a file name, so the path is taken as it is.
fn place(name: &CatalogName, path: &CatalogPath) -> Result<Path, StoreError> {
    let text = format!("catalog/{name}/{path}");
    Path::parse(&text).map_err(|e| {
        let source = BackendError::InvalidPath { source: e };
        StoreError::Backend { doing: "name", path: text, source }
    })
}
