//! Content, named by its digest.
//!
//! A later issue composes a blob from ranges of others and keeps packs; both will be further ways to answer
//! [`Blobs::open`], so nothing outside this module knows where a blob's bytes lie.

use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::path::Path;

use crate::content::Content;
use crate::digest::Digest;
use crate::error::{CommitError, StoreError};
use crate::objects::{IfExists, Objects};
use crate::upload::Upload;

/// The blob store.
#[derive(Clone, Debug)]
pub struct Blobs {
    objects: Objects,
}

impl Blobs {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects }
    }

    /// The size of a blob in bytes, or `None` if there is no such blob.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.objects.head(&place(digest)).await?.map(|meta| meta.size))
    }

    /// Whether there is such a blob.
    pub async fn exists(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.size(digest).await?.is_some())
    }

    /// Opens the bytes `range` of a blob, which must lie within its size.
    pub async fn open(&self, digest: &Digest, range: Range<u64>) -> Result<Option<Content>, StoreError> {
        self.objects.open_range(&place(digest), range).await
    }

    /// Reads a whole blob of at most `limit` bytes.
    pub async fn read_small(&self, digest: &Digest, limit: usize) -> Result<Option<Bytes>, StoreError> {
        self.objects.read_small(&place(digest), limit).await
    }

    /// Makes an upload the blob `expected`, if that is what it is. Wrong content is dropped; after a failure of
    /// the store the upload is still there. A blob that exists is replaced by these verified bytes, so that
    /// pushing again repairs a damaged one.
    pub async fn commit(&self, upload: Upload, expected: &Digest) -> Result<u64, CommitError> {
        let sealed = upload.seal().await?;
        let (size, actual) = (sealed.len(), sealed.digest());
        if actual != *expected {
            sealed.spend().await;
            return Err(CommitError::Digest { expected: *expected, actual });
        }
        self.objects.land(sealed, &place(expected), IfExists::Replace).await?;
        Ok(size)
    }

    /// Stores bytes that are already in memory.
    pub async fn put_small(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        let digest = Digest::of(&bytes);
        self.objects.write_small(&place(&digest), bytes).await?;
        Ok(digest)
    }

    /// Deletes a blob, if there is one. Nothing is asked about who refers to it.
    pub async fn delete(&self, digest: &Digest) -> Result<(), StoreError> {
        self.objects.delete(&place(digest)).await
    }

    /// All blobs with their sizes, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<(Digest, u64), StoreError>> {
        let all = self.objects.list(Path::from_iter(["blobs", "sha256"]));
        all.filter_map(|meta| async move {
            match meta {
                // What is not named as a blob was not put there by this store.
                Ok(meta) => Digest::from_hex(meta.location.filename()?).ok().map(|d| Ok((d, meta.size))),
                Err(e) => Some(Err(e)),
            }
        })
        .boxed()
    }
}

fn place(digest: &Digest) -> Path {
    Path::from_iter(["blobs", "sha256", &digest.hex()])
}
