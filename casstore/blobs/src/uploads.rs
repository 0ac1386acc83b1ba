//! The staging area: files under `uploads/` on a local disk, whatever the object store behind.
//!
//! A session outlives its requests and the server: what is on file after a restart is hashed again and goes on.
//! A file's name is made of the repository's digest and a random id, so that an id is of no use in another
//! repository and no side file is needed to remember the owner.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use tokio::sync::Mutex as AsyncMutex;

use crate::digest::Digest;
use crate::error::{StoreError, UploadError};
use crate::names::RepositoryName;
use crate::upload::{Progress, RemoveOnDrop, Upload, blocking, file_name};

/// How long to wait for a request that still writes. A client that lost its connection may be back before the
/// server has noticed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of an upload session: 32 hexadecimal digits of chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadId(String);

impl UploadId {
    fn random() -> io::Result<Self> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }
}

impl FromStr for UploadId {
    type Err = UploadError;

    fn from_str(text: &str) -> Result<Self, UploadError> {
        let hex = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex { Ok(Self(text.to_owned())) } else { Err(UploadError::Unknown) }
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The sessions that are known, by file name. Entries cost little; files are open only while written.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<HashMap<String, Session>>);

type Session = Arc<AsyncMutex<Progress>>;

impl Register {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        // The map is valid after any panic: each change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget(&self, path: &Path) {
        self.lock().remove(file_name(path));
    }

    /// Removes a session and its file, unless a request holds it; says whether it did.
    fn sweep(&self, path: &Path) -> bool {
        let mut register = self.lock();
        if let Some(session) = register.get(file_name(path)) {
            let Ok(mut progress) = session.try_lock() else { return false };
            *progress = Progress::Spent;
        }
        register.remove(file_name(path));
        std::fs::remove_file(path).is_ok()
    }
}

/// The staging area.
#[derive(Clone, Debug)]
pub struct Uploads {
    directory: PathBuf,
    register: Arc<Register>,
    most: usize,
}

impl Uploads {
    /// Uses `directory`, which must exist, for at most `most` sessions at a time.
    pub(crate) fn new(directory: PathBuf, most: usize) -> Self {
        Self { directory, register: Arc::default(), most }
    }

    /// Begins a session that other requests can go on with.
    pub async fn begin(&self, repository: &RepositoryName) -> Result<UploadId, UploadError> {
        if self.register.lock().len() >= self.most {
            return Err(UploadError::TooMany);
        }
        let (id, path, _) = self.create(&owner_of(repository)).await?;
        let session = Arc::new(AsyncMutex::new(Progress::start()));
        self.register.lock().insert(file_name(&path).to_owned(), session);
        Ok(id)
    }

    /// Begins an upload that lives only as long as the value that is returned.
    pub async fn begin_once(&self) -> Result<Upload, UploadError> {
        let (_, path, file) = self.create("once").await?;
        let _remove = Some(RemoveOnDrop(path.clone()));
        let progress = Arc::new(AsyncMutex::new(Progress::start())).lock_owned().await;
        Ok(Upload { file: Arc::new(file), path, progress, register: Arc::clone(&self.register), _remove })
    }

    /// Takes hold of a session of `repository`, hashing again what is on file if the server was restarted.
    pub async fn resume(&self, repository: &RepositoryName, id: &UploadId) -> Result<Upload, UploadError> {
        let path = self.directory.join(format!("{}-{id}", owner_of(repository)));
        let name = file_name(&path).to_owned();
        let session = {
            let mut register = self.register.lock();
            let unread = || Arc::new(AsyncMutex::new(Progress::Unread));
            Arc::clone(register.entry(name).or_insert_with(unread))
        };
        let lock = tokio::time::timeout(PATIENCE, session.lock_owned());
        let mut progress = lock.await.map_err(|_| UploadError::Busy)?;
        if matches!(*progress, Progress::Spent) {
            return Err(UploadError::Unknown);
        }
        // The file is opened under the lock: before, it might just be becoming a blob, which nobody may write.
        let register = Arc::clone(&self.register);
        let upload = blocking("open an upload", move || {
            let Some(file) = open(&path)? else {
                *progress = Progress::Spent;
                register.forget(&path);
                return Ok(None);
            };
            if matches!(*progress, Progress::Unread) {
                *progress = Progress::of_file(&file)?;
            }
            Ok(Some(Upload { file: Arc::new(file), path, progress, register, _remove: None }))
        });
        upload.await?.ok_or(UploadError::Unknown)
    }

    /// Removes uploads that nobody has written to for `age`; returns how many.
    pub async fn sweep(&self, age: Duration) -> Result<usize, StoreError> {
        let (directory, register) = (self.directory.clone(), Arc::clone(&self.register));
        blocking("sweep up old uploads", move || {
            let mut swept = 0;
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                let modified =
                    entry.metadata().and_then(|m| m.modified()).unwrap_or_else(|_| SystemTime::now());
                let old = modified.elapsed().is_ok_and(|elapsed| elapsed >= age);
                if old && register.sweep(&entry.path()) {
                    swept += 1;
                }
            }
            Ok(swept)
        })
        .await
    }

    async fn create(&self, owner: &str) -> Result<(UploadId, PathBuf, File), StoreError> {
        let (directory, owner) = (self.directory.clone(), owner.to_owned());
        blocking("begin an upload", move || {
            let id = UploadId::random()?;
            let path = directory.join(format!("{owner}-{id}"));
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
            Ok((id, path, file))
        })
        .await
    }
}

/// What stands for a repository in a file name, where its slashes and length do not fit.
fn owner_of(repository: &RepositoryName) -> String {
    let mut hex = Digest::of(repository.as_str().as_bytes()).hex();
    hex.truncate(32);
    hex
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}
