//! Which ranges of which blobs may be copied into an upload: the compose extension's side of the storage.
//!
//! A [`Composer`] answers for one repository: a blob that it does not hold may not be copied, whoever else holds it. What is
//! copied is read and hashed by [`Upload::copy`] as if it had been sent, so a digest is never taken on trust. Bounds keep a
//! few instructions from making a blob that costs nothing to send and much to hash, to keep or to fetch; they are asked before the
//! work is done.

use std::collections::HashMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::instructions::BlobRange;
use crate::keys::DataId;
use crate::names::RepositoryName;
use crate::recipe::{Body, Extent, MOST_EXTENTS, Recipe};
use crate::storage::Storage;
use crate::upload::Upload;

/// Blobs that one request may copy from, each of which is looked up.
const MOST_SOURCES: usize = 256;
/// How often the stored bytes that a blob consists of may be in it.
const MOST_REPETITION: u64 = 16;
/// Below this size a blob may repeat what it likes.
const SMALL: u64 = 1024 * 1024;

/// A range may not be copied.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The repository does not hold the blob.
    #[error("this repository holds no blob {0}; send its bytes")]
    Unknown(Digest),
    /// The blob ends before the range does.
    #[error("{digest} has {size} bytes and ends before the range that is to be copied")]
    Range {
        /// The blob.
        digest: Digest,
        /// Its bytes.
        size: u64,
    },
    /// Too many sources, parts, or repetitions.
    #[error("the blob has more parts or repetitions than are taken; send it whole")]
    TooMuch,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks up the blobs that one request copies from.
#[derive(Debug)]
pub struct Composer {
    storage: Storage,
    repository: RepositoryName,
    sources: HashMap<Digest, Arc<Recipe>>,
    substance: Substance,
}

impl Storage {
    /// What copies blobs of a repository into its uploads.
    pub fn composer(&self, repository: &RepositoryName) -> Composer {
        Composer {
            storage: self.clone(),
            repository: repository.clone(),
            sources: HashMap::new(),
            substance: Substance::default(),
        }
    }
}

impl Composer {
    /// Whether a range may be copied to the end of `upload`, which the caller then does; the recipe to copy it by. The upload is the
    /// same one each time.
    ///
    /// # Errors
    ///
    /// [`ComposeError`], before anything is changed.
    pub async fn admit(&mut self, upload: &Upload, range: &BlobRange) -> Result<Arc<Recipe>, ComposeError> {
        let recipe = self.source(&range.digest).await?;
        let (digest, size) = (range.digest, recipe.size());
        let end = range.offset.checked_add(range.length).filter(|end| *end <= size);
        let end = end.ok_or(ComposeError::Range { digest, size })?;
        let copied = recipe.extents_of(range.offset..end);
        if upload.extent_count() + copied.len() > MOST_EXTENTS {
            return Err(ComposeError::TooMuch);
        }
        self.substance.begin(upload);
        let written_again = match recipe.body() {
            Body::Inline(_) => {
                self.substance.inline.insert(digest, size);
                range.length
            }
            Body::Extents(_) => {
                self.substance.refer(&copied);
                0
            }
        };
        let (received, own) = (upload.received().saturating_add(range.length), upload.progress.own_len());
        if !self.substance.carries(received, own) {
            return Err(ComposeError::TooMuch);
        }
        self.substance.copied = self.substance.copied.saturating_add(written_again);
        Ok(recipe)
    }

    /// Whether what was composed may stay as it is.
    ///
    /// # Errors
    ///
    /// [`ComposeError::TooMuch`] if it consists of the same bytes again and again.
    pub fn accept(&self, upload: &Upload) -> Result<(), ComposeError> {
        let size = upload.received();
        let may = size <= SMALL || size / MOST_REPETITION <= reach(&upload.extents());
        if may { Ok(()) } else { Err(ComposeError::TooMuch) }
    }

    async fn source(&mut self, digest: &Digest) -> Result<Arc<Recipe>, ComposeError> {
        if let Some(recipe) = self.sources.get(digest) {
            return Ok(Arc::clone(recipe));
        }
        if self.sources.len() >= MOST_SOURCES {
            return Err(ComposeError::TooMuch);
        }
        let unknown = || ComposeError::Unknown(*digest);
        if !self.storage.repositories.linked(&self.repository, digest).await? {
            return Err(unknown());
        }
        let recipe = self.storage.blobs.recipe(digest).await?.ok_or_else(unknown)?;
        self.sources.insert(*digest, Arc::clone(&recipe));
        Ok(recipe)
    }
}

