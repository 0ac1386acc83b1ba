//! Tags of a repository: each a digest, changed in one step.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::keys;
use crate::names::{RepositoryName, Tag};
use crate::repositories::Repositories;

/// What a tag must be for it to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Anything,
    /// Not there.
    Nothing,
    /// This digest.
    Digest(Digest),
}

impl Repositories {
    /// Points a tag at a manifest, if the tag is still what is expected; says whether it did. Of several that expect the same,
    /// one wins.
    pub async fn put_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expected: Expected,
    ) -> Result<bool, StoreError> {
        let (place, text) = (keys::tag(repository, tag), Bytes::from(digest.to_string()));
        match expected {
            Expected::Anything => self.objects.write_small(&place, text).await.map(|()| true),
            Expected::Nothing => self.objects.create_small(&place, text).await,
            Expected::Digest(before) => {
                self.objects.exchange_small(&place, before.to_string().as_bytes(), text).await
            }
        }
    }

    /// The digest that a tag names.
    pub async fn tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>, StoreError> {
        let place = keys::tag(repository, tag);
        let Some(text) = self.read_link(&place).await? else { return Ok(None) };
        let damaged = |_| StoreError::Damaged { path: place.to_string(), why: "it is no digest" };
        text.parse().map(Some).map_err(damaged)
    }

    /// Removes a tag, if it is there.
    pub async fn delete_tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<(), StoreError> {
        self.objects.delete(&keys::tag(repository, tag)).await
    }

    /// The first `most` tags after `last`, in the order of their bytes: one of the specification's two, and the one in which
    /// buckets list. Memory is bounded by `most`, however many tags there are.
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut page = BTreeSet::new();
        let mut all = self.objects.list(keys::tags(repository));
        while let Some(meta) = all.try_next().await? {
            let Some(tag) = meta.location.filename() else { continue };
            if last.is_none_or(|last| tag > last) {
                page.insert(tag.to_owned());
            }
            if page.len() > most {
                page.pop_last();
            }
        }
        Ok(page.into_iter().collect())
    }
}
