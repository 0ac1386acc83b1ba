//! Which ranges of which blobs may be copied into an upload: the compose extension's side of the storage.
//!
//! A [`Composer`] answers for one repository: a blob that it does not hold may not be copied, whoever else holds it. What is
//! copied is read and hashed by [`Upload::copy`] as if it had been sent, so a digest is never taken on trust. Bounds keep a
//! few instructions from making a blob that costs nothing to send and to store, and much to hash and to fetch.

use std::collections::HashMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::instructions::BlobRange;
use crate::keys::DataId;
use crate::names::RepositoryName;
use crate::recipe::{Extent, MOST_EXTENTS, Recipe};
use crate::storage::Storage;
use crate::upload::Upload;

/// Blobs that one request may copy from, each of which is looked up.
const MOST_SOURCES: usize = 256;
/// How often the stored bytes that a blob consists of may be in it.
const MOST_REPETITION: u64 = 16;
/// Below this size a blob may repeat what it likes.
const SMALL: u64 = 1024 * 1024;

/// A range may not be copied.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The repository does not hold the blob.
    #[error("this repository holds no blob {0}; send its bytes")]
    Unknown(Digest),
    /// The blob ends before the range does.
    #[error("{digest} has {size} bytes and ends before the range that is to be copied")]
    Range {
        /// The blob.
        digest: Digest,
        /// Its bytes.
        size: u64,
    },
    /// Too many sources, parts, or repetitions.
    #[error("the blob has more parts or repetitions than are taken; send it whole")]
    TooMuch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks up the blobs that one request copies from.
#[derive(Debug)]
pub struct Composer {
    storage: Storage,
    repository: RepositoryName,
    sources: HashMap<Digest, Arc<Recipe>>,
}

impl Storage {
    /// What copies blobs of a repository into its uploads.
    pub fn composer(&self, repository: &RepositoryName) -> Composer {
        Composer { storage: self.clone(), repository: repository.clone(), sources: HashMap::new() }
    }
}

impl Composer {
    /// Whether a range may be copied to the end of `upload`; the recipe to copy it by.
    ///
    /// # Errors
    ///
    /// [`ComposeError`], before anything is changed.
    pub async fn admit(&mut self, upload: &Upload, range: &BlobRange) -> Result<Arc<Recipe>, ComposeError> {
        let recipe = self.source(&range.digest).await?;
        let (digest, size) = (range.digest, recipe.size());
        let end = range.offset.checked_add(range.length).filter(|end| *end <= size);
        let end = end.ok_or(ComposeError::Range { digest, size })?;
        let copied = recipe.extents_of(range.offset..end);
        if upload.extent_count() + copied.len() > MOST_EXTENTS {
            return Err(ComposeError::TooMuch);
        }
        Ok(recipe)
    }

    /// Whether what was composed may stay as it is.
    ///
    /// # Errors
    ///
    /// [`ComposeError::TooMuch`] if it consists of the same bytes again and again.
    pub fn accept(&self, upload: &Upload) -> Result<(), ComposeError> {
        let size = upload.received();
        let may = size <= SMALL || size / MOST_REPETITION <= reach(&upload.extents());
        if may { Ok(()) } else { Err(ComposeError::TooMuch) }
    }

    async fn source(&mut self, digest: &Digest) -> Result<Arc<Recipe>, ComposeError> {
        if let Some(recipe) = self.sources.get(digest) {
            return Ok(Arc::clone(recipe));
        }
        if self.sources.len() >= MOST_SOURCES {
            return Err(ComposeError::TooMuch);
        }
        let unknown = || ComposeError::Unknown(*digest);
        if !self.storage.repositories.linked(&self.repository, digest).await? {
            return Err(unknown());
        }
        let recipe = self.storage.blobs.recipe(digest).await?.ok_or_else(unknown)?;
        self.sources.insert(*digest, Arc::clone(&recipe));
        Ok(recipe)
    }
}

/// Bytes of storage between the first and the last that extents use, object by object: at least as many as they use.
fn reach(extents: &[Extent]) -> u64 {
    let mut spans: HashMap<DataId, (u64, u64)> = HashMap::new();
    for extent in extents {
        let end = extent.offset + extent.length;
        let span = spans.entry(extent.data).or_insert((extent.offset, end));
        *span = (span.0.min(extent.offset), span.1.max(end));
    }
    spans.values().map(|(start, end)| end - start).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_bytes_count_once() {
        let extent =
            |data: u8, offset, length| Extent { data: DataId::from_bytes([data; 16]), offset, length };
        assert_eq!(reach(&[]), 0);
        assert_eq!(reach(&[extent(1, 0, 10), extent(1, 0, 10), extent(1, 5, 10)]), 15);
        assert_eq!(reach(&[extent(1, 0, 10), extent(2, 0, 10), extent(1, 90, 10)]), 110);
    }
}
