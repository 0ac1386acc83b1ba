//! Claims: what a writer relies on, written down where clean-ups of all servers see it, until it has published.
//!
//! ```text
//! let claim = storage.claims.claim(Names::new().link(&repository, &digest)).await?;   // claims, looks, waits
//! // here the writer looks whether all that it needs is there; dropping the claim gives it up
//! claim.publish(async move { … }).await?;                                             // writes, then releases
//! ```
//!
//! The protocol, and why it holds, is in docs/registry-cleanup.md; the other side is `condemned.rs` and `clean.rs`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::TryStreamExt;
use object_store::path::Path;

use crate::digest::Digest;
use crate::error::{CommitError, StoreError};
use crate::keys::{self, DataId};
use crate::marks::{LONGEST_LIST, MOST_MARKS, Mark, MarkList};
use crate::named;
use crate::names::RepositoryName;
use crate::objects::Objects;

/// How long a claim counts for others. Above what the largest upload takes to land; its writer stops at half of it.
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a tombstone counts that cannot be read. No clean-up is told to be more patient.
pub(crate) const LONGEST_DECISION: Duration = Duration::from_secs(3600);
/// How long a writer waits for a clean-up to decide. Most take less than a second; clients give up after about a minute.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Tombstones that are remembered, which never change: a megabyte or two while a clean-up runs.
const REMEMBERED: usize = 4;

/// What a writer relies on or makes: both belong into its claim.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<Mark>);

impl Names {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The recipe of a blob.
    pub fn blob(self, digest: &Digest) -> Self {
        self.key(&keys::recipe(digest))
    }

    /// A data object.
    pub fn data(self, id: &DataId) -> Self {
        self.key(&keys::data(id))
    }

    /// The link of a blob to a repository.
    pub fn link(self, repository: &RepositoryName, digest: &Digest) -> Self {
        self.key(&keys::link(repository, digest))
    }

    /// A manifest of a repository, and the recipe of its bytes.
    pub fn manifest(self, repository: &RepositoryName, digest: &Digest) -> Self {
        self.key(&keys::manifest(repository, digest)).blob(digest)
    }

    /// All that a manifest's bytes name, of whatever type it is and as whatever they name it: a clean-up counts every digest in it as a
    /// reference, so every digest is claimed.
    pub fn named_by(mut self, repository: &RepositoryName, manifest: &[u8]) -> Self {
        named::digests(manifest, |_, digest| {
            let keys =
                [keys::link(repository, &digest), keys::manifest(repository, &digest), keys::recipe(&digest)];
            self.0.extend(keys.iter().map(Mark::of));
        });
        self
    }

    /// The entry of a manifest below its subject.
    pub fn referrer(self, repository: &RepositoryName, subject: &Digest, referrer: &Digest) -> Self {
        self.key(&keys::referrer(repository, subject, referrer))
    }

    fn key(mut self, key: &Path) -> Self {
        self.0.push(Mark::of(key));
        self
    }
}

/// Claims of all writers on a storage. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct Claims {
    objects: Objects,
    remembered: Arc<Mutex<Vec<Remembered>>>,
}

/// A tombstone that was read.
type Remembered = (Path, Arc<MarkList>);

