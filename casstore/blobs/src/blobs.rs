//! Content, named by its digest: what a blob is stands in its recipe, its bytes there or in data objects.
//!
//! Order of writing: data, flushed, then the recipe. So whoever sees a recipe sees all its bytes, also after a power cut. A recipe
//! may be replaced by another of the same bytes ([`Blobs::replace_recipe`]); readers do not notice.
//!
//! [`Blobs::find`] may answer from memory, a second late. [`Blobs::confirm`] asks the store: for a writer that relies on the answer.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::ObjectMeta;

use crate::content::Content;
use crate::data::DataObjects;
use crate::digest::{Algorithm, Digest};
use crate::error::{CommitError, StoreError};
use crate::hasher::Hasher;
use crate::hot::{Found, Hot, Key};
use crate::keys::{self, DataId};
use crate::landing::undisturbed;
use crate::objects::Objects;
use crate::ordered::Part;
use crate::reader;
use crate::recipe::{Body, Extent, LONGEST_RECIPE, MOST_INLINE, Recipe};
use crate::staged_parts::Certainty;
use crate::upload::{Sealed, Upload, blocking};

/// The blob store. Cloning gives another handle on it.
#[derive(Clone, Debug)]
pub struct Blobs {
    objects: Objects,
    data: DataObjects,
    hot: Hot,
}

/// What is known of a blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its bytes.
    pub size: u64,
}

impl Blobs {
    pub(crate) fn new(objects: Objects, data: DataObjects, hot: Hot) -> Self {
        Self { objects, data, hot }
    }

    /// The data objects that recipes point into.
    pub fn data(&self) -> &DataObjects {
        &self.data
    }

    /// Looks a blob up.
    pub async fn find(&self, digest: &Digest) -> Result<Option<Stat>, StoreError> {
        Ok(self.recipe(digest).await?.map(|recipe| Stat { size: recipe.size() }))
    }

    /// Looks a blob up in the store itself, whatever is remembered.
    pub async fn confirm(&self, digest: &Digest) -> Result<Option<Stat>, StoreError> {
        Ok(self.confirm_recipe(digest).await?.map(|recipe| Stat { size: recipe.size() }))
    }

    /// How a blob comes about.
    pub async fn recipe(&self, digest: &Digest) -> Result<Option<Arc<Recipe>>, StoreError> {
        match self.hot.get(&Key::Recipe(*digest)) {
            Ok(Found::Recipe(recipe)) => Ok(Some(recipe)),
            _ => self.confirm_recipe(digest).await,
        }
    }

    /// How a blob comes about, from the store itself, whatever is remembered.
    pub async fn confirm_recipe(&self, digest: &Digest) -> Result<Option<Arc<Recipe>>, StoreError> {
        let (key, place) = (Key::Recipe(*digest), keys::recipe(digest));
        let permit = self.hot.permit(&key);
        let Some(bytes) = self.objects.read_small(&place, LONGEST_RECIPE).await? else { return Ok(None) };
        let recipe = Recipe::parse(&bytes).map_err(|e| StoreError::recipe(&place, e))?;
        let recipe = Arc::new(recipe);
        self.hot.keep(key, Found::Recipe(Arc::clone(&recipe)), permit);
        Ok(Some(recipe))
    }

    /// Puts `better` in the place of `before`, unless that has changed meanwhile: says whether it did. Both must give the same
    /// bytes. The data objects that `better` does not need are left to the clean-up.
    pub async fn replace_recipe(
        &self,
        digest: &Digest,
        before: &Recipe,
        better: &Recipe,
    ) -> Result<bool, StoreError> {
        let replaced =
            self.objects.exchange_small(&keys::recipe(digest), &before.emit(), better.emit()).await?;
        self.hot.evict(&Key::Recipe(*digest));
        Ok(replaced)
    }

    /// Opens the bytes `range` of a blob, which must lie within its size; `None` if there is no such blob.
    pub async fn open(&self, digest: &Digest, range: Range<u64>) -> Result<Option<Content>, StoreError> {
        let Some(recipe) = self.recipe(digest).await? else { return Ok(None) };
        self.open_by(digest, &recipe, range).await
    }

    /// The same for one whose recipe was just looked up.
    pub async fn open_by(
        &self,
        digest: &Digest,
        recipe: &Recipe,
        range: Range<u64>,
    ) -> Result<Option<Content>, StoreError> {
        reader::open(self.clone(), *digest, recipe, range).await
    }

    /// Reads a whole blob of at most `limit` bytes.
    pub async fn read_small(&self, digest: &Digest, limit: usize) -> Result<Option<Bytes>, StoreError> {
        let Some(recipe) = self.recipe(digest).await? else { return Ok(None) };
        if recipe.size() > limit as u64 {
            return Err(StoreError::Damaged { path: digest.to_string(), why: "it is too long" });
        }
        let content = reader::open(self.clone(), *digest, &recipe, 0..recipe.size()).await?;
        let Some(mut content) = content else { return Ok(None) };
        let mut whole = BytesMut::new();
        while let Some(piece) = content.stream.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    }

    /// Makes an upload the blob `expected`, if that is what it is. Wrong content is dropped. A blob that exists gets these
    /// verified bytes, so that pushing again repairs a damaged one. Nothing links to it yet.
    pub async fn commit(&self, upload: Upload, expected: &Digest) -> Result<Stat, CommitError> {
        self.commit_with(upload, expected, Vec::new()).await
    }

