//! Clean-up while pushes go on: what nothing refers to is deleted, nothing else ever.
//!
//! [`Storage::clean`] is one run: abandoned sessions, then manifests without a tag if the [`Policy`] says so, then for each
//! kind of [`Kind`]: list what is older than the grace, strike what is claimed, strike what is referred to (all this takes as long as it
//! takes, and nobody is kept waiting), and hand the rest to `condemned.rs`, which decides under a tombstone. Each kind's garbage
//! makes the next kind's, so one run takes all.
//!
//! The protocol, and why it holds, is in docs/registry-cleanup.md. Memory is bounded whatever there is, see [`Policy::most_candidates`].

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::candidates::Candidates;
use crate::claims::{self, Moment};
use crate::error::StoreError;
use crate::garbage::{self, Kind, Reference};
use crate::keys::{self, DataId};
use crate::marks::{Mark, MarkList};
use crate::pace::Pace;
use crate::storage::Storage;

/// Candidates held at a time: 17 MiB.
const MOST_CANDIDATES: usize = 1 << 20;
/// Parts that the names are gone through in at most: enough for tens of thousands of millions of objects.
const MOST_PARTS: u32 = 1 << 16;
/// What is written in this time before a run began counts as written since: clocks of a store's machines differ.
/// So much longer than its owner works a tombstone counts, too.
pub(crate) const MARGIN: Duration = Duration::from_secs(15 * 60);
/// Things that a report names.
pub(crate) const MOST_NAMED: usize = 1000;

/// What may be deleted, and how.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What is younger is left alone: the time that clients have between a blob and its manifest.
    pub grace: Duration,
    /// Manifests that no tag, index or subject keeps go after this time, if any.
    pub untagged: Option<Duration>,
    /// Upload sessions that nobody has written to for this time go.
    pub sessions: Duration,
    /// Operations on the store a second; as many as it takes if not said.
    pub rate: Option<u32>,
    /// How long others wait for a clean-up that died while it decided. It stops at half of it.
    pub patience: Duration,
    /// Only say what would go.
    pub dry_run: bool,
    /// Candidates held at a time, at 17 bytes of memory each. If there are more, the names are gone through in parts.
    pub most_candidates: usize,
}

impl Default for Policy {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            grace: day,
            untagged: None,
            sessions: day,
            rate: None,
            // A delete that is sent at half of it is carried out or refused by its end, with all attempts.
            patience: Duration::from_secs(10 * 60),
            dry_run: false,
            most_candidates: MOST_CANDIDATES,
        }
    }
}

/// What a run did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Upload sessions. Not counted by a dry run.
    pub sessions: usize,
    /// Manifests by [`Policy::untagged`].
    pub manifests: u64,
    /// Links of repositories to blobs, and entries of manifests below their subject.
    pub links: u64,
    /// Blobs.
    pub blobs: u64,
    /// Data objects.
    pub data: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Piece lists.
    pub pieces: u64,
    /// Claims and tombstones of the dead. Not counted by a dry run.
    pub leftovers: u64,
    /// Objects that were condemned and kept: somebody claimed or renewed them, or time was up.
    pub spared: u64,
    /// Keys that went, the first thousand.
    pub gone: Vec<String>,
    /// Why some things could not be judged and were kept; the first thousand.
    pub unjudged: Vec<String>,
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) policy: Policy,
    pub(crate) pace: Pace,
    /// When it began, by the store's time, and here.
    began: SystemTime,
    begun: Moment,
    pub(crate) cleaned: Cleaned,
    /// Directories of a local storage out of which something went that is not flushed yet.
    pub(crate) unsettled: BTreeSet<Path>,
}

impl Storage {
    /// Deletes what nothing refers to, while others push and delete, on this server and others.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed. What was deleted until then is gone rightly; the next run goes on.
    pub async fn clean(&self, policy: &Policy) -> Result<Cleaned, StoreError> {
        let mut cleaned = Cleaned::default();
        if !policy.dry_run {
            cleaned.sessions = self.uploads.sweep(policy.sessions).await?;
        }
        let mut run = Run::begin(self, policy).await?;
        run.cleaned = cleaned;
        if let Some(age) = policy.untagged {
            run.clean_untagged(age).await?;
        }
        let mut repositories = garbage::repositories(self);
        while let Some(name) = repositories.try_next().await? {
            run.clean_kind(&Kind::OfRepository(name)).await?;
        }
        for kind in [Kind::Recipes, Kind::Pieces, Kind::Data] {
            run.clean_kind(&kind).await?;
        }
        run.clear_leftovers().await?;
        Ok(run.cleaned)
    }
}

