//! Referrers of a manifest: the descriptors of manifests whose `subject` it is, whether it is here or not.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::keys;
use crate::names::RepositoryName;
use crate::repositories::Repositories;

/// Longest descriptor: its annotations are those of the manifest, so it can be about as long.
const LONGEST_DESCRIPTOR: usize = 4 * 1024 * 1024;
/// Names read at a time; with a descriptor more, the memory of a listing besides its answer.
const NAMES: usize = 1024;

/// Some referrers of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrersPage {
    /// The digest of each, and its descriptor as it was given.
    pub found: Vec<(Digest, Bytes)>,
    /// Whether more follow.
    pub more: bool,
}

impl Repositories {
    /// Notes that the manifest `referrer` has the subject `subject`. `descriptor` is its descriptor as JSON, which is not looked at.
    pub async fn put_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
        descriptor: Bytes,
    ) -> Result<(), StoreError> {
        self.objects.write_small(&keys::referrer(repository, subject, referrer), descriptor).await
    }

    /// Forgets a referrer, if it is there.
    pub async fn delete_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<(), StoreError> {
        self.objects.delete(&keys::referrer(repository, subject, referrer)).await
    }

    /// The first `most` referrers of `subject` after `last` whose descriptor `wanted` takes, in the order of their digests; fewer if
    /// their descriptors would have more than `most_bytes` together, but never none for that.
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        last: Option<&Digest>,
        (most, most_bytes): (usize, usize),
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<ReferrersPage, StoreError> {
        let mut page = ReferrersPage { found: Vec::new(), more: false };
        let (mut after, mut bytes) = (last.copied(), 0);
        loop {
            let names = self.referrers_after(repository, subject, after).await?;
            let Some(end) = names.last() else { return Ok(page) };
            after = Some(*end);
            for referrer in &names {
                let place = keys::referrer(repository, subject, referrer);
                // One that goes away meanwhile is none.
                let Some(descriptor) = self.objects.read_small(&place, LONGEST_DESCRIPTOR).await? else {
                    continue;
                };
                if !wanted(&descriptor) {
                    continue;
                }
                bytes += descriptor.len();
                if page.found.len() >= most || (bytes > most_bytes && !page.found.is_empty()) {
                    page.more = true;
                    return Ok(page);
                }
                page.found.push((*referrer, descriptor));
            }
        }
    }

    async fn referrers_after(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        after: Option<Digest>,
    ) -> Result<Vec<Digest>, StoreError> {
        let mut page = BTreeSet::new();
        let mut all = self.objects.list(keys::referrers(repository, subject));
        while let Some(meta) = all.try_next().await? {
            let Some(digest) = meta.location.filename().and_then(keys::digest_of_segment) else { continue };
            if after.is_none_or(|after| digest > after) {
                page.insert(digest);
            }
            if page.len() > NAMES {
                page.pop_last();
            }
        }
        Ok(page.into_iter().collect())
    }
}
