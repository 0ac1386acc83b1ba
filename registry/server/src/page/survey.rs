//! Reading what a page shows out of the storage, within a bound.
//!
//! A repository may hold any number of tags, a manifest any number of layers, a recipe any number of extents. A
//! [`Survey`] reads with a few requests at a time and a [`Budget`] for the whole page; what did not fit is said.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use plyos_blobs::{Digest, Recipe, RepositoryName, StoreError, Tag};

use super::footprint::Footprint;
use super::image::{Form, Image};
use crate::router::Registry;

/// Longest manifest that is looked into; a larger one is named and not opened.
const LONGEST_MANIFEST: usize = 1024 * 1024;
/// Reads at a time: on a bucket each is a round trip.
const AT_A_TIME: usize = 16;
/// Manifests of an index that are looked into.
const MOST_PLATFORMS: usize = 8;

/// How much one page may still read.
#[derive(Debug)]
pub(super) struct Budget {
    reads: usize,
    extents: usize,
    /// Whether something was left out.
    pub(super) spent: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { reads: 4000, extents: 400_000, spent: false }
    }
}

impl Budget {
    /// How many of `wanted` reads are granted.
    fn grant(&mut self, wanted: usize) -> usize {
        let granted = wanted.min(self.reads);
        self.reads -= granted;
        self.spent |= granted < wanted;
        granted
    }

    fn grant_extents(&mut self, wanted: usize) -> bool {
        let granted = wanted <= self.extents;
        self.extents = self.extents.saturating_sub(wanted);
        self.spent |= !granted;
        granted
    }
}

/// A manifest under a tag.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) tag: String,
    pub(super) digest: Digest,
    pub(super) image: Image,
    /// The images of an index, with what the index calls them.
    pub(super) platforms: Vec<Image>,
}

impl Tagged {
    /// Every blob that it needs, manifests left out, each once.
    pub(super) fn blobs(&self) -> Vec<(Digest, u64)> {
        let own = (self.image.form != Form::Index).then_some(&self.image);
        let parts = own.into_iter().chain(&self.platforms).flat_map(Image::all_parts);
        let mut blobs: Vec<_> = parts.map(|part| (part.digest, part.size)).collect();
        blobs.sort_unstable();
        blobs.dedup_by_key(|(digest, _)| *digest);
        blobs
    }

    /// Bytes of all that it needs.
    pub(super) fn size(&self) -> u64 {
        self.blobs().iter().fold(0, |sum, (_, size)| sum.saturating_add(*size))
    }
}

/// What a page reads with.
pub(super) struct Survey<'a> {
    registry: &'a Registry,
    pub(super) budget: Budget,
}

impl<'a> Survey<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self { registry, budget: Budget::default() }
    }

    /// What stands under tags; those that went away meanwhile are left out.
    pub(super) async fn tagged(
        &mut self,
        repository: &RepositoryName,
        tags: Vec<String>,
    ) -> Result<Vec<Tagged>, StoreError> {
        // A tag, its link, its manifest.
        let granted = self.budget.grant(tags.len() * 3) / 3;
        let registry = self.registry;
        let reads = tags.into_iter().take(granted).map(|tag| async move {
            let Ok(parsed) = tag.parse::<Tag>() else { return Ok(None) };
            let Some(digest) = registry.storage.repositories.tag(repository, &parsed).await? else {
                return Ok(None);
            };
            Ok::<_, StoreError>(image(registry, repository, &digest).await?.map(|image| (tag, digest, image)))
        });
        let read: Vec<_> = stream::iter(reads).buffered(AT_A_TIME).try_collect().await?;
        let mut tagged = Vec::new();
        for (tag, digest, image) in read.into_iter().flatten() {
            let platforms = self.platforms(repository, &image).await?;
            tagged.push(Tagged { tag, digest, image, platforms });
        }
        Ok(tagged)
    }

    async fn platforms(
        &mut self,
        repository: &RepositoryName,
        index: &Image,
    ) -> Result<Vec<Image>, StoreError> {
        if index.form != Form::Index {
            return Ok(Vec::new());
        }
        let wanted = index.parts.len().min(MOST_PLATFORMS);
        self.budget.spent |= wanted < index.parts.len() || index.more;
        let granted = self.budget.grant(wanted * 2) / 2;
        let registry = self.registry;
        let digests: Vec<Digest> = index.parts.iter().take(granted).map(|part| part.digest).collect();
        let reads =
            digests.into_iter().map(|digest| async move { image(registry, repository, &digest).await });
        let images: Vec<_> = stream::iter(reads).buffered(AT_A_TIME).try_collect().await?;
        Ok(images.into_iter().flatten().collect())
    }

    /// Adds blobs of a repository to a footprint; returns how many bytes they brought, or `None` where the bound was met.
    pub(super) async fn add(
        &mut self,
        footprint: &mut Footprint,
        repository: &RepositoryName,
        blobs: &[(Digest, u64)],
    ) -> Result<Option<u64>, StoreError> {
        // Whether the repository holds it, its recipe.
        let granted = self.budget.grant(blobs.len() * 2) / 2;
        let mut whole = granted == blobs.len();
        let mut new = 0;
        let digests = blobs.iter().take(granted).map(|(digest, _)| *digest).collect();
        for (digest, recipe) in self.recipes(repository, digests).await? {
            if self.budget.grant_extents(recipe.extents().len()) {
                new += footprint.add(&digest, &recipe);
            } else {
                whole = false;
            }
        }
        Ok(whole.then_some(new))
    }

    /// The recipes of what a repository holds; what it does not (layers that lie elsewhere) is left out.
    async fn recipes(
        &self,
        repository: &RepositoryName,
        digests: Vec<Digest>,
    ) -> Result<Vec<(Digest, Arc<Recipe>)>, StoreError> {
        let registry = self.registry;
        let reads = digests.into_iter().map(|digest| async move {
            if !holds(registry, repository, &digest).await? {
                return Ok(None);
            }
            let recipe = registry.storage.blobs.recipe(&digest).await?;
            Ok::<_, StoreError>(recipe.map(|recipe| (digest, recipe)))
        });
        let read: Vec<_> = stream::iter(reads).buffered(AT_A_TIME).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }
}

/// Whether a repository holds a blob or manifest. A manifest may name what others hold, and whoever may look at the one may not
/// therefore learn of the other.
pub(super) async fn holds(
    registry: &Registry,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, StoreError> {
    let repositories = &registry.storage.repositories;
    Ok(repositories.linked(repository, digest).await?
        || repositories.manifest(repository, digest).await?.is_some())
}

/// A manifest of a repository.
pub(super) async fn image(
    registry: &Registry,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Image>, StoreError> {
    let storage = &registry.storage;
    let Some(manifest) = storage.repositories.manifest(repository, digest).await? else { return Ok(None) };
    let Some(stat) = storage.blobs.find(digest).await? else { return Ok(None) };
    let bytes = if stat.size <= LONGEST_MANIFEST as u64 {
        storage.blobs.read_small(digest, LONGEST_MANIFEST).await?
    } else {
        None
    };
    Ok(Some(Image::parse(&manifest.media_type, bytes.as_deref().unwrap_or_default())))
}