/// What an upload is made of, repetitions left out: what a client really sent, and what lies in other blobs.
///
/// A copy of a blob whose bytes stand in its recipe is written again with the bytes that are sent, and the session does not tell the two
/// apart later. So of what was there before this request each byte carries itself and no repetition.
#[derive(Debug, Default)]
struct Substance {
    /// New bytes when the request began; none before the first copy.
    before: Option<u64>,
    /// First and last byte that is used of each data object of other blobs.
    spans: HashMap<DataId, (u64, u64)>,
    /// The sum of these.
    reach: u64,
    /// The sizes of sources whose bytes stand in their recipes, and what was copied of them.
    inline: HashMap<Digest, u64>,
    copied: u64,
}

impl Substance {
    fn begin(&mut self, upload: &Upload) {
        if self.before.is_none() {
            self.before = Some(upload.progress.own_len());
            let own = upload.progress.own();
            let others = upload.progress.extents().iter().filter(|extent| extent.data != own);
            others.for_each(|extent| self.extend(extent));
        }
    }

    fn refer(&mut self, extents: &[Extent]) {
        extents.iter().for_each(|extent| self.extend(extent));
    }

    fn extend(&mut self, extent: &Extent) {
        let end = extent.offset.saturating_add(extent.length);
        let span = self.spans.entry(extent.data).or_insert((extent.offset, extent.offset));
        let before = span.1 - span.0;
        *span = (span.0.min(extent.offset), span.1.max(end));
        self.reach = self.reach.saturating_add(span.1 - span.0 - before);
    }

    /// Whether this and `own` new bytes make a blob of `received` bytes, with the copy that is asked for.
    fn carries(&self, received: u64, own: u64) -> bool {
        let before = self.before.unwrap_or(0);
        let sent = own.saturating_sub(before).saturating_sub(self.copied);
        let inline = self.inline.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
        let substance = self.reach.saturating_add(sent).saturating_add(inline);
        received <= SMALL || received.saturating_sub(before) / MOST_REPETITION <= substance
    }
}

/// Bytes of storage between the first and the last that extents use, object by object: at least as many as they use.
fn reach(extents: &[Extent]) -> u64 {
    let mut spans: HashMap<DataId, (u64, u64)> = HashMap::new();
    for extent in extents {
        let end = extent.offset + extent.length;
        let span = spans.entry(extent.data).or_insert((extent.offset, end));
        *span = (span.0.min(extent.offset), span.1.max(end));
    }
    spans.values().map(|(start, end)| end - start).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_are_written_again_are_not_sent_bytes() {
        let source = Digest::of(b"source");
        let mut substance = Substance { before: Some(0), ..Substance::default() };
        for copies in 1..=32u64 {
            substance.inline.insert(source, 64 * 1024);
            let (own, received) = ((copies - 1) * 64 * 1024, copies * 64 * 1024);
            // Sixteen times the one source, which is 1 MiB.
            assert_eq!(substance.carries(received, own), copies <= 16, "{copies}");
            substance.copied += 64 * 1024;
        }
        // What was really sent carries more of them.
        let sent = 1024 * 1024;
        assert!(substance.carries(32 * 64 * 1024 + sent, 32 * 64 * 1024 + sent));
        // What an earlier request left is not told from copies, so it carries nothing but itself.
        let mut later = Substance { before: Some(sent), ..Substance::default() };
        later.inline.insert(source, 1);
        assert!(later.carries(sent + 16, sent) && !later.carries(sent + 32, sent));
    }

    #[test]
    fn reach_grows_as_extents_are_added() {
        let extent =
            |data: u8, offset, length| Extent { data: DataId::from_bytes([data; 16]), offset, length };
        let extents =
            [extent(1, 50, 10), extent(2, 0, 10), extent(1, 50, 10), extent(1, 90, 10), extent(1, 0, 5)];
        let mut substance = Substance::default();
        for (number, one) in extents.iter().enumerate() {
            substance.refer(std::slice::from_ref(one));
            assert_eq!(substance.reach, reach(&extents[..=number]));
        }
    }

    #[test]
    fn repeated_bytes_count_once() {
        let extent =
            |data: u8, offset, length| Extent { data: DataId::from_bytes([data; 16]), offset, length };
        assert_eq!(reach(&[]), 0);
        assert_eq!(reach(&[extent(1, 0, 10), extent(1, 0, 10), extent(1, 5, 10)]), 15);
        assert_eq!(reach(&[extent(1, 0, 10), extent(2, 0, 10), extent(1, 90, 10)]), 110);
    }
}
