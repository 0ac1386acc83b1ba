//! Reading a blob by its recipe: extent after extent, as one stream.
//!
//! A recipe may be replaced by a better one while it is being read, and its data objects then be cleaned up. A reader that finds
//! one gone reads the recipe again and goes on where it was: the bytes of a digest are always the same.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::blobs::Blobs;
use crate::content::Content;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::keys;
use crate::recipe::{Body, Extent, Recipe};

/// How often a recipe is read again without getting any further.
const ATTEMPTS: u8 = 4;

/// The bytes `range` of a blob, which must lie within its size; `None` if it went away.
pub(crate) async fn open(
    blobs: Blobs,
    digest: Digest,
    recipe: &Recipe,
    range: Range<u64>,
) -> Result<Option<Content>, StoreError> {
    let mut reader =
        Reader { blobs, digest, rest: range.clone(), plan: VecDeque::new(), open: None, attempts: 0 };
    reader.follow(recipe);
    // What can be known to be missing is known before anything is sent.
    if !reader.ready().await? {
        return Ok(None);
    }
    let stream = stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|piece| (piece, reader)))
    });
    Ok(Some(Content { range, stream: stream.boxed() }))
}

struct Reader {
    blobs: Blobs,
    digest: Digest,
    /// The bytes of the blob that are still to come.
    rest: Range<u64>,
    plan: VecDeque<Source>,
    open: Option<BoxStream<'static, Result<Bytes, StoreError>>>,
    attempts: u8,
}

enum Source {
    Here(Bytes),
    At(Extent),
}

impl Reader {
    fn follow(&mut self, recipe: &Recipe) {
        self.plan = match recipe.body() {
            Body::Inline(bytes) => {
                // A recipe is as long as its blob, and a blob is always as long.
                let range = self.rest.start as usize..self.rest.end as usize;
                bytes.get(range).map(|part| Source::Here(bytes.slice_ref(part))).into_iter().collect()
            }
            Body::Extents(_) => recipe.extents_of(self.rest.clone()).into_iter().map(Source::At).collect(),
        };
    }

    /// Opens the next source if none is open; `false` if the blob is gone.
    async fn ready(&mut self) -> Result<bool, StoreError> {
        while self.open.is_none() {
            match self.plan.pop_front() {
                None => return Ok(true),
                Some(Source::Here(bytes)) => self.open = Some(stream::iter([Ok(bytes)]).boxed()),
                Some(Source::At(extent)) => {
                    let range = extent.offset..extent.offset + extent.length;
                    match self.blobs.data().open(&extent.data, range).await? {
                        Some(content) => self.open = Some(content.stream),
                        None => match self.again(&extent).await? {
                            Some(recipe) => self.follow(&recipe),
                            None => return Ok(false),
                        },
                    }
                }
            }
        }
        Ok(true)
    }

    /// Reads the recipe again, because a data object that it named is gone.
    async fn again(&mut self, extent: &Extent) -> Result<Option<Recipe>, StoreError> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            let path = keys::data(&extent.data).to_string();
            return Err(StoreError::Damaged { path, why: "a recipe needs it, but it is gone" });
        }
        Ok(self.blobs.confirm_recipe(&self.digest).await?.map(|recipe| (*recipe).clone()))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            if !self.ready().await? {
                return Err(StoreError::Damaged { path: self.digest.to_string(), why: "it went away" });
            }
            let Some(source) = &mut self.open else { return Ok(None) };
            match source.try_next().await? {
                Some(piece) => {
                    self.rest.start += piece.len() as u64;
                    self.attempts = 0;
                    return Ok(Some(piece));
                }
                None => self.open = None,
            }
        }
    }
}
