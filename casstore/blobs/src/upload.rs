//! One upload: bytes that arrive, in order, and how far they have come.
//!
//! Whoever holds an [`Upload`] holds its lock. What may block moves the whole value on to another thread and back, so when a request
//! dies in the middle, the write still ends before anyone else gets the upload, and bytes, hash and length never disagree. A session
//! that is dropped is put away, as [`Upload::park`] does; an upload that nobody can come back for is removed.
//!
//! Where the bytes lie meanwhile: `staged_file.rs` for a local storage, `staged_parts.rs` for a bucket. How they become an object:
//! `landing.rs`.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;

use crate::blobs::Blobs;
use crate::digest::{Algorithm, Digest};
use crate::error::StoreError;
use crate::keys::{self, DataId};
use crate::ordered::Part;
use crate::progress::Progress;
use crate::recipe::{Body, Extent, Recipe};
use crate::staged_file::{self, StagedFile};
use crate::staged_parts::StagedParts;
use crate::uploads::Register;

/// An upload that the holder alone may write to.
#[derive(Debug)]
pub struct Upload {
    pub(crate) progress: Progress,
    /// How it was when it was taken up, for [`Upload::rewind`].
    before: Box<Progress>,
    changed: bool,
    /// Gone when the upload is put away or removed.
    pub(crate) held: Option<Held>,
}

/// Where an upload's bytes are, and the lock on it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) medium: Medium,
    hold: Hold,
}

#[derive(Debug)]
pub(crate) enum Medium {
    File(StagedFile),
    Parts(Box<StagedParts>),
}

/// The hold on a session, or that there is none to go back to.
#[derive(Debug)]
pub(crate) enum Hold {
    Session { slot: OwnedMutexGuard<Slot>, register: Arc<Register>, name: String, owner: String },
    Once,
}

/// What is left when nobody holds a session.
#[derive(Debug)]
pub(crate) enum Slot {
    /// It is where it was put away, as far as this server knows.
    Away,
    /// It came this far, and its file is on this server.
    At(Box<Progress>),
    /// Finished or cancelled.
    Spent,
}

impl Upload {
    pub(crate) fn new(progress: Progress, medium: Medium, hold: Hold) -> Self {
        let before = Box::new(progress.clone());
        Self { progress, before, changed: false, held: Some(Held { medium, hold }) }
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.progress.received()
    }

    /// How many extents it has so far.
    pub(crate) fn extent_count(&self) -> usize {
        self.progress.extents().len()
    }

    /// Where its bytes lie so far, or will when it has landed.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        let (own, data) = (self.progress.own(), self.data());
        let landed = |extent: &Extent| {
            let data = if extent.data == own { data } else { extent.data };
            Extent { data, ..*extent }
        };
        self.progress.extents().iter().map(landed).collect()
    }

    /// The data object that its new bytes will be.
    pub(crate) fn data(&self) -> DataId {
        match &self.held {
            Some(Held { medium: Medium::Parts(parts), .. }) => parts.target(),
            _ => self.progress.own(),
        }
    }

    /// By what it is being hashed.
    pub fn algorithm(&self) -> Algorithm {
        self.progress.hasher().algorithm()
    }

    /// Adds pieces at the end, one after the other. After a failure the session stands where it stood before the piece that failed.
    pub async fn append(self, pieces: Vec<Bytes>) -> Result<Self, StoreError> {
        if !self.progress.takes_more() {
            return Err(StoreError::TooManyParts);
        }
        let mut this = blocking("write an upload", move || {
            let mut this = self;
            this.changed = true;
            match this.held.as_mut().map(|held| &mut held.medium) {
                Some(Medium::File(file)) => file.append(&mut this.progress, &pieces)?,
                Some(Medium::Parts(parts)) => parts.append(&mut this.progress, &pieces)?,
                None => {}
            }
            Ok(this)
        })
        .await?;
        if let Some(Held { medium: Medium::Parts(parts), .. }) = &mut this.held {
            parts.flush(this.progress.own()).await?;
        }
        Ok(this)
    }

    /// Adds the bytes `range` of a blob at the end, by reference: they are read and hashed, but not stored again. After a failure
    /// the session stands where it stood before. The caller sees to it that the blob stays until the upload is committed.
    pub async fn copy(self, blobs: &Blobs, recipe: &Recipe, range: Range<u64>) -> Result<Self, StoreError> {
        let outside = || {
            let why = "it is shorter than the range that was asked for";
            StoreError::Damaged { path: "the recipe of a copy".to_owned(), why }
        };
        if range.end > recipe.size() || range.start > range.end {
            return Err(outside());
        }
        if let Body::Inline(bytes) = recipe.body() {
            let part = bytes.get(range.start as usize..range.end as usize).ok_or_else(outside)?;
            return self.append(vec![bytes.slice_ref(part)]).await;
        }
        let mut this = self;
        let extents = recipe.extents_of(range);
        let mut hasher = this.progress.hasher().clone();
        for extent in &extents {
            let mut content = blobs.data().open_extent(extent).await?;
            while let Some(piece) = content.stream.try_next().await? {
                let hash = move || {
                    hasher.update(&piece);
                    Ok(hasher)
                };
                hasher = blocking("hash what is copied", hash).await?;
            }
        }
        this.progress.copied(&extents, hasher).ok_or(StoreError::TooManyParts)?;
        this.changed = true;
        Ok(this)
    }

    /// Goes back to how the session was when it was taken up.
    pub async fn rewind(self) -> Result<Self, StoreError> {
        let mut this = self;
        if let Some(Held { medium: Medium::Parts(parts), .. }) = &mut this.held {
            parts.rewind(this.before.own()).await?;
        }
        this.progress = (*this.before).clone();
        this.changed = false;
        Ok(this)
    }

    /// Puts the session away, so that any server of a bucket, or this one, can go on with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overtaken`] if another server went on with it meanwhile: what was added here is lost.
    pub async fn park(mut self) -> Result<(), StoreError> {
        match self.held.take() {
            Some(held) => put_away(self.progress.clone(), self.changed, held).await,
            None => Ok(()),
        }
    }

    /// Gives the upload up and removes what was received.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        match self.held.take() {
            Some(held) => remove(self.progress.own(), held).await,
            None => Ok(()),
        }
    }

    /// Fixes the digest of what was received, by the algorithm that it was begun with.
    pub fn seal(self) -> Sealed {
        Sealed { digest: self.progress.hasher().clone().finish(), upload: self }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let (progress, changed) = (self.progress.clone(), self.changed);
        match held {
            Held { medium: Medium::File(file), hold: Hold::Once } => drop(staged_file::remove(file.path())),
            held => {
                // Without a runtime the process is ending, and what was put away before is what counts.
                let Ok(runtime) = Handle::try_current() else { return };
                runtime.spawn(async move {
                    if let Err(error) = put_away(progress, changed, held).await {
                        tracing::debug!(%error, "an upload was dropped and could not be put away");
                    }
                });
            }
        }
    }
}

