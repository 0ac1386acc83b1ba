//! Manifests of a repository: a link named by the digest, with the media type in it. The bytes are a blob.
//!
//! Order of writing: the blob, then the link, so a power cut leaves at worst a blob that nobody needs.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};

use crate::digest::{Algorithm, Digest};
use crate::error::StoreError;
use crate::hot::{Found, Key};
use crate::keys::{self, DataId};
use crate::names::RepositoryName;
use crate::ordered::Part;
use crate::repositories::{LONGEST_LINK, Repositories};

/// The media type of a manifest, as the publisher gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(String);

impl FromStr for MediaType {
    type Err = &'static str;

    /// Takes `type/subtype` in the alphabet of RFC 6838, without parameters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        let part = |part: &str| !part.is_empty() && part.chars().all(allowed);
        match text.split_once('/') {
            Some((kind, sub)) if text.len() <= LONGEST_LINK && part(kind) && part(sub) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("a media type is written TYPE/SUBTYPE"),
        }
    }
}

impl MediaType {
    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A manifest that a repository holds. Its bytes are the blob of the same digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: MediaType,
}

impl Repositories {
    /// Stores a manifest's exact bytes, as the data object `data` if they are too many for a recipe.
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        media_type: &MediaType,
        bytes: Bytes,
        algorithm: Algorithm,
        data: DataId,
    ) -> Result<Digest, StoreError> {
        let digest = algorithm.digest(&bytes);
        self.put_manifest_with(repository, media_type, (&digest, bytes), data, Vec::new()).await?;
        Ok(digest)
    }

    /// The same for bytes whose digest is known, with more to be written after it.
    pub(crate) async fn put_manifest_with(
        &self,
        repository: &RepositoryName,
        media_type: &MediaType,
        (digest, bytes): (&Digest, Bytes),
        data: DataId,
        after: Vec<Part>,
    ) -> Result<(), StoreError> {
        let media_type = Bytes::from(media_type.as_str().to_owned());
        let mut parts = vec![Part::Bytes { to: keys::manifest(repository, digest), bytes: media_type }];
        parts.extend(after);
        let written = self.blobs.put_small_with(digest, bytes, data, parts).await;
        // The media type may be another than before.
        self.hot.evict(&Key::Manifest(repository.clone(), *digest));
        written
    }

    /// Finds a manifest by digest. May answer from memory, a second late.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Manifest>, StoreError> {
        match self.hot.get(&Key::Manifest(repository.clone(), *digest)) {
            Ok(Found::Manifest(media_type)) => Ok(Some(Manifest { digest: *digest, media_type })),
            _ => self.confirm_manifest(repository, digest).await,
        }
    }

    /// Finds a manifest in the store itself, whatever is remembered.
    pub async fn confirm_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Manifest>, StoreError> {
        let key = Key::Manifest(repository.clone(), *digest);
        let permit = self.hot.permit(&key);
        let place = keys::manifest(repository, digest);
        let Some(text) = self.read_link(&place).await? else { return Ok(None) };
        let damaged = |_| StoreError::Damaged { path: place.to_string(), why: "it is no media type" };
        let media_type: MediaType = text.parse().map_err(damaged)?;
        self.hot.keep(key, Found::Manifest(media_type.clone()), permit);
        Ok(Some(Manifest { digest: *digest, media_type }))
    }

    /// Removes a manifest from a repository, if it is there. Tags that name it and referrers of it are the caller's.
    pub async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let deleted = self.objects.delete(&keys::manifest(repository, digest)).await;
        self.hot.evict(&Key::Manifest(repository.clone(), *digest));
        deleted
    }

    /// The digests of all manifests of a repository, in no order.
    pub fn manifests(&self, repository: &RepositoryName) -> BoxStream<'static, Result<Digest, StoreError>> {
        let all = self.objects.list(keys::manifests(repository));
        all.try_filter_map(async |meta| Ok(keys::digest_of(&meta.location))).boxed()
    }

    /// Whether a repository holds any manifest, which is what makes it exist.
    pub async fn exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        Ok(self.manifests(repository).try_next().await?.is_some())
    }
}
