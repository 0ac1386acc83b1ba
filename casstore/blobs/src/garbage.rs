//! What there is of each kind that a clean-up looks after, and what refers to it.
//!
//! | kind | is referred to by |
//! | --- | --- |
//! | links and referrer entries of a repository | its manifests, which name digests |
//! | recipes | links and manifests of all repositories |
//! | piece lists | recipes |
//! | data objects | recipes |
//!
//! What cannot be read may refer to anything: then nothing of that kind is deleted, and [`Reference::Unreadable`] says why.

use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::error::StoreError;
use crate::keys;
use crate::marks::Mark;
use crate::named;
use crate::names::RepositoryName;
use crate::pace::Pace;
use crate::recipe::{Recipe, recipe, recipe_extent};
use crate::storage::Storage;

/// Objects read at a time.
const AT_A_TIME: usize = 16;
/// Largest manifest that is read: four times what the specification asks registries to take.
pub(crate) const LARGEST_MANIFEST: usize = 16 * 1024 * 1024;

/// Objects that are cleaned up together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Links to blobs, and entries below subjects.
    OfRepository(RepositoryName),
    Recipes,
    Pieces,
    Data,
}

/// What an object refers to.
#[derive(Debug)]
pub(crate) enum Reference {
    To(Vec<Mark>),
    /// The object is damaged, or its content is gone.
    Unreadable(String),
}

type Objects = BoxStream<'static, Result<ObjectMeta, StoreError>>;

impl Kind {
    /// All objects of this kind.
    pub(crate) fn objects(&self, storage: &Storage) -> Objects {
        let list = |prefix: Path| storage.objects.list(prefix);
        match self {
            Self::OfRepository(name) => {
                let links = only(list(keys::links(name)), |key| keys::digest_of(key).is_some());
                let entry = |key: &Path| key.filename().and_then(keys::digest_of_segment).is_some();
                links.chain(only(list(keys::all_referrers(name)), entry)).boxed()
            }
            Self::Recipes => only(list(keys::all_recipes()), |key| keys::digest_of(key).is_some()),
            Self::Pieces => only(list(keys::all_pieces()), |key| keys::digest_of(key).is_some()),
            Self::Data => only(list(keys::all_data()), |key| keys::data_of(key).is_some()),
        }
    }

    /// What objects of this kind are referred to, by all that there is or by what was written since some time.
    pub(crate) fn references<'a>(
        &'a self,
        storage: &'a Storage,
        since: Option<SystemTime>,
        pace: &'a Pace,
    ) -> BoxStream<'a, Result<Reference, StoreError>> {
        let new =
            move |meta: &ObjectMeta| since.is_none_or(|since| SystemTime::from(meta.last_modified) >= since);
        let list =
            |prefix: Path| storage.objects.list(prefix).try_filter(move |meta| std::future::ready(new(meta)));
        match self {
            Self::OfRepository(name) => list(keys::manifests(name))
                .map(move |meta| async move {
                    let key = meta?.location;
                    pace.step().await;
                    of_manifest(storage, name, &key).await
                })
                .buffer_unordered(AT_A_TIME)
                .boxed(),
            Self::Recipes => list(keys::all_repositories())
                .map_ok(|meta| Reference::To(of_link(&meta.location).into_iter().collect()))
                .boxed(),
            Self::Pieces => list(keys::all_recipes())
                .map_ok(|meta| {
                    let digest = keys::digest_of(&meta.location);
                    Reference::To(digest.iter().map(|digest| Mark::of(&keys::pieces(digest))).collect())
                })
                .boxed(),
            Self::Data => list(keys::all_recipes())
                .try_filter(|meta| std::future::ready(may_have_extents(meta.size)))
                .map(move |meta| async move {
                    let key = meta?.location;
                    pace.step().await;
                    of_recipe(storage, &key).await
                })
                .buffer_unordered(AT_A_TIME)
                .boxed(),
        }
    }

    /// Deletes an object of this kind, and forgets it.
    pub(crate) async fn delete(&self, storage: &Storage, key: &Path) -> Result<(), StoreError> {
        let digest = keys::digest_of(key);
        match (self, digest) {
            (Self::OfRepository(name), Some(digest)) => storage.repositories.unlink(name, &digest).await,
            (Self::Recipes, Some(digest)) => storage.blobs.delete(&digest).await,
            _ => storage.objects.delete(key).await,
        }
    }
}

