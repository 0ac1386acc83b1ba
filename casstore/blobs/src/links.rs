//! Which blobs a repository holds: an empty link for each, so that rights on repositories are rights on content.
//!
//! A link is made after the blob's recipe, and does not keep the blob alive for ever: a clean-up removes what no manifest needs.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};

use crate::digest::Digest;
use crate::error::StoreError;
use crate::hot::{Found, Key};
use crate::keys;
use crate::names::RepositoryName;
use crate::ordered::Part;
use crate::repositories::Repositories;

/// A link as it is written.
pub(crate) fn link(repository: &RepositoryName, digest: &Digest) -> Part {
    Part::Bytes { to: keys::link(repository, digest), bytes: Bytes::new() }
}

impl Repositories {
    /// Lets a repository hold a blob. The caller has seen that the blob is there.
    pub async fn link(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), StoreError> {
        self.objects.write_in_order(vec![link(repository, digest)]).await
    }

    /// Whether a repository holds a blob. May answer from memory, a second late.
    pub async fn linked(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, StoreError> {
        match self.hot.get(&Key::Link(repository.clone(), *digest)) {
            Ok(_) => Ok(true),
            Err(_) => self.confirm_link(repository, digest).await,
        }
    }

    /// Whether a repository holds a blob, by the store itself, whatever is remembered.
    pub async fn confirm_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let key = Key::Link(repository.clone(), *digest);
        let permit = self.hot.permit(&key);
        // A link is empty, and reading nothing is what the store answers fastest.
        let found = self.objects.read_small(&keys::link(repository, digest), 0).await?.is_some();
        if found {
            self.hot.keep(key, Found::Link, permit);
        }
        Ok(found)
    }

    /// Takes a blob out of a repository, if it is there. The blob itself is left to the clean-up.
    pub async fn unlink(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), StoreError> {
        let deleted = self.objects.delete(&keys::link(repository, digest)).await;
        self.hot.evict(&Key::Link(repository.clone(), *digest));
        deleted
    }

    /// The digests of all blobs that a repository holds, in no order.
    pub fn links(&self, repository: &RepositoryName) -> BoxStream<'static, Result<Digest, StoreError>> {
        let all = self.objects.list(keys::links(repository));
        all.try_filter_map(async |meta| Ok(keys::digest_of(&meta.location))).boxed()
    }
}
