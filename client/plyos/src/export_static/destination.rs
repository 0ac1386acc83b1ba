//! Where an export goes: a folder or a bucket, as one object store.
//!
//! A folder is locked while an export writes to it; in a bucket the timestamp is replaced only if it is still the one that was seen.
//! Either way of two exports at once one wins and the other is told.

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutMultipartOptions, PutOptions, UpdateVersion, WriteMultipart,
};
use plyos_custody::repository::PublishFile;
use plyos_report::{ExitCode, Failure, OrFail};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::forms::{self, ASK_EACH_TIME, FOREVER};
use super::nginx;
use super::origin::{Origin, TIMESTAMP, version_of};

/// Bytes of a part of a large object; S3 takes no less than 5 MiB.
const PART: usize = 8 << 20;
/// Parts on their way; with [`PART`] the memory of an upload.
const PARTS: usize = 3;
/// The lock's name in a folder; web servers do not serve names with a dot.
const LOCK: &str = ".export.lock";

/// Where an export goes.
pub struct Destination {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// The folder, with its lock.
    folder: Option<(PathBuf, File)>,
    name: String,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// So many bytes.
    New(u64),
    /// It was there.
    There,
}

/// The timestamp that was there at the start.
pub struct Seen(Option<(Bytes, ObjectMeta)>);

/// A large object on its way.
pub struct Writing(WriteMultipart);

