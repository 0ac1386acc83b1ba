//! `/v2/NAME/blobs/DIGEST`: reading a blob, whole or in ranges.
//!
//! Blobs are one pool: a digest answers the same under every repository name. The issue that brings tokens decides
//! whether a repository must hold a blob for it to be read there.

use axum::http::request::Parts;
use axum::response::Response;
use plyos_blobs::Digest;

use crate::content::{self, FOREVER, Object, Source};
use crate::refusal::{Code, Refusal};
use crate::router::{Registry, is_read};

pub(crate) async fn answer(
    registry: &Registry,
    digest: &Digest,
    request: &Parts,
) -> Result<Response, Refusal> {
    if !is_read(&request.method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    send(registry, digest, request).await
}

/// Sends a blob, wherever it was asked for.
pub(crate) async fn send(registry: &Registry, digest: &Digest, request: &Parts) -> Result<Response, Refusal> {
    let unknown = || Refusal::missing(Code::BlobUnknown, format!("there is no blob {digest}"));
    let size = registry.storage.blobs.size(digest).await?.ok_or_else(unknown)?;
    let object = Object {
        source: Source::Blob,
        digest: *digest,
        size,
        content_type: "application/octet-stream".to_owned(),
        cache_control: FOREVER,
    };
    let limits = &registry.config.limits;
    content::send(&registry.storage, &request.method, &request.headers, &object, limits.ranges)
        .await?
        .ok_or_else(unknown)
}