    /// The same, with more to be written after it.
    pub(crate) async fn commit_with(
        &self,
        upload: Upload,
        expected: &Digest,
        after: Vec<Part>,
    ) -> Result<Stat, CommitError> {
        let (this, expected) = (self.clone(), *expected);
        undisturbed(async move { this.commit_undisturbed(upload.seal(), &expected, after).await }).await
    }

    async fn commit_undisturbed(
        &self,
        sealed: Sealed,
        expected: &Digest,
        after: Vec<Part>,
    ) -> Result<Stat, CommitError> {
        let wrong = |actual| CommitError::Digest { expected: Box::new(*expected), actual: Box::new(actual) };
        let (actual, size, own) = (sealed.digest(), sealed.size(), sealed.data());
        let same_algorithm = actual.algorithm() == expected.algorithm();
        if same_algorithm && actual != *expected {
            sealed.spend().await;
            return Err(wrong(actual));
        }
        // What cannot be wrong any more lands together with its recipe. The upload is spent when it has.
        let (mut parts, mut landing) = (Vec::new(), None);
        let (recipe, certainty) = match (sealed.inline(MOST_INLINE).await?, sealed.local_data()) {
            (Some(bytes), _) => {
                landing = Some(sealed);
                (Recipe::inline(bytes), Certainty::Certain)
            }
            (None, Some(data)) if same_algorithm => {
                let extents = sealed.extents();
                parts.push(data);
                landing = Some(sealed);
                (Recipe::of_extents(extents), Certainty::Certain)
            }
            (None, _) => {
                let (extents, certainty) = self.objects.land_data(sealed).await?;
                (Recipe::of_extents(extents), certainty)
            }
        };
        let recipe = recipe.map_err(|e| StoreError::recipe(&keys::recipe(expected), e))?;
        if !same_algorithm || certainty == Certainty::Hearsay {
            let actual = self.digest(&recipe, expected.algorithm()).await?;
            if actual != *expected {
                // What another server has landed may be part of its blob.
                if certainty == Certainty::Certain {
                    self.data.delete(&own).await?;
                }
                return Err(wrong(actual));
            }
        }
        parts.push(Part::Bytes { to: keys::recipe(expected), bytes: recipe.emit() });
        parts.extend(after);
        self.publish(expected, parts).await?;
        if let Some(landed) = landing {
            landed.spend().await;
        }
        Ok(Stat { size })
    }

    /// The digest of what a recipe gives. It is followed to the letter: a reader would get help from the recipe that stands.
    pub(crate) async fn digest(&self, recipe: &Recipe, algorithm: Algorithm) -> Result<Digest, StoreError> {
        let mut hasher = Hasher::new(algorithm);
        if let Body::Inline(bytes) = recipe.body() {
            hasher.update(bytes);
        }
        for extent in recipe.extents() {
            let mut content = self.data.open_extent(extent).await?;
            while let Some(piece) = content.stream.try_next().await? {
                let hash = move || {
                    hasher.update(&piece);
                    Ok(hasher)
                };
                hasher = blocking("hash an upload again", hash).await?;
            }
        }
        Ok(hasher.finish())
    }

    /// Stores bytes that are already in memory, as the data object `data` if they are too many for a recipe; how many is up to the caller.
    /// Nothing links to them yet.
    pub async fn put_small(
        &self,
        bytes: Bytes,
        algorithm: Algorithm,
        data: DataId,
    ) -> Result<Digest, StoreError> {
        let digest = algorithm.digest(&bytes);
        self.put_small_with(&digest, bytes, data, Vec::new()).await.map(|()| digest)
    }

    /// The same for bytes whose digest is known, with more to be written after them.
    pub(crate) async fn put_small_with(
        &self,
        digest: &Digest,
        bytes: Bytes,
        data: DataId,
        after: Vec<Part>,
    ) -> Result<(), StoreError> {
        let mut parts = Vec::new();
        let recipe = if bytes.len() <= MOST_INLINE {
            Recipe::inline(bytes)
        } else {
            let length = bytes.len() as u64;
            parts.push(Part::Bytes { to: keys::data(&data), bytes });
            Recipe::of_extents([Extent { data, offset: 0, length }])
        };
        let to = keys::recipe(digest);
        let recipe = recipe.map_err(|e| StoreError::recipe(&to, e))?;
        parts.push(Part::Bytes { to, bytes: recipe.emit() });
        parts.extend(after);
        self.publish(digest, parts).await
    }

    /// Writes a recipe, with what comes before and after it.
    async fn publish(&self, digest: &Digest, parts: Vec<Part>) -> Result<(), StoreError> {
        let written = self.objects.write_in_order(parts).await;
        self.hot.evict(&Key::Recipe(*digest));
        written
    }

    /// Deletes a blob's recipe, if there is one. Nothing is asked about who refers to it; its data objects are left to the
    /// clean-up.
    pub async fn delete(&self, digest: &Digest) -> Result<(), StoreError> {
        let deleted = self.objects.delete(&keys::recipe(digest)).await;
        self.hot.evict(&Key::Recipe(*digest));
        deleted
    }

    /// All blobs, with when their recipes were written, in no order. The size that is listed is the recipe's.
    pub fn list(&self) -> BoxStream<'static, Result<(Digest, ObjectMeta), StoreError>> {
        let all = self.objects.list(keys::all_recipes());
        all.filter_map(|meta| async move {
            match meta {
                // What is not named as a blob was not put there by this store.
                Ok(meta) => keys::digest_of(&meta.location).map(|digest| Ok((digest, meta))),
                Err(e) => Some(Err(e)),
            }
        })
        .boxed()
    }
}
