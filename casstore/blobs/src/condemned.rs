//! The second half of a clean-up: some names are condemned, and before any is deleted everybody who might need it has had their say.
//!
//! While a tombstone stands, writers that claim one of its names wait, so this half is quick: claims are read, references that were
//! written since the run began, and whether the object itself was renewed.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::candidates::Candidates;
use crate::claims::{Moment, Outcome as _};
use crate::clean::{MARGIN, Run, write_tombstone};
use crate::error::StoreError;
use crate::garbage::Kind;
use crate::marks::Mark;

/// Most names under one tombstone, which writers read: half a megabyte.
const MOST_CONDEMNED: usize = 16 * 1024;
/// Time that looking at the names of a tombstone and deleting them may take at the rate of the policy.
const BATCH_TIME: Duration = Duration::from_secs(60);
/// Names looked at and deleted at a time.
const AT_A_TIME: usize = 16;

impl Run<'_> {
    /// How many names are condemned together.
    pub(crate) fn batch(&self) -> usize {
        let within = |rate: u32| rate as usize * BATCH_TIME.as_secs() as usize;
        self.policy.rate.map_or(MOST_CONDEMNED, within).clamp(1, MOST_CONDEMNED)
    }

    /// Deletes objects of a kind if nobody claims, refers to or has renewed them.
    pub(crate) async fn condemn(&mut self, kind: &Kind, batch: Vec<ObjectMeta>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.policy.dry_run {
            batch.iter().for_each(|meta| self.count(Some(kind), meta));
            return Ok(());
        }
        let (tombstone, begun) = self.begin_deciding(&batch).await?;
        let decided = self.decide(kind, &batch, begun).await;
        self.end_deciding(tombstone, decided).await
    }

    /// Writes the tombstone.
    pub(crate) async fn begin_deciding(&self, batch: &[ObjectMeta]) -> Result<(Path, Moment), StoreError> {
        // From before the tombstone is there, so that this clean-up stops early rather than late.
        let begun = Moment::now();
        let keys = batch.iter().map(|meta| &meta.location);
        let life = self.policy.patience + MARGIN;
        Ok((write_tombstone(self.storage, life, keys).await?, begun))
    }

    /// Takes the tombstone away, unless a delete may still be under way.
    pub(crate) async fn end_deciding(
        &self,
        tombstone: Path,
        decided: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if decided.as_ref().is_err_and(|e| !e.is_certain()) {
            return decided;
        }
        self.storage.objects.delete(&tombstone).await?;
        decided
    }

    async fn decide(&mut self, kind: &Kind, batch: &[ObjectMeta], begun: Moment) -> Result<(), StoreError> {
        let mut candidates = Candidates::new(batch.iter().map(|meta| Mark::of(&meta.location)).collect());
        // In this order: a claim is released only after its publication, so whoever is missed as a claim is seen as a reference.
        self.strike_claimed(&mut candidates).await?;
        if let Err(why) = self.strike_referred(kind, Some(self.since()), &mut candidates).await? {
            self.cannot_judge(why);
            return Ok(());
        }
        let grace = self.policy.grace;
        self.delete_candidates(Some(kind), batch, &candidates, grace, begun).await
    }

    /// Deletes what is still a candidate and old.
    pub(crate) async fn delete_candidates(
        &mut self,
        kind: Option<&Kind>,
        batch: &[ObjectMeta],
        candidates: &Candidates,
        age: Duration,
        begun: Moment,
    ) -> Result<(), StoreError> {
        let mut deleted = {
            let this = &*self;
            let doomed = batch.iter().filter(|meta| candidates.has(&Mark::of(&meta.location)));
            let each: Vec<_> =
                doomed.map(|meta| async move { this.delete_old(kind, meta, age, begun).await }).collect();
            stream::iter(each).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await
        };
        // All have ended, so whatever is wrong with one, the others are counted.
        let mut failed = Ok(());
        let mut went = 0;
        for result in deleted.drain(..) {
            match result {
                Ok(Some(meta)) => {
                    went += 1;
                    self.count(kind, &meta);
                }
                Ok(None) => {}
                Err(e) => failed = Err(e),
            }
        }
        self.cleaned.spared += (batch.len() as u64).saturating_sub(went);
        failed
    }

    /// Whether a decision that began then has taken so long that nothing may be deleted any more.
    pub(crate) fn must_stop(&self, begun: Moment) -> bool {
        begun.elapsed() >= self.policy.patience / 2
    }

    /// Deletes one object unless it was renewed or time is up; says what it was.
    async fn delete_old(
        &self,
        kind: Option<&Kind>,
        meta: &ObjectMeta,
        age: Duration,
        begun: Moment,
    ) -> Result<Option<ObjectMeta>, StoreError> {
        self.pace.step().await;
        let Some(now) = self.storage.objects.head(&meta.location).await? else { return Ok(None) };
        if !self.is_old(&now, age) || self.must_stop(begun) {
            return Ok(None);
        }
        match kind {
            Some(kind) => kind.delete(self.storage, &meta.location).await?,
            None => self.delete_manifest(&meta.location).await?,
        }
        Ok(Some(now))
    }
}
