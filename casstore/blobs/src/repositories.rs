//! What each repository knows: its manifests and its tags.
//!
//! A manifest's bytes are a blob; the repository holds a link named by the digest, with the media type in it, and
//! a tag holds a digest. They are written in this order, so a power cut leaves at worst an unused blob.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use object_store::path::Path;

use crate::blobs::Blobs;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::names::{RepositoryName, Tag};
use crate::objects::Objects;

/// Longest link that is read back: a digest, or a media type, which RFC 6838 limits to 255 bytes.
const LONGEST_LINK: usize = 255;

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

/// Manifests and tags of all repositories.
#[derive(Clone, Debug)]
pub struct Repositories {
    objects: Objects,
    blobs: Blobs,
}

impl Repositories {
    pub(crate) fn new(objects: Objects, blobs: Blobs) -> Self {
        Self { objects, blobs }
    }

    /// Stores a manifest's exact bytes.
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<Digest, StoreError> {
        let digest = self.blobs.put_small(bytes).await?;
        let link = Bytes::from(media_type.as_str().to_owned());
        self.objects.write_small(&manifest_link(repository, &digest), link).await?;
        Ok(digest)
    }

    /// Finds a manifest by digest.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Manifest>, StoreError> {
        let link = manifest_link(repository, digest);
        let Some(text) = self.read_link(&link).await? else { return Ok(None) };
        let why = "it is no media type";
        let media_type = text.parse().map_err(|_| StoreError::Damaged { path: link.to_string(), why })?;
        Ok(Some(Manifest { digest: *digest, media_type }))
    }

    /// Whether the repository holds any manifest, which is what makes it exist.
    pub async fn exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        let manifests = format!("repositories/{repository}/_manifests");
        Ok(self.objects.list(Path::from(manifests)).try_next().await?.is_some())
    }

    /// Points a tag at a manifest, wherever it pointed before.
    pub async fn put_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        self.objects.write_small(&tag_link(repository, tag), Bytes::from(digest.to_string())).await
    }

    /// The digest that a tag names.
    pub async fn tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>, StoreError> {
        let link = tag_link(repository, tag);
        let Some(text) = self.read_link(&link).await? else { return Ok(None) };
        let why = "it is no digest";
        text.parse().map(Some).map_err(|_| StoreError::Damaged { path: link.to_string(), why })
    }

    /// The first `most` tags after `last`, in the specification's order: letters without regard to case. Memory
    /// is bounded by `most`, however many tags there are.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        let after = last.map(order);
        let mut page = BTreeMap::new();
        let mut all = self.objects.list(Path::from(format!("repositories/{repository}/_tags")));
        while let Some(meta) = all.try_next().await? {
            let Some(tag) = meta.location.filename() else { continue };
            let key = order(tag);
            if after.as_ref().is_none_or(|after| key > *after) {
                page.insert(key, tag.to_owned());
            }
            if page.len() > most {
                page.pop_last();
            }
        }
        Ok(page.into_values().collect())
    }

    async fn read_link(&self, path: &Path) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.objects.read_small(path, LONGEST_LINK).await? else { return Ok(None) };
        let why = "it is no text";
        let damaged = |_| StoreError::Damaged { path: path.to_string(), why };
        String::from_utf8(bytes.into()).map(Some).map_err(damaged)
    }
}

/// Case decides only between tags that are otherwise the same.
fn order(tag: &str) -> (String, String) {
    (tag.to_ascii_lowercase(), tag.to_owned())
}

fn manifest_link(repository: &RepositoryName, digest: &Digest) -> Path {
    Path::from(format!("repositories/{repository}/_manifests/sha256/{}", digest.hex()))
}

fn tag_link(repository: &RepositoryName, tag: &Tag) -> Path {
    Path::from(format!("repositories/{repository}/_tags/{tag}"))
}
