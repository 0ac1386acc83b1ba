//! The bytes of an upload in a local storage: a file under `uploads/`, which lands by being renamed.
//!
//! It lies on the file system of the storage, so landing costs no copy. What is not `async` here may block.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::digest::Algorithm;
use crate::error::StoreError;
use crate::keys::DataId;
use crate::progress::Progress;
use crate::saved::{Parts, Saved};
use crate::upload::blocking;

/// Bytes of an upload that are sent to the disk together while more arrive.
const WRITE_BACK: u64 = 8 * 1024 * 1024;
/// Bytes that are hashed at a time after a restart.
const PIECE: usize = 256 * 1024;
/// What a session's file name ends with that says what was copied.
const SAVED: &str = "saved";

/// The file of an upload.
#[derive(Debug)]
pub(crate) struct StagedFile {
    file: Arc<File>,
    path: PathBuf,
}

impl StagedFile {
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { file: Arc::new(file), path })
    }

    pub(crate) fn open(path: PathBuf) -> io::Result<Option<Self>> {
        match OpenOptions::new().read(true).write(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Ok(Some(Self { file: Arc::new(file?), path })),
        }
    }

    /// Finds out how far the upload has come, after a restart: by what was put away, else by hashing the file.
    pub(crate) fn progress(&self, own: DataId) -> io::Result<Option<Progress>> {
        match std::fs::read(saved_path(&self.path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.hashed(own).map(Some),
            Err(e) => Err(e),
            Ok(bytes) => {
                let saved = Saved::parse(own, &Bytes::from(bytes)).map(|saved| saved.progress);
                let length = self.file.metadata()?.len();
                // Neither was flushed: after a power cut the file may have its length and not its bytes.
                let saved = saved.map(Progress::doubted);
                Ok(saved.filter(|progress| progress.own_len() <= length))
            }
        }
    }

    fn hashed(&self, own: DataId) -> io::Result<Progress> {
        let mut progress = Progress::start(own, Algorithm::default());
        let mut buffer = vec![0u8; PIECE];
        loop {
            let read = self.file.read_at(&mut buffer, progress.own_len())?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            progress.wrote(piece)?;
        }
        Ok(progress)
    }

    /// Adds pieces at the end. After a failure the progress is that before the piece that failed.
    pub(crate) fn append(&self, progress: &mut Progress, pieces: &[Bytes]) -> io::Result<()> {
        let before = progress.own_len();
        for piece in pieces {
            self.file.write_all_at(piece, progress.own_len())?;
            progress.wrote(piece)?;
        }
        self.write_back(before, progress.own_len());
        Ok(())
    }

    /// Lets the system begin to write to the disk what is complete, so that less is left for the flush at the end. An advice and
    /// no flush: it waits for nothing, and an error of the disk is still there for the flush to find.
    fn write_back(&self, before: u64, after: u64) {
        let (first, last) = (before / WRITE_BACK, after / WRITE_BACK);
        if let Some(length) = NonZeroU64::new((last - first) * WRITE_BACK) {
            // Without the advice it only takes longer.
            let advice = rustix::fs::Advice::DontNeed;
            let _ = rustix::fs::fadvise(&self.file, first * WRITE_BACK, Some(length), advice);
        }
    }

    /// Puts away where the bytes lie, which the file alone does not say once something was copied.
    pub(crate) fn save(&self, owner: &str, progress: &Progress) -> io::Result<()> {
        let owner = owner.to_owned();
        let saved = Saved { owner, progress: progress.clone(), parts: Parts::default(), tail: Bytes::new() };
        let bytes = saved.emit().ok_or_else(|| io::Error::other("the session cannot be put into JSON"))?;
        let path = saved_path(&self.path);
        let new = path.with_extension("new");
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, path)?;
        // The sweep goes by the file's own time.
        self.file.set_modified(SystemTime::now())
    }

    /// The first `length` bytes.
    pub(crate) async fn read_all(&self, length: u64) -> Result<Bytes, StoreError> {
        let file = Arc::clone(&self.file);
        blocking("read an upload", move || {
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    /// Flushes the first `length` bytes, which are all that count: a failed append may have left a tail.
    pub(crate) async fn flush(&self, length: u64) -> Result<(), StoreError> {
        let file = Arc::clone(&self.file);
        blocking("flush an upload", move || {
            file.set_len(length)?;
            file.sync_all()
        })
        .await
    }

    /// The open file.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes the files of an upload, as far as there are any.
pub(crate) fn remove(path: &Path) -> bool {
    // Only a composed upload has it.
    let _ = std::fs::remove_file(saved_path(path));
    std::fs::remove_file(path).is_ok()
}

fn saved_path(path: &Path) -> PathBuf {
    path.with_extension(SAVED)
}

/// The last segment of a path.
pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
