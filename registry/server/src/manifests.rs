//! `/v2/NAME/manifests/REFERENCE`: reading and deleting manifests, by tag and by digest. Pushing one is
//! `manifest_push.rs`.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use plyos_blobs::{Digest, RepositoryName, StoreError, Tag};

use crate::content::{self, ASK_EACH_TIME, IMMUTABLE, Object, Source};
use crate::manifest::Manifest;
use crate::manifest_push;
use crate::refusal::{Code, Refusal};
use crate::route::Reference;
use crate::router::{Registry, is_read};

/// Tags looked at together when a manifest goes.
const TAGS: usize = 1000;
/// Lookups under way at a time.
pub(crate) const LOOKUPS: usize = 8;

pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    match request.method {
        Method::PUT => manifest_push::put(registry, name, reference, request, body).await,
        Method::DELETE if registry.config.deletes => {
            match reference {
                Reference::Tag(tag) => delete_tag(registry, name, tag).await?,
                Reference::Digest(digest) => delete_manifest(registry, name, digest).await?,
            }
            Ok(StatusCode::ACCEPTED.into_response())
        }
        ref method if is_read(method) => get(registry, name, reference, request).await,
        _ if registry.config.deletes => Err(Refusal::method("GET, HEAD, PUT, DELETE")),
        _ => Err(Refusal::method("GET, HEAD, PUT")),
    }
}

/// Sends the manifest as it was pushed, whatever the client accepts: there is only one form of it.
async fn get(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    request: &Parts,
) -> Result<Response, Refusal> {
    let unknown = || unknown(name);
    let storage = &registry.storage;
    let (digest, cache_control) = match reference {
        Reference::Digest(digest) => (*digest, IMMUTABLE),
        Reference::Tag(tag) => {
            (storage.repositories.tag(name, tag).await?.ok_or_else(unknown)?, ASK_EACH_TIME)
        }
    };
    let manifest = storage.repositories.manifest(name, &digest).await?.ok_or_else(unknown)?;
    let recipe = storage.blobs.recipe(&digest).await?.ok_or_else(unknown)?;
    let content_type = content::media_type(manifest.media_type.as_str());
    let size = recipe.size();
    let object = Object { source: Source::Blob(recipe), digest, size, content_type, cache_control };
    let ranges = registry.config.limits.ranges;
    content::send(storage, &request.method, &request.headers, &object, ranges).await?.ok_or_else(unknown)
}

async fn delete_tag(registry: &Registry, name: &RepositoryName, tag: &Tag) -> Result<(), Refusal> {
    let repositories = &registry.storage.repositories;
    repositories.tag(name, tag).await?.ok_or_else(|| unknown(name))?;
    repositories.delete_tag(name, tag).await?;
    tracing::info!(%name, %tag, "a tag was deleted");
    Ok(())
}

/// Deletes a manifest, and what would lead to it: its entry among the referrers of its subject, and its tags, so that
/// none comes back to life should the same bytes be pushed again.
async fn delete_manifest(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<(), Refusal> {
    let storage = &registry.storage;
    let manifest = storage.repositories.confirm_manifest(name, digest).await?.ok_or_else(|| unknown(name))?;
    // Manifests were small when they were taken, whatever the limit is today.
    let bytes = storage.blobs.read_small(digest, usize::MAX).await?;
    storage.repositories.delete_manifest(name, digest).await?;

    let read = |bytes: &[u8]| Manifest::read(Some(manifest.media_type), bytes, usize::MAX).ok();
    if let Some(subject) = bytes.and_then(|bytes| read(&bytes)?.subject) {
        storage.repositories.delete_referrer(name, &subject, digest).await?;
    }
    let tags = delete_tags_of(registry, name, digest).await?;
    tracing::info!(%name, %digest, tags, "a manifest was deleted");
    Ok(())
}

/// Deletes the tags that name a manifest; returns how many.
async fn delete_tags_of(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<usize, StoreError> {
    let repositories = &registry.storage.repositories;
    let (mut deleted, mut last) = (0, None::<String>);
    loop {
        let page = repositories.tags(name, last.as_deref(), TAGS).await?;
        let Some(end) = page.last() else { return Ok(deleted) };
        last = Some(end.clone());
        let tags = page.iter().filter_map(|tag| tag.parse::<Tag>().ok());
        let lookups = tags.map(|tag| async move {
            let gone = repositories.tag(name, &tag).await? == Some(*digest);
            if gone {
                repositories.delete_tag(name, &tag).await?;
            }
            Ok::<_, StoreError>(usize::from(gone))
        });
        let lookups: Vec<_> = lookups.collect();
        let counts: Vec<usize> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        deleted += counts.iter().sum::<usize>();
    }
}

fn unknown(name: &RepositoryName) -> Refusal {
    Refusal::missing(Code::ManifestUnknown, format!("{name} has no such manifest"))
}
