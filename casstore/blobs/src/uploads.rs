//! Upload sessions: begun by one request, gone on with by others, ended by a commit.
//!
//! A session outlives its requests and the server. In a local storage it is a file under `uploads/`; in a bucket its state is, and any
//! server can go on with it. A session's name is of no use in another repository: what stands for the repository is part of it.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::TryStreamExt;

use crate::digest::{Algorithm, Digest};
use crate::error::{StoreError, UploadError};
use crate::keys::{self, DataId};
use crate::names::RepositoryName;
use crate::progress::Progress;
pub(crate) use crate::register::Register;
use crate::register::{Claim, id_of};
use crate::staged_file::{StagedFile, file_name};
use crate::staged_parts::{Bucket, StagedParts};
use crate::upload::{Hold, Medium, Slot, Upload, blocking};

/// What the names of files begin with that are no session's.
const ONCE: &str = "once-";

/// The name of an upload session: 32 hexadecimal digits of chance, which also name the data object that it may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadId(DataId);

impl FromStr for UploadId {
    type Err = UploadError;

    fn from_str(text: &str) -> Result<Self, UploadError> {
        DataId::from_hex(text).map(Self).ok_or(UploadError::Unknown)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where sessions lie.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// `uploads/` of a local storage, which must exist.
    Directory(PathBuf),
    Bucket(Arc<Bucket>),
}

/// All upload sessions.
#[derive(Clone, Debug)]
pub struct Uploads {
    place: Place,
    register: Arc<Register>,
    most: usize,
}

impl Uploads {
    /// At most `most` sessions at a time, as far as this server knows: see `register.rs`.
    pub(crate) fn new(place: Place, most: usize) -> Self {
        Self { place, register: Arc::default(), most }
    }

    /// Begins a session that other requests can go on with, to be hashed by `algorithm`.
    pub async fn begin(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadId, UploadError> {
        let (own, owner) = (new_id()?, owner_of(repository));
        self.register.begin(own, self.most)?;
        let begun = self.start(own, owner, algorithm).await;
        if begun.is_err() {
            self.register.failed(own);
        }
        begun
    }

    async fn start(&self, own: DataId, owner: String, algorithm: Algorithm) -> Result<UploadId, UploadError> {
        let progress = Progress::start(own, algorithm);
        match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(format!("{owner}-{own}"));
                let (name, slot) = (file_name(&path).to_owned(), Slot::At(Box::new(progress)));
                blocking("begin an upload", move || StagedFile::create(path)).await?;
                self.register.insert(name, slot);
            }
            Place::Bucket(bucket) => StagedParts::begin(bucket, owner, progress).await?,
        }
        Ok(UploadId(own))
    }

    /// Begins an upload that lives only as long as the value that is returned.
    pub async fn begin_once(&self, algorithm: Algorithm) -> Result<Upload, UploadError> {
        let own = new_id()?;
        let medium = match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(format!("{ONCE}{own}"));
                Medium::File(blocking("begin an upload", move || StagedFile::create(path)).await?)
            }
            Place::Bucket(bucket) => {
                Medium::Parts(Box::new(StagedParts::once(Arc::clone(bucket), own).await?))
            }
        };
        Ok(Upload::new(Progress::start(own, algorithm), medium, Hold::Once))
    }

    /// Takes hold of a session of `repository`.
    pub async fn resume(&self, repository: &RepositoryName, id: &UploadId) -> Result<Upload, UploadError> {
        let (own, owner) = (id.0, owner_of(repository));
        let claim = Claim::take(&self.register, format!("{owner}-{own}")).await?;
        if claim.is_spent() {
            return Err(UploadError::Unknown);
        }
        // What lies in the store is only looked at under the lock: before, it might just be becoming a blob.
        let (claim, found) = match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(&claim.name);
                // The claim goes along, so that nobody has the session while this still reads.
                let open = move || {
                    let Some(file) = StagedFile::open(path)? else { return Ok((claim, None)) };
                    let found = if claim.is_at() { None } else { Some(file.progress(own)?) };
                    Ok((claim, Some((Medium::File(file), found))))
                };
                blocking("open an upload", open).await?
            }
            Place::Bucket(bucket) => {
                let found = StagedParts::resume(Arc::clone(bucket), own, &owner).await?;
                (claim, found.map(|(parts, progress)| (Medium::Parts(Box::new(parts)), Some(Some(progress)))))
            }
        };
        match found {
            // What stands in the store says nothing.
            None | Some((_, Some(None))) => {
                claim.spend();
                Err(UploadError::Unknown)
            }
            Some((medium, found)) => {
                let (hold, known) = claim.hold(owner)?;
                let progress = found.flatten().or(known).ok_or(UploadError::Unknown)?;
                Ok(Upload::new(progress, medium, hold))
            }
        }
    }

    /// Removes sessions that nobody has written to for `age`; returns how many.
    pub async fn sweep(&self, age: Duration) -> Result<usize, StoreError> {
        self.register.look();
        let (swept, left) = match &self.place {
            Place::Directory(directory) => self.sweep_directory(directory.clone(), age).await?,
            Place::Bucket(bucket) => self.sweep_bucket(bucket, age).await?,
        };
        self.register.found(&left);
        Ok(swept)
    }

    /// How many were removed, and the sessions that are left.
    async fn sweep_directory(
        &self,
        directory: PathBuf,
        age: Duration,
    ) -> Result<(usize, HashSet<DataId>), StoreError> {
        let register = Arc::clone(&self.register);
        blocking("sweep up old uploads", move || {
            let (mut swept, mut left) = (0, HashSet::new());
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                let modified =
                    entry.metadata().and_then(|m| m.modified()).unwrap_or_else(|_| SystemTime::now());
                let old = modified.elapsed().is_ok_and(|elapsed| elapsed >= age);
                // What was put away beside a file goes with it.
                let beside = entry.path().extension().is_some() && entry.path().with_extension("").exists();
                if old && !beside && register.sweep(&entry.path()) {
                    swept += 1;
                } else if !file_name(&entry.path()).starts_with(ONCE) {
                    // What was put away beside a file has a name that is no session's.
                    left.extend(id_of(file_name(&entry.path())));
                }
            }
            Ok((swept, left))
        })
        .await
    }

    async fn sweep_bucket(
        &self,
        bucket: &Bucket,
        age: Duration,
    ) -> Result<(usize, HashSet<DataId>), StoreError> {
        let (mut swept, mut left) = (0, HashSet::new());
        let mut all = bucket.objects.list(keys::all_uploads());
        while let Some(meta) = all.try_next().await? {
            let old = SystemTime::from(meta.last_modified).elapsed().is_ok_and(|elapsed| elapsed >= age);
            let Some(own) = keys::data_of(&meta.location) else { continue };
            if old && !self.register.knows(&own) {
                bucket.remove(own).await?;
                swept += 1;
            } else {
                left.insert(own);
            }
        }
        Ok((swept, left))
    }
}

