//! `/v2/NAME/manifests/REFERENCE`: pushing and reading manifests, by tag and by digest.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use plyos_blobs::{Digest, MediaType, RepositoryName, StoreError};
use serde_json::json;

use crate::content::{self, ASK_EACH_TIME, FOREVER, Object, Source};
use crate::manifest::{self, Kind};
use crate::receive::{self, Bound};
use crate::refusal::{Code, Refusal};
use crate::route::Reference;
use crate::router::{Registry, is_read};

/// References looked up at a time.
const LOOKUPS: usize = 8;
/// Missing references that a refusal names; a client that lacks more will ask again.
const MOST_NAMED: usize = 16;

pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    match request.method {
        Method::PUT => {
            registry.may_write()?;
            put(registry, name, reference, request, body).await
        }
        ref method if is_read(method) => get(registry, name, reference, request).await,
        _ => Err(Refusal::method("GET, HEAD, PUT")),
    }
}

async fn get(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    request: &Parts,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::missing(Code::ManifestUnknown, format!("{name} has no such manifest"));
    let storage = &registry.storage;
    let (digest, cache_control) = match reference {
        Reference::Digest(digest) => (*digest, FOREVER),
        Reference::Tag(tag) => {
            (storage.repositories.tag(name, tag).await?.ok_or_else(unknown)?, ASK_EACH_TIME)
        }
    };
    let manifest = storage.repositories.manifest(name, &digest).await?.ok_or_else(unknown)?;
    let size = storage.blobs.size(&digest).await?.ok_or_else(unknown)?;
    let content_type = manifest.media_type.to_string();
    let object = Object { source: Source::Blob, digest, size, content_type, cache_control };
    let ranges = registry.config.limits.ranges;
    content::send(storage, &request.method, &request.headers, &object, ranges).await?.ok_or_else(unknown)
}

async fn put(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    let limits = &registry.config.limits;
    let media_type = content_type(&request.headers)?;
    let bound = Bound { what: "a manifest", limit: limits.manifest_bytes as u64, idle: limits.upload_idle };
    let bytes = receive::into_memory(body, &request.headers, bound).await?;

    let actual = Digest::of(&bytes);
    if let Reference::Digest(expected) = reference
        && *expected != actual
    {
        let message = format!("the manifest is {actual}, not {expected}");
        return Err(Refusal::bad(Code::DigestInvalid, message));
    }
    check_references(registry, name, &media_type, &bytes).await?;

    let repositories = &registry.storage.repositories;
    let digest = repositories.put_manifest(name, &media_type, bytes).await?;
    if let Reference::Tag(tag) = reference {
        repositories.put_tag(name, tag, &digest).await?;
    }
    tracing::debug!(%name, %digest, "stored a manifest");
    let headers = [
        (header::LOCATION, format!("/v2/{name}/manifests/{digest}")),
        (HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    Ok((StatusCode::CREATED, headers).into_response())
}

fn content_type(headers: &HeaderMap) -> Result<MediaType, Refusal> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Parameters such as a charset say nothing about a manifest.
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence
        .parse()
        .map_err(|why| Refusal::bad(Code::ManifestInvalid, format!("Content-Type is needed: {why}")))
}

async fn check_references(
    registry: &Registry,
    name: &RepositoryName,
    media_type: &MediaType,
    bytes: &Bytes,
) -> Result<(), Refusal> {
    let references = manifest::references(media_type, bytes, registry.config.limits.manifest_references)
        .map_err(|e| Refusal::bad(Code::ManifestInvalid, e.to_string()))?;
    let lookups = references.into_iter().map(|reference| async move {
        let size = size_of(registry, name, &reference).await?;
        Ok::<_, StoreError>((reference, size))
    });
    let found: Vec<_> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;

    let missing: Vec<_> = found.iter().filter(|(_, size)| size.is_none()).collect();
    if !missing.is_empty() {
        let message = "push what the manifest refers to before the manifest";
        let refusal = Refusal::missing(Code::ManifestBlobUnknown, message);
        return Err(missing.iter().take(MOST_NAMED).fold(refusal, |refusal, (reference, _)| {
            refusal.detail(json!({ "digest": reference.digest.to_string() }))
        }));
    }
    match found.iter().find(|(reference, size)| *size != Some(reference.size)) {
        Some((reference, _)) => {
            let message = format!("the size given for {} is not its size", reference.digest);
            Err(Refusal::bad(Code::SizeInvalid, message))
        }
        None => Ok(()),
    }
}

/// The size of what is referred to, or `None` if it is not here.
async fn size_of(
    registry: &Registry,
    name: &RepositoryName,
    reference: &manifest::Reference,
) -> Result<Option<u64>, StoreError> {
    let storage = &registry.storage;
    let listed = match reference.kind {
        Kind::Blob => true,
        Kind::Manifest => storage.repositories.manifest(name, &reference.digest).await?.is_some(),
    };
    if listed { storage.blobs.size(&reference.digest).await } else { Ok(None) }
}