fn only(objects: Objects, wanted: impl Fn(&Path) -> bool + Send + 'static) -> Objects {
    objects.try_filter(move |meta| std::future::ready(wanted(&meta.location))).boxed()
}

/// What a manifest of a repository names: links, and its entry if it names its subject.
async fn of_manifest(storage: &Storage, name: &RepositoryName, key: &Path) -> Result<Reference, StoreError> {
    let Some(own) = keys::digest_of(key) else { return Ok(Reference::To(Vec::new())) };
    let bytes = match read_manifest(storage, name, key).await? {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Reference::Unreadable(why)),
    };
    let mut marks = Vec::new();
    named::digests(&bytes, |_, digest| {
        marks.push(Mark::of(&keys::link(name, &digest)));
        marks.push(Mark::of(&keys::referrer(name, &digest, &own)));
    });
    Ok(Reference::To(marks))
}

/// A manifest's bytes, or why they cannot be had; empty if the manifest has just been deleted.
pub(crate) async fn read_manifest(
    storage: &Storage,
    name: &RepositoryName,
    key: &Path,
) -> Result<Result<Bytes, String>, StoreError> {
    let Some(digest) = keys::digest_of(key) else { return Ok(Ok(Bytes::new())) };
    let why = match storage.blobs.read_small(&digest, LARGEST_MANIFEST).await {
        Ok(Some(bytes)) if digest.algorithm().digest(&bytes) == digest => return Ok(Ok(bytes)),
        Ok(Some(_)) => String::from("its bytes are not those of its digest"),
        Ok(None) => String::from("its bytes are gone"),
        Err(e @ (StoreError::Damaged { .. } | StoreError::Recipe { .. })) => e.to_string(),
        Err(e) => return Err(e),
    };
    let still_there = storage.objects.head(key).await?.is_some();
    Ok(if still_there { Err(format!("manifest {digest} of {name}: {why}")) } else { Ok(Bytes::new()) })
}

/// The recipe that a link or manifest of any repository refers to.
fn of_link(key: &Path) -> Option<Mark> {
    let holder = key.as_ref().rsplit('/').nth(2)?;
    let digest = keys::digest_of(key).filter(|_| holder == "_blobs" || holder == "_manifests")?;
    Some(Mark::of(&keys::recipe(&digest)))
}

/// Whether a recipe of this many bytes may be more than the bytes of a blob.
const fn may_have_extents(size: u64) -> bool {
    size.wrapping_sub(recipe::SIZE as u64).is_multiple_of(recipe_extent::SIZE as u64)
}

async fn of_recipe(storage: &Storage, key: &Path) -> Result<Reference, StoreError> {
    let read = storage.objects.read_small(key, crate::recipe::LONGEST_RECIPE).await;
    let parsed = match read {
        Ok(None) => return Ok(Reference::To(Vec::new())),
        Ok(Some(bytes)) => Recipe::parse(&bytes).map_err(|e| e.to_string()),
        Err(e @ StoreError::Damaged { .. }) => Err(e.to_string()),
        Err(e) => return Err(e),
    };
    Ok(match parsed {
        Ok(recipe) => {
            Reference::To(recipe.extents().iter().map(|extent| Mark::of(&keys::data(&extent.data))).collect())
        }
        Err(why) => Reference::Unreadable(format!("recipe {key}: {why}")),
    })
}

/// Every repository that holds anything.
pub(crate) fn repositories(storage: &Storage) -> BoxStream<'_, Result<RepositoryName, StoreError>> {
    // Prefixes that are still to be looked into: some names for each level.
    stream::try_unfold(vec![String::new()], move |mut ahead| async move {
        while let Some(prefix) = ahead.pop() {
            let below = storage.objects.children(&keys::repositories_below(&prefix)).await?;
            let own = below.iter().any(|child| child.starts_with('_'));
            let join =
                |child: &String| if prefix.is_empty() { child.clone() } else { format!("{prefix}/{child}") };
            ahead.extend(below.iter().rev().filter(|child| !child.starts_with('_')).map(join));
            if let Some(name) = prefix.parse().ok().filter(|_| own) {
                return Ok(Some((name, ahead)));
            }
        }
        Ok(None)
    })
    .boxed()
}