/// The time that the store gives to what is written now, and the same moment here.
async fn now(storage: &Storage, life: Duration) -> Result<(SystemTime, Moment), StoreError> {
    let id = DataId::random().map_err(StoreError::staging("name a run"))?;
    let key = keys::condemned(&id);
    // Left alone for so long by clean-ups that take away what the dead have left.
    let nothing = MarkList::new(life, Vec::new());
    storage.objects.write_small(&key, nothing.emit()).await?;
    let begun = Moment::now();
    let meta = storage.objects.head(&key).await?;
    storage.objects.delete(&key).await?;
    let why = "it was written and is gone";
    let meta = meta.ok_or_else(|| StoreError::Damaged { path: key.to_string(), why })?;
    Ok((meta.last_modified.into(), begun))
}

impl<'a> Run<'a> {
    pub(crate) async fn begin(storage: &'a Storage, policy: &Policy) -> Result<Self, StoreError> {
        let (began, begun) = now(storage, policy.patience).await?;
        let mut policy = policy.clone();
        policy.patience = policy.patience.min(claims::LONGEST_DECISION / 2);
        let pace = Pace::new(policy.rate);
        let (cleaned, unsettled) = (Cleaned::default(), BTreeSet::new());
        Ok(Self { storage, policy, pace, began, begun, cleaned, unsettled })
    }
}

