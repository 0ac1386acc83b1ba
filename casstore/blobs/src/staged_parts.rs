//! The bytes of an upload in a bucket: parts of the data object that they will be, so that landing costs no copy.
//!
//! A bucket takes parts of 5 MiB and more, in order. What is less lies in a *spool*, a local file without a name, so that memory does
//! not grow with uploads, and goes into the session's state when that is put away. The state is replaced by conditional writes: of two
//! servers that go on with one session, one is told that it was overtaken. A part that was put by the other then has another name, and
//! the bucket refuses to join it. Nobody ever writes over a data object, since each who takes a session up chooses a new one, unless
//! there are parts already, and these are joined once.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{PutPayload, UpdateVersion};
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::keys::{self, DataId};
use crate::objects::{IfExists, Landed, Objects};
use crate::progress::Progress;
use crate::saved::{Begun, Parts, Saved};
use crate::upload::blocking;

/// Size of the first parts. S3 takes no less than 5 MiB.
const PART: u64 = 8 * 1024 * 1024;
/// Parts after which their size doubles: S3 takes no more than 10,000, and these then hold 300 GiB, above the largest blob that a
/// registry takes unless told otherwise.
const PARTS_OF_A_SIZE: usize = 2500;
/// Parts in memory at a time, whatever the number of uploads.
const MOST_FLIGHTS: u32 = 4;
/// Longest state that is read back: its line, and a tail that nearly is a part.
const LONGEST_STATE: usize = 96 * 1024 * 1024;

/// Where parts go.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) objects: Objects,
    multipart: Multipart,
    spools: PathBuf,
    flights: Semaphore,
}

/// A store of parts, which has no `Debug` of its own.
struct Multipart(Arc<dyn MultipartStore>);

impl std::fmt::Debug for Multipart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MultipartStore")
    }
}

impl Bucket {
    /// Puts spools into the directory `spools`, which must exist.
    pub(crate) fn new(objects: Objects, multipart: Arc<dyn MultipartStore>, spools: PathBuf) -> Self {
        let flights = Semaphore::new(MOST_FLIGHTS as usize);
        Self { objects, multipart: Multipart(multipart), spools, flights }
    }

    /// Removes a session whoever it belongs to, with the parts that it has put.
    pub(crate) async fn remove(&self, own: DataId) -> Result<(), StoreError> {
        let key = keys::upload(&own);
        let state = self.objects.read_small(&key, LONGEST_STATE).await?;
        let parts =
            state.and_then(|state| Saved::parse(own, &state)).map(|saved| saved.parts).unwrap_or_default();
        if let (Some(data), Some(begun)) = (parts.data(), &parts.begun) {
            self.abort(&data, &begun.upload).await;
        }
        self.objects.delete(&key).await
    }

    async fn abort(&self, data: &DataId, upload: &String) {
        // What cannot be removed now is removed by the bucket's own rule for unfinished objects.
        let _ = self.multipart.0.abort_multipart(&keys::data(data), upload).await;
    }
}

/// The parts and the spool of an upload.
#[derive(Debug)]
pub(crate) struct StagedParts {
    bucket: Arc<Bucket>,
    spool: Arc<File>,
    /// Where in the spool that starts which is in no part.
    start: u64,
    tail: u64,
    parts: Parts,
    /// The data object that the new bytes will be.
    target: DataId,
    /// Of a session that others can go on with.
    session: Option<State>,
}

/// What is known of a data object that has landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// It is made of the bytes that were hashed.
    Certain,
    /// It was there already and is as long: to be hashed again.
    Hearsay,
}

#[derive(Clone, Debug)]
struct State {
    owner: String,
    version: UpdateVersion,
    /// What was put away last; its tail is in the bucket.
    progress: Progress,
    parts: Parts,
}

impl StagedParts {
    /// An upload that lives in this process only.
    pub(crate) async fn once(bucket: Arc<Bucket>, target: DataId) -> Result<Self, StoreError> {
        let spool = spool(&bucket, Bytes::new()).await?;
        Ok(Self { bucket, spool, start: 0, tail: 0, parts: Parts::default(), target, session: None })
    }

    /// Puts a new session into the bucket.
    pub(crate) async fn begin(bucket: &Bucket, owner: String, progress: Progress) -> Result<(), StoreError> {
        let key = keys::upload(&progress.own());
        let saved = Saved { owner, progress, parts: Parts::default(), tail: Bytes::new() };
        bucket.objects.write_small(&key, emit(&saved, &key)?).await
    }