impl Claims {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, remembered: Arc::default() }
    }

    /// Claims `names`. Comes back when no clean-up is about to delete any of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Condemned`] if a clean-up takes too long to decide, [`StoreError::TooManyParts`] for more names than a claim holds.
    pub async fn claim(&self, names: Names) -> Result<Claim, StoreError> {
        let list = MarkList::new(LIFE, names.0);
        if list.marks().len() > MOST_MARKS {
            return Err(StoreError::TooManyParts);
        }
        let id = DataId::random().map_err(StoreError::staging("name a claim"))?;
        let key = keys::claim(&id);
        let claim = Claim { objects: self.objects.clone(), key, begun: Moment::now(), left: false };
        self.objects.write_passing(&claim.key, list.emit()).await?;
        let written = Moment::now();
        loop {
            if !self.condemned(&list, &claim.key, written).await? {
                return Ok(claim);
            }
            if written.elapsed() >= PATIENCE {
                return Err(StoreError::Condemned);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether a tombstone that still counts names any of these. The store's own time decides.
    async fn condemned(&self, list: &MarkList, claim: &Path, written: Moment) -> Result<bool, StoreError> {
        let mut tombstones = self.objects.list(keys::all_condemned());
        while let Some(meta) = tombstones.try_next().await? {
            let life = match self.tombstone(&meta.location).await {
                Ok(Some(tombstone)) if tombstone.meets(list.marks()) => tombstone.life,
                Ok(_) => continue,
                // It may name anything, but its owner does not work for longer than this.
                Err(StoreError::Damaged { .. }) => LONGEST_DECISION,
                Err(e) => return Err(e),
            };
            let Some(own) = self.objects.head(claim).await? else { return Ok(true) };
            let now = SystemTime::from(own.last_modified) + written.passed();
            if SystemTime::from(meta.last_modified) + life >= now {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn tombstone(&self, key: &Path) -> Result<Option<Arc<MarkList>>, StoreError> {
        let remembered = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, list)) = remembered().iter().find(|(known, _)| known == key) {
            return Ok(Some(Arc::clone(list)));
        }
        let Some(list) = read_list(&self.objects, key).await?.map(Arc::new) else { return Ok(None) };
        let mut remembered = remembered();
        remembered.insert(0, (key.clone(), Arc::clone(&list)));
        remembered.truncate(REMEMBERED);
        Ok(Some(list))
    }
}

/// A claim or tombstone; `None` if it is gone.
pub(crate) async fn read_list(objects: &Objects, key: &Path) -> Result<Option<MarkList>, StoreError> {
    let Some(bytes) = objects.read_small(key, LONGEST_LIST).await? else { return Ok(None) };
    let why = "it is no list of marks that this version knows";
    MarkList::parse(&bytes).map(Some).ok_or_else(|| StoreError::Damaged { path: key.to_string(), why })
}

/// A claim that is held.
#[derive(Debug)]
#[must_use = "what was claimed is given up when this is dropped"]
pub struct Claim {
    objects: Objects,
    key: Path,
    begun: Moment,
    /// Left to expire: a write may still be under way.
    left: bool,
}

impl Claim {
    /// Whether the claim still counts for everybody, which it does for half its life at least.
    ///
    /// # Errors
    ///
    /// [`StoreError::Condemned`] if it may not.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.begun.elapsed() < LIFE / 2 { Ok(()) } else { Err(StoreError::Condemned) }
    }

    /// Runs `write`, which publishes, to its end, even if the caller goes away meanwhile; then releases the claim. If it is not
    /// known whether a write that failed may still happen, the claim is left to expire.
    ///
    /// # Errors
    ///
    /// Those of `write`, and [`Claim::check`].
    pub async fn publish<T, E, W>(mut self, write: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Outcome + Send + 'static,
        W: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.check()?;
        let task = tokio::spawn(async move {
            // Until the end is known. A panic leaves it so.
            self.left = true;
            let result = write.await;
            self.left = result.as_ref().is_err_and(|e| !e.is_certain());
            if !self.left {
                // Not waited for in Drop. If it fails the claim expires.
                self.left = true;
                let _ = self.objects.delete(&self.key).await;
            }
            result
        });
        task.await.unwrap_or_else(|e| {
            let source = std::io::Error::other(e);
            Err(StoreError::Staging { doing: "publish", source }.into())
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // Nothing has been written under it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (objects, key) = (self.objects.clone(), std::mem::take(&mut self.key));
            runtime.spawn(async move { objects.delete(&key).await });
        }
    }
}

/// What is known of a write that failed.
pub trait Outcome {
    /// Whether nothing can still happen that the failed operation began.
    fn is_certain(&self) -> bool;
}

impl Outcome for StoreError {
    fn is_certain(&self) -> bool {
        // A request that got no answer may be carried out later.
        !matches!(self, Self::Backend { .. } | Self::Staging { .. })
    }
}

impl Outcome for CommitError {
    fn is_certain(&self) -> bool {
        match self {
            Self::Digest { .. } => true,
            Self::Store(e) => e.is_certain(),
        }
    }
}

/// A moment, by two clocks: one stands still while a machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(Instant, SystemTime);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// Time that has certainly passed: for judging whether another one is dead.
    pub(crate) fn passed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Time that may have passed, the more of the two: for stopping in time.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::write_tombstone;
    use crate::storage::{Settings, Storage};
    use object_store::memory::InMemory;
    use tokio::time::timeout;

    async fn storage() -> Storage {
        Storage::remote(Arc::new(InMemory::new()), &Settings::default()).await.unwrap()
    }

    fn of(text: &str) -> (Path, Names) {
        let digest = Digest::of(text.as_bytes());
        (keys::recipe(&digest), Names::new().blob(&digest))
    }

    async fn claims(storage: &Storage) -> usize {
        storage.objects.list(keys::all_claims()).try_collect::<Vec<_>>().await.unwrap().len()
    }

    #[tokio::test]
    async fn a_writer_waits_while_one_of_its_names_is_condemned() {
        let storage = storage().await;
        let ((key, names), (_, other)) = (of("a"), of("b"));
        let tombstone = write_tombstone(&storage, Duration::from_secs(600), [key].iter()).await.unwrap();
        // Others go on.
        drop(storage.claims.claim(other).await.unwrap());

        let mut waiting = Box::pin(storage.claims.claim(names));
        assert!(timeout(LOOK_EVERY * 3, &mut waiting).await.is_err(), "it did not wait");
        storage.objects.delete(&tombstone).await.unwrap();
        let claim = waiting.await.unwrap();
        claim.publish(async { Ok::<_, StoreError>(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_tombstone_of_the_dead_keeps_nobody_waiting() {
        let storage = storage().await;
        let (key, names) = of("a");
        write_tombstone(&storage, Duration::ZERO, [key].iter()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        drop(storage.claims.claim(names).await.unwrap());
    }

    #[tokio::test]
    async fn a_claim_goes_when_its_writer_has_published_or_given_up() {
        let storage = storage().await;
        let publish = |result: Result<(), StoreError>| {
            let storage = storage.clone();
            async move {
                let claim = storage.claims.claim(of("a").1).await.unwrap();
                assert_eq!(claims(&storage).await, 1);
                drop(claim.publish(async { result }).await);
                claims(&storage).await
            }
        };
        assert_eq!(publish(Ok(())).await, 0);
        assert_eq!(publish(Err(StoreError::Layout)).await, 0, "nothing can still happen");
        drop(storage.claims.claim(of("a").1).await.unwrap());
        while claims(&storage).await > 0 {
            tokio::task::yield_now().await;
        }
        let unanswered = StoreError::Staging { doing: "write", source: std::io::Error::other("no answer") };
        assert_eq!(publish(Err(unanswered)).await, 1, "the write may still happen");
    }

    #[tokio::test]
    async fn publishing_goes_on_when_the_request_is_given_up() {
        let storage = storage().await;
        let claim = storage.claims.claim(of("a").1).await.unwrap();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let publishing = claim.publish(async move {
            begin.send(()).unwrap();
            ended.await.unwrap();
            Ok::<_, StoreError>(())
        });
        tokio::select! {
            _ = publishing => panic!("it cannot have ended"),
            begun = begun => begun.unwrap(),
        }
        assert_eq!(claims(&storage).await, 1);
        end.send(()).unwrap();
        while claims(&storage).await > 0 {
            tokio::task::yield_now().await;
        }
    }
}