impl Run<'_> {
    async fn clean_kind(&mut self, kind: &Kind) -> Result<(), StoreError> {
        let (mut parts, mut part) = (1, 0);
        while part < parts {
            let Some(mut candidates) = self.candidates(kind, part, parts).await? else {
                (parts, part) = (parts * 2, part * 2);
                continue;
            };
            part += 1;
            if candidates.is_empty() {
                continue;
            }
            self.strike_claimed(&mut candidates).await?;
            if let Err(why) = self.strike_referred(kind, None, &mut candidates).await? {
                self.cannot_judge(why);
                return Ok(());
            }
            if !candidates.is_empty() {
                self.delete(kind, &candidates).await?;
            }
        }
        self.settle().await
    }

    /// Makes what went durable, before what it needed goes: after a power cut there must be no link whose blob is gone.
    pub(crate) async fn settle(&mut self) -> Result<(), StoreError> {
        self.storage.objects.flush_directories(std::mem::take(&mut self.unsettled)).await
    }

    /// All old objects of a part of the names; `None` if they are too many.
    async fn candidates(&self, kind: &Kind, part: u32, parts: u32) -> Result<Option<Candidates>, StoreError> {
        let mut marks = Vec::new();
        let mut objects = kind.objects(self.storage);
        while let Some(meta) = objects.try_next().await? {
            let mark = Mark::of(&meta.location);
            if !self.is_old(&meta, self.policy.grace) || (u32::from(mark.rank()) * parts) >> 16 != part {
                continue;
            }
            if marks.len() >= self.policy.most_candidates.max(1) && parts < MOST_PARTS {
                return Ok(None);
            }
            marks.push(mark);
        }
        Ok(Some(Candidates::new(marks)))
    }

    /// Deletes what is still a candidate, some of it at a time.
    async fn delete(&mut self, kind: &Kind, candidates: &Candidates) -> Result<(), StoreError> {
        let most = self.batch();
        let mut batch = Vec::new();
        let mut objects = kind.objects(self.storage);
        while let Some(meta) = objects.try_next().await? {
            if !candidates.has(&Mark::of(&meta.location)) || !self.is_old(&meta, self.policy.grace) {
                continue;
            }
            batch.push(meta);
            if batch.len() >= most {
                self.condemn(kind, std::mem::take(&mut batch)).await?;
            }
        }
        self.condemn(kind, batch).await
    }

    /// Whether an object was older than `age` when the run began.
    pub(crate) fn is_old(&self, meta: &ObjectMeta, age: Duration) -> bool {
        let since = self.began.duration_since(meta.last_modified.into());
        since.is_ok_and(|since| since >= age)
    }

    /// Strikes what writers claim, on any server.
    pub(crate) async fn strike_claimed(&self, candidates: &mut Candidates) -> Result<(), StoreError> {
        let mut all = self.storage.objects.list(keys::all_claims());
        while let Some(meta) = all.try_next().await? {
            self.pace.step().await;
            let Some(claim) = self.read_list(&meta).await? else { continue };
            claim.marks().iter().for_each(|mark| _ = candidates.strike(mark));
        }
        Ok(())
    }

    /// Strikes what is referred to, by all or by what was written since the run began. The inner error is why nothing of this
    /// kind can be judged.
    pub(crate) async fn strike_referred(
        &self,
        kind: &Kind,
        since: Option<SystemTime>,
        candidates: &mut Candidates,
    ) -> Result<Result<(), String>, StoreError> {
        let mut references = kind.references(self.storage, since, &self.pace);
        while let Some(reference) = references.try_next().await? {
            match reference {
                Reference::To(marks) => marks.iter().for_each(|mark| _ = candidates.strike(mark)),
                Reference::Unreadable(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(()))
    }

    /// From when on something counts as written since the run began.
    pub(crate) fn since(&self) -> SystemTime {
        self.began.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    pub(crate) fn cannot_judge(&mut self, why: String) {
        if self.cleaned.unjudged.len() < MOST_NAMED {
            self.cleaned.unjudged.push(why);
        }
    }

    /// A claim or tombstone that counts; none if it is gone or has outlived its owner. One that cannot be read, as a power cut
    /// leaves it, may name anything, so nothing can be done until its owner must be dead.
    async fn read_list(&self, meta: &ObjectMeta) -> Result<Option<MarkList>, StoreError> {
        let age = (self.began + self.begun.passed()).duration_since(meta.last_modified.into());
        let age = age.unwrap_or_default();
        match claims::read_list(&self.storage.objects, &meta.location).await {
            Err(StoreError::Damaged { .. }) if age > claims::LIFE => Ok(None),
            list => Ok(list?.filter(|list| age <= list.life)),
        }
    }

    /// Removes claims and tombstones of the dead.
    async fn clear_leftovers(&mut self) -> Result<(), StoreError> {
        if self.policy.dry_run {
            return Ok(());
        }
        for prefix in [keys::all_claims(), keys::all_condemned()] {
            let mut all = self.storage.objects.list(prefix);
            while let Some(meta) = all.try_next().await? {
                self.pace.step().await;
                if self.read_list(&meta).await?.is_none() {
                    self.storage.objects.delete(&meta.location).await?;
                    self.cleaned.leftovers += 1;
                }
            }
        }
        Ok(())
    }

    /// Counts what went.
    pub(crate) fn count(&mut self, kind: Option<&Kind>, meta: &ObjectMeta) {
        let cleaned = &mut self.cleaned;
        let (folder, _) = meta.location.as_ref().rsplit_once('/').unwrap_or_default();
        if !self.policy.dry_run {
            self.unsettled.insert(Path::from(folder));
        }
        match kind {
            None => cleaned.manifests += 1,
            Some(Kind::OfRepository(_)) => cleaned.links += 1,
            Some(Kind::Recipes) => cleaned.blobs += 1,
            Some(Kind::Pieces) => cleaned.pieces += 1,
            Some(Kind::Data) => {
                cleaned.data += 1;
                cleaned.bytes += meta.size;
            }
        }
        if cleaned.gone.len() < MOST_NAMED {
            cleaned.gone.push(meta.location.to_string());
        }
    }
}

/// Writes a tombstone over `keys`; gives its own key. It is flushed: a power cut must not leave one that cannot be read, which might name
/// anything.
pub(crate) async fn write_tombstone(
    storage: &Storage,
    life: Duration,
    keys: impl Iterator<Item = &Path>,
) -> Result<Path, StoreError> {
    let id = DataId::random().map_err(StoreError::staging("name a tombstone"))?;
    let own = keys::condemned(&id);
    let list: Bytes = MarkList::new(life, keys.map(Mark::of).collect()).emit();
    storage.objects.write_small(&own, list).await?;
    Ok(own)
}