async fn put_away(progress: Progress, changed: bool, held: Held) -> Result<(), StoreError> {
    let Held { mut medium, hold } = held;
    let Hold::Session { mut slot, register, name, owner } = hold else {
        return remove(progress.own(), Held { medium, hold }).await;
    };
    match &mut medium {
        Medium::Parts(parts) => {
            let saved = if changed { parts.save(&progress).await } else { Ok(()) };
            register.release(&name);
            saved
        }
        // While all bytes are new, the file says everything.
        Medium::File(_) if !changed || progress.is_whole() => {
            *slot = Slot::At(Box::new(progress));
            Ok(())
        }
        Medium::File(_) => {
            let save = move || {
                let Medium::File(file) = &medium else { return Ok(()) };
                let saved = file.save(&owner, &progress);
                *slot = Slot::At(Box::new(progress));
                saved
            };
            blocking("put an upload away", save).await
        }
    }
}

async fn remove(own: DataId, held: Held) -> Result<(), StoreError> {
    let Held { medium, mut hold } = held;
    if let Hold::Session { slot, .. } = &mut hold {
        **slot = Slot::Spent;
    }
    let removed = match medium {
        Medium::Parts(parts) => parts.remove(own).await,
        // It may have been renamed away already; a leftover is swept up later.
        Medium::File(file) => {
            blocking("remove an upload", move || {
                staged_file::remove(file.path());
                Ok(())
            })
            .await
        }
    };
    // Only now, so that nobody finds it under a fresh lock.
    if let Hold::Session { register, name, .. } = &hold {
        register.forget(name);
    }
    removed
}

/// An upload that is complete, and can land under its final name.
#[derive(Debug)]
pub struct Sealed {
    digest: Digest,
    pub(crate) upload: Upload,
}

impl Sealed {
    /// The digest of all its bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of its bytes.
    pub fn size(&self) -> u64 {
        self.upload.received()
    }

    /// The data object that its new bytes will be.
    pub(crate) fn data(&self) -> DataId {
        self.upload.data()
    }

    /// Where its bytes will lie when it has landed.
    pub(crate) fn extents(&self) -> Vec<Extent> {
        self.upload.extents()
    }

    /// Its new bytes as the data object that they will be, if they are a local file that is known to hold what was hashed.
    pub(crate) fn local_data(&self) -> Option<Part> {
        let progress = &self.upload.progress;
        match &self.upload.held {
            Some(Held { medium: Medium::File(file), .. })
                if progress.own_len() > 0 && !progress.is_doubtful() =>
            {
                let (to, from) = (keys::data(&progress.own()), file.path().to_owned());
                Some(Part::File { to, file: file.file(), from, length: progress.own_len() })
            }
            _ => None,
        }
    }

    /// All its bytes, if they are no more than `most` and all new.
    pub(crate) async fn inline(&self, most: usize) -> Result<Option<Bytes>, StoreError> {
        let progress = &self.upload.progress;
        let Some(held) = &self.upload.held else { return Ok(None) };
        if progress.own_len() > most as u64 || !progress.is_whole() {
            return Ok(None);
        }
        match &held.medium {
            Medium::File(file) => file.read_all(progress.own_len()).await.map(Some),
            Medium::Parts(parts) => parts.read_all(progress).await,
        }
    }

    /// Ends the upload, whose bytes have landed or are not wanted.
    pub(crate) async fn spend(self) {
        // It has served its purpose; a leftover is swept up later.
        let _ = self.upload.discard().await;
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
