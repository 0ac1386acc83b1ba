//! Upload sessions: begun by one request, gone on with by others, ended by a commit.
//!
//! A session outlives its requests and the server. In a local storage it is a file under `uploads/`; in a bucket its state is, and any
//! server can go on with it. A session's name is of no use in another repository: what stands for the repository is part of it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::stream::TryStreamExt;
use tokio::sync::Mutex as AsyncMutex;

use crate::digest::{Algorithm, Digest};
use crate::error::{StoreError, UploadError};
use crate::keys::{self, DataId};
use crate::names::RepositoryName;
use crate::progress::Progress;
use crate::staged_file::{self, StagedFile, file_name};
use crate::staged_parts::{Bucket, StagedParts};
use crate::upload::{Hold, Medium, Slot, Upload, blocking};

/// How long to wait for a request that still writes. A client that lost its connection may be back before the
/// server has noticed.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// The sessions that this server knows, by name. Entries cost little; files are open only while written.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<HashMap<String, Session>>);

type Session = Arc<AsyncMutex<Slot>>;

impl Register {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        // The map is valid after any panic: each change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock of a session.
    fn session(&self, name: &str) -> Session {
        let away = || Arc::new(AsyncMutex::new(Slot::Away));
        Arc::clone(self.lock().entry(name.to_owned()).or_insert_with(away))
    }

    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Forgets a session that the caller has put away, unless somebody waits for it.
    pub(crate) fn release(&self, name: &str) {
        let mut register = self.lock();
        // One is the register's, one the caller's.
        if register.get(name).is_some_and(|session| Arc::strong_count(session) <= 2) {
            register.remove(name);
        }
    }

    /// Removes a session and its files, unless a request holds it; says whether it did.
    fn sweep(&self, path: &Path) -> bool {
        let mut register = self.lock();
        if let Some(session) = register.get(file_name(path)) {
            let Ok(mut slot) = session.try_lock() else { return false };
            *slot = Slot::Spent;
        }
        register.remove(file_name(path));
        staged_file::remove(path)
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
    /// At most `most` sessions at a time, as far as this server knows.
    pub(crate) fn new(place: Place, most: usize) -> Self {
        Self { place, register: Arc::default(), most }
    }

    /// Begins a session that other requests can go on with, to be hashed by `algorithm`.
    pub async fn begin(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadId, UploadError> {
        if self.register.lock().len() >= self.most {
            return Err(UploadError::TooMany);
        }
        let (own, owner) = (new_id()?, owner_of(repository));
        let progress = Progress::start(own, algorithm);
        match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(format!("{owner}-{own}"));
                let (name, slot) = (file_name(&path).to_owned(), Slot::At(Box::new(progress)));
                blocking("begin an upload", move || StagedFile::create(path)).await?;
                self.register.lock().insert(name, Arc::new(AsyncMutex::new(slot)));
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
                let path = directory.join(format!("once-{own}"));
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
        let (own, owner, register) = (id.0, owner_of(repository), Arc::clone(&self.register));
        let name = format!("{owner}-{own}");
        let session = self.register.session(&name);
        let mut slot = match tokio::time::timeout(PATIENCE, Arc::clone(&session).lock_owned()).await {
            Ok(slot) => slot,
            Err(_) => return Err(UploadError::Busy),
        };
        drop(session);
        if matches!(*slot, Slot::Spent) {
            return Err(UploadError::Unknown);
        }
        // What lies in the store is only looked at under the lock: before, it might just be becoming a blob.
        let found = match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(&name);
                let taken = std::mem::replace(&mut *slot, Slot::Away);
                let open = move || {
                    let Some(file) = StagedFile::open(path)? else { return Ok(None) };
                    let progress = match taken {
                        Slot::At(progress) => Some(*progress),
                        Slot::Away | Slot::Spent => file.progress(own)?,
                    };
                    Ok(progress.map(|progress| (Medium::File(file), progress)))
                };
                blocking("open an upload", open).await?
            }
            Place::Bucket(bucket) => StagedParts::resume(Arc::clone(bucket), own, &owner)
                .await?
                .map(|(parts, progress)| (Medium::Parts(Box::new(parts)), progress)),
        };
        match found {
            Some((medium, progress)) => {
                Ok(Upload::new(progress, medium, Hold::Session { slot, register, name, owner }))
            }
            None => {
                *slot = Slot::Spent;
                register.forget(&name);
                Err(UploadError::Unknown)
            }
        }
    }

    /// Removes sessions that nobody has written to for `age`; returns how many.
    pub async fn sweep(&self, age: Duration) -> Result<usize, StoreError> {
        match &self.place {
            Place::Directory(directory) => self.sweep_directory(directory.clone(), age).await,
            Place::Bucket(bucket) => self.sweep_bucket(bucket, age).await,
        }
    }

    async fn sweep_directory(&self, directory: PathBuf, age: Duration) -> Result<usize, StoreError> {
        let register = Arc::clone(&self.register);
        blocking("sweep up old uploads", move || {
            let mut swept = 0;
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                let modified =
                    entry.metadata().and_then(|m| m.modified()).unwrap_or_else(|_| SystemTime::now());
                let old = modified.elapsed().is_ok_and(|elapsed| elapsed >= age);
                // What was put away beside a file goes with it.
                let beside = entry.path().extension().is_some() && entry.path().with_extension("").exists();
                if old && !beside && register.sweep(&entry.path()) {
                    swept += 1;
                }
            }
            Ok(swept)
        })
        .await
    }

    async fn sweep_bucket(&self, bucket: &Bucket, age: Duration) -> Result<usize, StoreError> {
        let mut swept = 0;
        let mut all = bucket.objects.list(keys::all_uploads());
        while let Some(meta) = all.try_next().await? {
            let old = SystemTime::from(meta.last_modified).elapsed().is_ok_and(|elapsed| elapsed >= age);
            let Some(own) = keys::data_of(&meta.location).filter(|_| old) else { continue };
            let held = self.register.lock().keys().any(|name| name.ends_with(&own.to_string()));
            if !held {
                bucket.remove(own).await?;
                swept += 1;
            }
        }
        Ok(swept)
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