    /// Takes a session up where it was put away; `None` if there is none of this owner.
    pub(crate) async fn resume(
        bucket: Arc<Bucket>,
        own: DataId,
        owner: &str,
    ) -> Result<Option<(Self, Progress)>, StoreError> {
        let key = keys::upload(&own);
        // The state with its tail is in memory for a moment.
        let flight = bucket.flights.acquire().await;
        let Some((bytes, version)) = bucket.objects.read_versioned(&key, LONGEST_STATE).await? else {
            return Ok(None);
        };
        let Some(saved) = Saved::parse(own, &bytes).filter(|saved| saved.owner == owner) else {
            return Ok(None);
        };
        let Saved { owner, progress, parts, tail } = saved;
        let tail_len = tail.len() as u64;
        let spool = spool(&bucket, tail).await?;
        drop(flight);
        let version = version.unwrap_or(UpdateVersion { e_tag: None, version: None });
        let target = match parts.data() {
            Some(target) => target,
            None => new_id()?,
        };
        let session = Some(State { owner, version, progress: progress.clone(), parts: parts.clone() });
        Ok(Some((Self { bucket, spool, start: 0, tail: tail_len, parts, target, session }, progress)))
    }

    /// Adds pieces to the spool. May block. After a failure the progress is that before the piece that failed.
    pub(crate) fn append(&mut self, progress: &mut Progress, pieces: &[Bytes]) -> std::io::Result<()> {
        if self.start > 0 {
            // What is left behind the last part is less than what comes at a time.
            let mut rest = vec![0; self.tail as usize];
            self.spool.read_exact_at(&mut rest, self.start)?;
            self.spool.write_all_at(&rest, 0)?;
            self.start = 0;
        }
        for piece in pieces {
            self.spool.write_all_at(piece, self.tail)?;
            progress.wrote(piece)?;
            self.tail += piece.len() as u64;
        }
        Ok(())
    }

    fn part_size(&self) -> u64 {
        PART << (self.parts.done.len() / PARTS_OF_A_SIZE).min(3)
    }

    /// Puts what is enough for a part. The upload stays whole if this is dropped halfway.
    pub(crate) async fn flush(&mut self, own: DataId) -> Result<(), StoreError> {
        while self.tail >= self.part_size() {
            self.put_part(own, self.part_size()).await?;
        }
        Ok(())
    }

    async fn put_part(&mut self, own: DataId, length: u64) -> Result<(), StoreError> {
        let key = keys::data(&self.target);
        let failed = |e| StoreError::backend("write a part of", &key, e);
        let upload = match &self.parts.begun {
            Some(begun) => begun.upload.clone(),
            None => {
                let upload = self.bucket.multipart.0.create_multipart(&key).await.map_err(failed)?;
                self.parts.begun = Some(Begun { data: self.target.to_string(), upload: upload.clone() });
                if let Err(e) = self.note_begun(own).await {
                    self.bucket.abort(&self.target, &upload).await;
                    self.parts.begun = None;
                    return Err(e);
                }
                upload
            }
        };
        let bucket = Arc::clone(&self.bucket);
        let weight = (length / PART).clamp(1, u64::from(MOST_FLIGHTS)) as u32;
        // The semaphore is never closed.
        let _flight = bucket.flights.acquire_many(weight).await;
        let part = self.read_spool(length).await?;
        let payload = PutPayload::from_bytes(part);
        let index = self.parts.done.len();
        let part = self.bucket.multipart.0.put_part(&key, &upload, index, payload).await.map_err(failed)?;
        self.parts.done.push(part.content_id);
        self.start += length;
        self.tail -= length;
        Ok(())
    }

    /// Lets the sweep find the unfinished object, also if this server dies before it puts the session away.
    async fn note_begun(&mut self, own: DataId) -> Result<(), StoreError> {
        let Some(mut session) = self.session.clone() else { return Ok(()) };
        session.parts.begun.clone_from(&self.parts.begun);
        // What was put away last ends where new bytes began, so its tail is what the spool starts with.
        let tail = self.read_spool(session.progress.own_len().min(self.tail)).await?;
        self.replace(own, session, tail).await
    }

    /// Puts the session away, so that any server can go on with it.
    pub(crate) async fn save(&mut self, progress: &Progress) -> Result<(), StoreError> {
        let Some(mut session) = self.session.clone() else { return Ok(()) };
        session.progress = progress.clone();
        session.parts = self.parts.clone();
        let bucket = Arc::clone(&self.bucket);
        let _flight = bucket.flights.acquire().await;
        let tail = self.read_spool(self.tail).await?;
        self.replace(progress.own(), session, tail).await
    }

    async fn replace(&mut self, own: DataId, mut session: State, tail: Bytes) -> Result<(), StoreError> {
        let key = keys::upload(&own);
        let (owner, progress, parts) =
            (session.owner.clone(), session.progress.clone(), session.parts.clone());
        let bytes = emit(&Saved { owner, progress, parts, tail }, &key)?;
        let version = self.bucket.objects.replace_version(&key, bytes, session.version.clone()).await?;
        session.version = version.ok_or(StoreError::Overtaken { path: key.to_string() })?;
        self.session = Some(session);
        Ok(())
    }

