//! Manifests that no tag, index or subject keeps, for operators who want them gone after a time. Off by default.
//!
//! A manifest of a repository is kept if a tag names it, if it is young, if a writer claims it, if a manifest that is kept names its
//! digest (an index its manifests, a signature its subject), or if its subject is kept. What is left is deleted as `condemned.rs` does, and
//! judged a second time, in full, while its tombstone stands.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::candidates::Candidates;
use crate::claims::Moment;
use crate::clean::Run;
use crate::error::StoreError;
use crate::garbage::{read_manifest, repositories};
use crate::keys;
use crate::marks::Mark;
use crate::named;
use crate::names::RepositoryName;

/// Manifests of one repository that can be judged, at some 40 bytes of memory each. A repository with more is left alone.
const MOST_MANIFESTS: usize = 1 << 20;

impl Run<'_> {
    /// Deletes what no tag, index or subject has kept for `age`.
    pub(crate) async fn clean_untagged(&mut self, age: Duration) -> Result<(), StoreError> {
        let age = age.max(self.policy.grace);
        let mut all = repositories(self.storage);
        while let Some(name) = all.try_next().await? {
            let old = self.old_manifests(&name, age).await?;
            let Some(old) = old else {
                self.cannot_judge(format!("{name} has more manifests than are judged"));
                continue;
            };
            let mut candidates = Candidates::new(old.iter().map(|meta| Mark::of(&meta.location)).collect());
            if !self.judge(&name, &mut candidates, None).await? {
                continue;
            }
            let garbage: Vec<_> =
                old.into_iter().filter(|meta| candidates.has(&Mark::of(&meta.location))).collect();
            // What an index of a later batch names is kept this time, and goes in the next run.
            for batch in garbage.chunks(self.batch()) {
                self.condemn_manifests(&name, batch, age).await?;
            }
        }
        self.settle().await
    }

    async fn old_manifests(
        &self,
        name: &RepositoryName,
        age: Duration,
    ) -> Result<Option<Vec<ObjectMeta>>, StoreError> {
        let mut old = Vec::new();
        let mut all = self.storage.objects.list(keys::manifests(name));
        let mut seen = 0;
        while let Some(meta) = all.try_next().await? {
            seen += 1;
            if seen > MOST_MANIFESTS {
                return Ok(None);
            }
            if keys::digest_of(&meta.location).is_some() && self.is_old(&meta, age) {
                old.push(meta);
            }
        }
        Ok(Some(old))
    }

    /// Strikes what is kept. Says whether that could be found out. `deciding`: since when a tombstone stands, while which writers wait: then
    /// it is done as fast as it can be, and given up when time is up.
    async fn judge(
        &mut self,
        name: &RepositoryName,
        candidates: &mut Candidates,
        deciding: Option<Moment>,
    ) -> Result<bool, StoreError> {
        let late = |run: &Self| deciding.is_some_and(|begun| run.must_stop(begun));
        let too_late = || format!("{name} has more manifests than can be judged again in time");
        self.strike_claimed(candidates).await?;
        let mut tags = self.storage.objects.list(keys::tags(name));
        while let Some(meta) = tags.try_next().await? {
            let tag = meta.location.filename().and_then(|tag| tag.parse().ok());
            let Some(tag) = tag else { continue };
            if deciding.is_none() {
                self.pace.step().await;
            }
            match self.storage.repositories.tag(name, &tag).await {
                Ok(Some(digest)) => _ = candidates.strike(&Mark::of(&keys::manifest(name, &digest))),
                Ok(None) => {}
                // It may have named any of them.
                Err(e @ StoreError::Damaged { .. }) => {
                    self.cannot_judge(format!("tag {tag} of {name}: {e}"));
                    return Ok(false);
                }
                Err(e) => return Err(e),
            }
            if late(self) {
                self.cannot_judge(too_late());
                return Ok(false);
            }
        }
        // Whoever is no candidate is kept, and keeps others, who keep others.
        let mut read = HashSet::new();
        while !candidates.is_empty() {
            let mut struck = self.strike_referrers(name, candidates).await?;
            let mut all = self.storage.objects.list(keys::manifests(name));
            while let Some(meta) = all.try_next().await? {
                let mark = Mark::of(&meta.location);
                if candidates.has(&mark) || read.len() >= MOST_MANIFESTS || !read.insert(mark) {
                    continue;
                }
                if deciding.is_none() {
                    self.pace.step().await;
                }
                if late(self) {
                    self.cannot_judge(too_late());
                    return Ok(false);
                }
                match read_manifest(self.storage, name, &meta.location).await? {
                    Ok(bytes) => named::digests(&bytes, |_, digest| {
                        struck |= candidates.strike(&Mark::of(&keys::manifest(name, &digest)));
                    }),
                    Err(why) => {
                        self.cannot_judge(why);
                        return Ok(false);
                    }
                }
            }
            if !struck {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Strikes manifests whose subject is kept; says whether there were any.
    async fn strike_referrers(
        &self,
        name: &RepositoryName,
        candidates: &mut Candidates,
    ) -> Result<bool, StoreError> {
        let mut struck = false;
        let mut entries = self.storage.objects.list(keys::all_referrers(name));
        while let Some(meta) = entries.try_next().await? {
            let mut segments = meta.location.as_ref().rsplit('/').map(keys::digest_of_segment);
            let (Some(Some(referrer)), Some(Some(subject))) = (segments.next(), segments.next()) else {
                continue;
            };
            let (referrer, subject) = (keys::manifest(name, &referrer), keys::manifest(name, &subject));
            let (referrer, subject_mark) = (Mark::of(&referrer), Mark::of(&subject));
            // A subject that is not here keeps nothing.
            let kept = candidates.has(&referrer) && !candidates.has(&subject_mark);
            if kept && self.storage.objects.head(&subject).await?.is_some() {
                struck |= candidates.strike(&referrer);
            }
        }
        Ok(struck)
    }

    async fn condemn_manifests(
        &mut self,
        name: &RepositoryName,
        batch: &[ObjectMeta],
        age: Duration,
    ) -> Result<(), StoreError> {
        if self.policy.dry_run {
            batch.iter().for_each(|meta| self.count(None, meta));
            return Ok(());
        }
        let (tombstone, begun) = self.begin_deciding(batch).await?;
        let mut candidates = Candidates::new(batch.iter().map(|meta| Mark::of(&meta.location)).collect());
        let decided = match self.judge(name, &mut candidates, Some(begun)).await {
            Ok(true) => self.delete_candidates(None, batch, &candidates, age, begun).await,
            Ok(false) => Ok(()),
            Err(e) => Err(e),
        };
        self.end_deciding(tombstone, decided).await
    }

    pub(crate) async fn delete_manifest(&self, key: &Path) -> Result<(), StoreError> {
        let name =
            key.as_ref().strip_prefix("repositories/").and_then(|rest| rest.split_once("/_manifests/"));
        match (name.and_then(|(name, _)| name.parse().ok()), keys::digest_of(key)) {
            (Some(name), Some(digest)) => self.storage.repositories.delete_manifest(&name, &digest).await,
            _ => Ok(()),
        }
    }
}