impl Destination {
    /// Opens a folder, which is made if need be, or a bucket.
    pub fn open(name: &str) -> Result<Self, Failure> {
        let doing = format!("opening {name}");
        if name.contains("://") {
            return Self::bucket(name);
        }
        fs::create_dir_all(name).or_fail(ExitCode::Failure, &doing)?;
        let folder = fs::canonicalize(name).or_fail(ExitCode::Failure, &doing)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK))
            .or_fail(ExitCode::Failure, &doing)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let line = format!("{doing}: another export is writing there; try again when it has ended");
                return Err(Failure::new(ExitCode::Conflict, line));
            }
            Err(TryLockError::Error(error)) => return Err(error).or_fail(ExitCode::Failure, &doing),
        }
        let store =
            LocalFileSystem::new_with_prefix(&folder).or_fail(ExitCode::Failure, &doing)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            prefix: Key::default(),
            folder: Some((folder, lock)),
            name: name.to_owned(),
        })
    }

    fn bucket(name: &str) -> Result<Self, Failure> {
        let doing = format!("opening {name}");
        let url = reqwest_url(name).ok_or_else(|| {
            Failure::new(ExitCode::Usage, format!("{doing}: write s3://BUCKET/PREFIX, or a folder"))
        })?;
        // Another part of the program may have done so already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let variables = std::env::vars().filter(|(key, _)| key.starts_with("AWS_"));
        let (store, prefix) =
            object_store::parse_url_opts(&url, variables).or_fail(ExitCode::Usage, &doing)?;
        Ok(Self { store: store.into(), prefix, folder: None, name: name.to_owned() })
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// Sees that what is there is not newer than what is to be exported, nor somebody else's.
    pub async fn check(&self, origin: &Origin) -> Result<Seen, Failure> {
        let seen = self.read(TIMESTAMP).await?;
        if let Some((there, _)) = &seen
            && *there != origin.timestamp().bytes
            && version_of(there) >= version_of(&origin.timestamp().bytes)
        {
            let line = format!(
                "exporting to {}: the catalog there has timestamp {}, not older than the {} that is to be exported; \
                 publish again, or export from the workspace that published last",
                self.name,
                version_of(there).unwrap_or_default(),
                version_of(&origin.timestamp().bytes).unwrap_or_default()
            );
            return Err(Failure::new(ExitCode::Conflict, line));
        }
        Ok(Seen(seen))
    }

    /// Bytes of an object; `None` when there is none.
    pub async fn size(&self, path: &str) -> Result<Option<u64>, Failure> {
        match self.store.head(&self.key(path)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure("looking for", path, &error)),
        }
    }

    /// Writes a file that never changes, its compressed forms first, so that whoever finds it finds them too.
    pub async fn put_forms(&self, file: &PublishFile) -> Result<Wrote, Failure> {
        if let Some((there, _)) = self.read(&file.path).await? {
            if there == file.bytes {
                return Ok(Wrote::There);
            }
            let line = format!(
                "exporting to {}: {} is there with other bytes, so another workspace was exported there; use another place",
                self.name, file.path
            );
            return Err(Failure::new(ExitCode::Conflict, line));
        }
        // A bucket serves what it has under a name, whatever a client accepts.
        if self.is_folder() {
            for (suffix, form) in forms::compressed(&file.bytes)? {
                self.put(&format!("{}{suffix}", file.path), form, FOREVER, PutMode::Overwrite).await?;
            }
        }
        self.put(&file.path, file.bytes.clone(), FOREVER, PutMode::Overwrite).await?;
        Ok(Wrote::New(file.bytes.len() as u64))
    }

    /// Replaces the timestamp, if it is still the one that was seen.
    pub async fn put_timestamp(&self, file: &PublishFile, Seen(seen): Seen) -> Result<Wrote, Failure> {
        let mode = match &seen {
            Some((there, _)) if *there == file.bytes => return Ok(Wrote::There),
            // A folder is locked instead, and knows no conditions.
            _ if self.is_folder() => PutMode::Overwrite,
            Some((_, meta)) => {
                PutMode::Update(UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() })
            }
            None => PutMode::Create,
        };
        self.put(&file.path, file.bytes.clone(), ASK_EACH_TIME, mode).await?;
        if let (Some((folder, _)), Some((_, meta))) = (&self.folder, &seen) {
            step_past(&folder.join(&file.path), meta.last_modified.into())
                .or_fail(ExitCode::Failure, format_args!("dating {}", file.path))?;
        }
        Ok(Wrote::New(file.bytes.len() as u64))
    }

    /// Writes `nginx.conf` for a folder.
    pub async fn put_configuration(&self, url_path: &str) -> Result<(), Failure> {
        let Some((folder, _)) = &self.folder else { return Ok(()) };
        let text = nginx::configuration(folder, url_path);
        self.put("nginx.conf", text.into_bytes(), ASK_EACH_TIME, PutMode::Overwrite).await
    }

    /// Begins a large object, which is not seen until it is finished.
    pub async fn begin(&self, path: &str) -> Result<Writing, Failure> {
        let options = PutMultipartOptions {
            attributes: self.attributes(path, FOREVER),
            ..PutMultipartOptions::default()
        };
        let begun = self.store.put_multipart_opts(&self.key(path)?, options).await;
        let upload = begun.map_err(|error| self.failure("writing", path, &error))?;
        Ok(Writing(WriteMultipart::new_with_chunk_size(upload, PART)))
    }

    async fn put(
        &self,
        path: &str,
        bytes: Vec<u8>,
        cache_control: &'static str,
        mode: PutMode,
    ) -> Result<(), Failure> {
        let options =
            PutOptions { mode, attributes: self.attributes(path, cache_control), ..PutOptions::default() };
        match self.store.put_opts(&self.key(path)?, bytes.into(), options).await {
            Ok(_) => Ok(()),
            Err(StoreError::Precondition { .. } | StoreError::AlreadyExists { .. }) => {
                let line = format!(
                    "exporting to {}: {path} was replaced meanwhile; another export has won, run it again",
                    self.name
                );
                Err(Failure::new(ExitCode::Conflict, line))
            }
            Err(error) => Err(self.failure("writing", path, &error)),
        }
    }

    async fn read(&self, path: &str) -> Result<Option<(Bytes, ObjectMeta)>, Failure> {
        let result = match self.store.get(&self.key(path)?).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            result => result.map_err(|error| self.failure("reading", path, &error))?,
        };
        let meta = result.meta.clone();
        let bytes = result.bytes().await.map_err(|error| self.failure("reading", path, &error))?;
        Ok(Some((bytes, meta)))
    }

    /// What a bucket says of an object; folders keep no such thing.
    fn attributes(&self, path: &str, cache_control: &'static str) -> Attributes {
        if self.is_folder() {
            return Attributes::new();
        }
        Attributes::from_iter([
            (Attribute::ContentType, forms::content_type(path)),
            (Attribute::CacheControl, cache_control),
        ])
    }

    fn key(&self, path: &str) -> Result<Key, Failure> {
        let whole =
            if self.prefix.as_ref().is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Key::parse(whole).or_fail(ExitCode::Failure, format_args!("naming {path}"))
    }

    fn failure(&self, doing: &str, path: &str, error: &StoreError) -> Failure {
        let code = if self.is_folder() { ExitCode::Failure } else { ExitCode::Network };
        let said: String = error.to_string().chars().filter(|c| !c.is_control()).take(400).collect();
        Failure::new(code, format!("{doing} {path} in {}: {said}", self.name))
    }
}

impl Writing {
    /// Sends a piece on, once there is room for it.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        self.0.wait_for_capacity(PARTS).await.or_fail(ExitCode::Failure, "writing a blob")?;
        self.0.put(piece);
        Ok(())
    }

    /// Makes it visible.
    pub async fn finish(self) -> Result<(), StoreError> {
        self.0.finish().await.map(drop)
    }

    /// Forgets it.
    pub async fn abort(self) {
        // What is left is of no name; buckets have rules for such uploads.
        let _ = self.0.abort().await;
    }
}

fn reqwest_url(text: &str) -> Option<url::Url> {
    url::Url::parse(text).ok()
}

/// Dates a file at least a second after what it replaced: web servers make ETags of size and seconds, and two timestamps of
/// one second would have the same.
fn step_past(path: &Path, before: SystemTime) -> std::io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    if seconds(file.metadata()?.modified()?) <= seconds(before) {
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(before) + 1))?;
    }
    Ok(())
}
