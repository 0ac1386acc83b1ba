//! Publishing under a claim: a blob and its link, a link alone, a manifest with all that lists it.
//!
//! What is written here stays whole whatever clean-ups do meanwhile, on any server (docs/registry-cleanup.md). Each publication
//! runs to its end even if the request that asked for it is given up.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::blobs::Stat;
use crate::claims::{Claim, Names};
use crate::digest::Digest;
use crate::error::{CommitError, StoreError};
use crate::keys::{self, DataId};
use crate::links;
use crate::manifests::MediaType;
use crate::names::{RepositoryName, Tag};
use crate::ordered::Part;
use crate::recipe::Extent;
use crate::storage::Storage;
use crate::tags::Expected;
use crate::upload::Upload;

/// A manifest on its way into a repository.
#[derive(Clone, Debug)]
pub struct ManifestPush {
    /// The repository.
    pub repository: RepositoryName,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// What it is served as.
    pub media_type: MediaType,
    /// Its exact bytes.
    pub bytes: Bytes,
    /// The data object that they become if they are too many for a recipe, which the claim names.
    pub data: DataId,
    /// Its subject, and its descriptor as it will be listed there.
    pub about: Option<(Digest, Bytes)>,
    /// Tags that will name it, if they are what is expected.
    pub tags: Vec<(Tag, Expected)>,
}

impl Storage {
    /// Makes an upload the blob `expected` and lets a repository hold it.
    ///
    /// # Errors
    ///
    /// [`CommitError::Digest`] if it is another blob, [`StoreError::Condemned`] if a clean-up stands in the way for too long.
    pub async fn publish_blob(
        &self,
        repository: &RepositoryName,
        upload: Upload,
        expected: &Digest,
    ) -> Result<Stat, CommitError> {
        let mut names = Names::new().blob(expected).link(repository, expected);
        for extent in upload.extents() {
            names = names.data(&extent.data);
        }
        let claim = self.claims.claim(names).await?;
        let own = upload.data();
        self.check_data(upload.extents().iter().filter(|extent| extent.data != own)).await?;
        let (this, repository, expected) = (self.clone(), repository.clone(), *expected);
        claim
            .publish(async move {
                let link = links::link(&repository, &expected);
                this.blobs.commit_with(upload, &expected, vec![link]).await
            })
            .await
    }

    /// Lets a repository hold a blob that is there; says whether it is. Whether it may is the caller's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Condemned`] if a clean-up stands in the way for too long.
    pub async fn publish_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let claim = self.claims.claim(Names::new().blob(digest).link(repository, digest)).await?;
        if self.blobs.confirm(digest).await?.is_none() {
            return Ok(false);
        }
        let (repositories, repository, digest) = (self.repositories.clone(), repository.clone(), *digest);
        claim.publish(async move { repositories.link(&repository, &digest).await.map(|()| true) }).await
    }

    /// Writes a manifest, its entry below its subject, and its tags, under a claim that names it and what it is made of. The caller has
    /// looked, since it had the claim, whether all that is there. Gives the first tag that was not what was expected.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed.
    pub async fn publish_manifest(
        &self,
        claim: Claim,
        push: ManifestPush,
    ) -> Result<Option<Tag>, StoreError> {
        let repositories = self.repositories.clone();
        claim
            .publish(async move {
                let ManifestPush { repository, digest, media_type, bytes, data, about, tags } = push;
                let mut after = Vec::new();
                if let Some((subject, descriptor)) = about {
                    let to = keys::referrer(&repository, &subject, &digest);
                    after.push(Part::Bytes { to, bytes: descriptor });
                }
                let (at_once, tags): (Vec<_>, Vec<_>) =
                    tags.into_iter().partition(|(_, expected)| *expected == Expected::Anything);
                let text = Bytes::from(digest.to_string());
                after.extend(
                    at_once.into_iter().map(|(tag, _)| Part::Bytes {
                        to: keys::tag(&repository, &tag),
                        bytes: text.clone(),
                    }),
                );
                repositories
                    .put_manifest_with(&repository, &media_type, (&digest, bytes), data, after)
                    .await?;
                for (tag, expected) in tags {
                    if !repositories.put_tag(&repository, &tag, &digest, expected).await? {
                        return Ok(Some(tag));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Sees that data objects which a recipe will refer to are there, as far as it refers to them.
    pub(crate) async fn check_data(&self, extents: impl Iterator<Item = &Extent>) -> Result<(), StoreError> {
        let mut ends: BTreeMap<DataId, u64> = BTreeMap::new();
        for extent in extents {
            let end = ends.entry(extent.data).or_default();
            *end = (*end).max(extent.offset.saturating_add(extent.length));
        }
        for (data, end) in ends {
            if self.blobs.data().size(&data).await?.is_none_or(|size| size < end) {
                // A better recipe has taken the place of the one that was copied from, and the clean-up its data.
                return Err(StoreError::SourceGone);
            }
        }
        Ok(())
    }
}