    /// Goes back to what was put away last.
    pub(crate) async fn rewind(&mut self, own: DataId) -> Result<Option<Progress>, StoreError> {
        let Some(session) = &self.session else { return Ok(None) };
        let begun = self.parts.begun.clone();
        let again = Self::resume(Arc::clone(&self.bucket), own, &session.owner).await?;
        let Some((mut again, progress)) = again else {
            return Err(StoreError::Overtaken { path: keys::upload(&own).to_string() });
        };
        if again.parts.begun.is_none() && begun.is_some() {
            again.parts.begun = begun;
            again.target = self.target;
        }
        *self = again;
        Ok(Some(progress))
    }

    /// The new bytes, if they are all in the spool.
    pub(crate) async fn read_all(&self, progress: &Progress) -> Result<Option<Bytes>, StoreError> {
        if self.tail != progress.own_len() { Ok(None) } else { self.read_spool(self.tail).await.map(Some) }
    }

    async fn read_spool(&self, length: u64) -> Result<Bytes, StoreError> {
        let (spool, start) = (Arc::clone(&self.spool), self.start);
        blocking("read an upload", move || {
            let mut bytes = vec![0; length as usize];
            spool.read_exact_at(&mut bytes, start)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    /// The data object that the new bytes will be.
    pub(crate) fn target(&self) -> DataId {
        self.target
    }

    /// Makes the new bytes the data object, if there are any.
    pub(crate) async fn land_data(&mut self, progress: &Progress) -> Result<Certainty, StoreError> {
        let key = keys::data(&self.target);
        if progress.own_len() == 0 {
            return Ok(Certainty::Certain);
        }
        if self.parts.begun.is_none() {
            let whole = self.read_spool(self.tail).await?;
            self.bucket.objects.write_small(&key, whole).await?;
            return Ok(Certainty::Certain);
        }
        let certainty = match self.join(progress.own(), &key).await {
            Ok(()) => Certainty::Certain,
            // A server that died after this step, an answer that was lost, or another server with bytes of its own. The bucket then knows
            // of no upload any more, be it for a last part or for joining them.
            Err(e) => match self.bucket.objects.head(&key).await? {
                Some(meta) if meta.size == progress.own_len() => Certainty::Hearsay,
                _ => return Err(e),
            },
        };
        self.parts = Parts::default();
        Ok(certainty)
    }

    async fn join(&mut self, own: DataId, key: &Path) -> Result<(), StoreError> {
        if self.tail > 0 {
            self.put_part(own, self.tail).await?;
        }
        let Some(begun) = self.parts.begun.clone() else { return Ok(()) };
        let parts = self.parts.done.iter().map(|id| PartId { content_id: id.clone() }).collect();
        let joined = self.bucket.multipart.0.complete_multipart(key, &begun.upload, parts).await;
        joined.map(drop).map_err(|e| StoreError::backend("join the parts of", key, e))
    }

    /// Makes the new bytes an object under another name.
    pub(crate) async fn land_at(
        &mut self,
        progress: &Progress,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        let objects = self.bucket.objects.clone();
        if self.parts.begun.is_none() {
            let whole = self.read_spool(self.tail).await?;
            return match if_exists {
                IfExists::Replace => objects.write_small(to, whole).await.map(|()| Landed::Yes),
                IfExists::Keep if objects.create_small(to, whole).await? => Ok(Landed::Yes),
                IfExists::Keep => Ok(Landed::Existed),
            };
        }
        self.land_data(progress).await?;
        let data = keys::data(&self.target);
        let landed = objects.copy(&data, to, if_exists).await;
        objects.delete(&data).await?;
        landed
    }

    /// Ends the upload; what has not landed is gone.
    pub(crate) async fn remove(&self, own: DataId) -> Result<(), StoreError> {
        if let Some(begun) = &self.parts.begun {
            self.bucket.abort(&self.target, &begun.upload).await;
        }
        match self.session {
            Some(_) => self.bucket.objects.delete(&keys::upload(&own)).await,
            None => Ok(()),
        }
    }
}

fn new_id() -> Result<DataId, StoreError> {
    DataId::random().map_err(StoreError::staging("name a data object"))
}

async fn spool(bucket: &Bucket, tail: Bytes) -> Result<Arc<File>, StoreError> {
    let spools = bucket.spools.clone();
    blocking("make a file for an upload", move || {
        let spool = tempfile::tempfile_in(spools)?;
        spool.write_all_at(&tail, 0)?;
        Ok(Arc::new(spool))
    })
    .await
}

fn emit(saved: &Saved, key: &Path) -> Result<Bytes, StoreError> {
    let unwritable = || StoreError::Damaged { path: key.to_string(), why: "it cannot be put into JSON" };
    saved.emit().ok_or_else(unwritable)
}
