//! One upload: a file of the staging area that grows at its end, and its running hash.
//!
//! Whoever holds an [`Upload`] holds its lock. Each append moves the whole value on to a blocking thread and
//! back, so when a request dies in the middle, the write still ends before anyone else gets the upload, and
//! length, hash and file never disagree.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::uploads::Register;

/// Bytes of an upload that are sent to the disk together while more arrive.
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// How far an upload has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Found on disk after a restart: to be hashed again before anything is added.
    Unread,
    /// This many bytes are on file, with their hash.
    At(u64, Sha256),
    /// Finished or cancelled; the file is gone.
    Spent,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self::At(0, Sha256::new())
    }

    /// Hashes what is already on file.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        let mut buffer = vec![0u8; 256 * 1024];
        let (mut len, mut hasher) = (0u64, Sha256::new());
        loop {
            let read = file.read_at(&mut buffer, len)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            hasher.update(piece);
            len += read as u64;
        }
        Ok(Self::At(len, hasher))
    }
}

/// An upload that the holder alone may write to.
#[derive(Debug)]
pub struct Upload {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    pub(crate) progress: OwnedMutexGuard<Progress>,
    pub(crate) register: Arc<Register>,
    /// Set where nobody can come back for the upload; acts when dropped.
    pub(crate) _remove: Option<RemoveOnDrop>,
}

/// Removes a file that a dropped request would leave behind.
#[derive(Debug)]
pub(crate) struct RemoveOnDrop(pub(crate) PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // After landing there is nothing left to remove; otherwise the sweep will find it.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Upload {
    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        if let Progress::At(len, _) = *self.progress { len } else { 0 }
    }

    /// Adds pieces at the end, one after the other. After a failure the upload stands where it stood before the piece that failed.
    pub async fn append(self, pieces: Vec<Bytes>) -> Result<Self, StoreError> {
        blocking("write an upload", move || {
            let mut this = self;
            if let Progress::At(len, hasher) = &mut *this.progress {
                let before = *len;
                for piece in pieces {
                    this.file.write_all_at(&piece, *len)?;
                    hasher.update(&piece);
                    *len += piece.len() as u64;
                }
                write_back(&this.file, before, *len);
            }
            Ok(this)
        })
        .await
    }

    /// Flushes what was received and fixes its digest.
    pub async fn seal(self) -> Result<Sealed, StoreError> {
        blocking("flush an upload", move || {
            let (len, hasher) = match &*self.progress {
                Progress::At(len, hasher) => (*len, hasher.clone()),
                Progress::Unread | Progress::Spent => (0, Sha256::new()),
            };
            // A failed append may have left a tail.
            self.file.set_len(len)?;
            self.file.sync_all()?;
            Ok(Sealed { digest: Digest::of_hasher(hasher), len, upload: self })
        })
        .await
    }

    /// Gives the upload up and removes what was received.
    pub async fn discard(self) {
        let removed = blocking("remove an upload", move || {
            let mut this = self;
            *this.progress = Progress::Spent;
            // It may have been renamed away already; a leftover is swept up later.
            let _ = std::fs::remove_file(&this.path);
            // Only now, so that nobody finds the file under a fresh lock.
            this.register.forget(&this.path);
            Ok(())
        });
        // What the closure does cannot fail.
        let _ = removed.await;
    }
}

/// An upload that is complete and flushed, and can land under its final name.
#[derive(Debug)]
pub struct Sealed {
    digest: Digest,
    len: u64,
    upload: Upload,
}

impl Sealed {
    /// The digest of all its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of its bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.upload.file)
    }

    pub(crate) fn file_name(&self) -> &str {
        file_name(&self.upload.path)
    }

    /// Ends the upload, whose bytes have landed or are not wanted.
    pub(crate) async fn spend(self) {
        self.upload.discard().await;
    }
}

pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Lets the system begin to write to the disk what is complete, so that less is left for the flush at the end. An advice and no flush:
/// it waits for nothing, and an error of the disk is still there for the flush to find.
fn write_back(file: &File, before: u64, after: u64) {
    let (first, last) = (before / WRITE_BACK, after / WRITE_BACK);
    if let Some(length) = NonZeroU64::new((last - first) * WRITE_BACK) {
        // Without the advice it only takes longer.
        let _ = rustix::fs::fadvise(file, first * WRITE_BACK, Some(length), rustix::fs::Advice::DontNeed);
    }
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T, F>(doing: &'static str, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(StoreError::staging(doing))
}
