//! `/v2/NAME/blobs/DIGEST`: reading a blob, whole or in ranges, and taking it out of a repository.
//!
//! A repository answers for the blobs that it holds, though bytes are kept once for all: so rights on repositories are
//! rights on content.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use plyos_blobs::{Digest, RepositoryName};

use crate::content::{self, IMMUTABLE, Object, Source};
use crate::refusal::{Code, Refusal};
use crate::router::{Registry, is_read};

pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    request: &Parts,
) -> Result<Response, Refusal> {
    let repositories = &registry.storage.repositories;
    match request.method {
        ref method if is_read(method) => match repositories.linked(name, digest).await? {
            true => send(registry, digest, request).await,
            false => Err(unknown(digest)),
        },
        Method::DELETE if registry.config.deletes => {
            if !repositories.confirm_link(name, digest).await? {
                return Err(unknown(digest));
            }
            repositories.unlink(name, digest).await?;
            tracing::info!(%name, %digest, "a blob was deleted");
            Ok(StatusCode::ACCEPTED.into_response())
        }
        _ if registry.config.deletes => Err(Refusal::method("GET, HEAD, DELETE")),
        _ => Err(Refusal::method("GET, HEAD")),
    }
}

/// Sends a blob, wherever it was asked for.
pub(crate) async fn send(registry: &Registry, digest: &Digest, request: &Parts) -> Result<Response, Refusal> {
    let recipe = registry.storage.blobs.recipe(digest).await?.ok_or_else(|| unknown(digest))?;
    let object = Object {
        digest: *digest,
        size: recipe.size(),
        source: Source::Blob(recipe),
        content_type: HeaderValue::from_static("application/octet-stream"),
        cache_control: IMMUTABLE,
    };
    let limits = &registry.config.limits;
    content::send(&registry.storage, &request.method, &request.headers, &object, limits.ranges)
        .await?
        .ok_or_else(|| unknown(digest))
}

fn unknown(digest: &Digest) -> Refusal {
    Refusal::missing(Code::BlobUnknown, format!("there is no blob {digest}"))
}