fn new_id() -> Result<DataId, StoreError> {
    DataId::random().map_err(StoreError::staging("name an upload"))
}

/// What stands for a repository in a session, where its slashes and length would not fit.
fn owner_of(repository: &RepositoryName) -> String {
    let mut hex = Digest::of(repository.as_str().as_bytes()).hex();
    hex.truncate(32);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::path::Path;
    use std::pin::pin;
    use std::task::Poll;

    fn uploads(directory: &Path, most: usize) -> Uploads {
        Uploads::new(Place::Directory(directory.to_owned()), most)
    }

    fn repository() -> RepositoryName {
        "a".parse().unwrap()
    }

    fn path(directory: &Path, id: &UploadId) -> PathBuf {
        directory.join(format!("{}-{id}", owner_of(&repository())))
    }

    /// Runs a test with one thread for what may block, so that [`abandon`] can keep it busy.
    fn with_one_thread(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().max_blocking_threads(1).build().unwrap().block_on(test);
    }

    /// Takes a session up for somebody who goes away meanwhile.
    async fn abandon(uploads: &Uploads, id: &UploadId) {
        let repository = repository();
        let (_open, gate) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || gate.recv());
        let mut resumed = pin!(uploads.resume(&repository, id));
        poll_fn(|context| match resumed.as_mut().poll(context) {
            Poll::Pending => Poll::Ready(()),
            Poll::Ready(_) => panic!("nothing was waited for"),
        })
        .await;
    }

    /// Until what was abandoned has come to its end.
    async fn settle(done: impl Fn() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    }

    #[test]
    fn names_that_are_none_leave_no_entries() {
        with_one_thread(async {
            let directory = tempfile::tempdir().unwrap();
            let uploads = uploads(directory.path(), 2);
            for _ in 0..3 {
                let id = UploadId(DataId::random().unwrap());
                assert!(matches!(uploads.resume(&repository(), &id).await, Err(UploadError::Unknown)));
                abandon(&uploads, &id).await;
            }
            // One that cannot be opened.
            let id = UploadId(DataId::random().unwrap());
            std::fs::create_dir(path(directory.path(), &id)).unwrap();
            assert!(matches!(uploads.resume(&repository(), &id).await, Err(UploadError::Store(_))));
            settle(|| uploads.register.len() == 0).await;
            uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        });
    }

    #[test]
    fn a_session_outlives_who_asked_for_it() {
        with_one_thread(async {
            let directory = tempfile::tempdir().unwrap();
            let uploads = uploads(directory.path(), 2);
            let id = uploads.begin(&repository(), Algorithm::Sha512).await.unwrap();
            abandon(&uploads, &id).await;
            // A file says nothing of the algorithm, so this is from memory.
            let upload = uploads.resume(&repository(), &id).await.unwrap();
            assert_eq!(upload.algorithm(), Algorithm::Sha512);
            // Who gives up waiting changes nothing either.
            abandon(&uploads, &id).await;
            upload.park().await.unwrap();
            assert_eq!(uploads.register.len(), 1);
            assert_eq!(uploads.resume(&repository(), &id).await.unwrap().algorithm(), Algorithm::Sha512);
        });
    }

    #[tokio::test]
    async fn sessions_are_counted_after_a_restart_too() {
        let directory = tempfile::tempdir().unwrap();
        let before = uploads(directory.path(), 4);
        let first = before.begin(&repository(), Algorithm::Sha256).await.unwrap();
        before.begin(&repository(), Algorithm::Sha256).await.unwrap();
        let _once = before.begin_once(Algorithm::Sha256).await.unwrap();
        std::fs::write(path(directory.path(), &first).with_extension("saved"), "").unwrap();
        let after = uploads(directory.path(), 2);
        let age = Duration::from_secs(3600);
        assert_eq!(after.sweep(age).await.unwrap(), 0);
        let third = after.begin(&repository(), Algorithm::Sha256).await;
        assert!(matches!(third, Err(UploadError::TooMany)), "{third:?}");
        before.resume(&repository(), &first).await.unwrap().discard().await.unwrap();
        after.sweep(age).await.unwrap();
        after.begin(&repository(), Algorithm::Sha256).await.unwrap();
    }
}
