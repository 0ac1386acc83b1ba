//! `/v2/NAME/blobs/uploads/`: pushing a blob, at once or in chunks ("Pushing blobs").

use axum::body::{Body, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plyos_blobs::{Algorithm, Digest, RepositoryName, Upload, UploadId};

use crate::access::Caller;
use crate::compose;
use crate::extensions;
use crate::mounts::mount;
use crate::range::number;
use crate::receive::{self, Bound, content_length};
use crate::refusal::{Code, Refusal};
use crate::router::{Registry, query};

/// POST: begins a session, pushes a whole blob (`?digest=`), or takes one that is already here (`?mount=`).
pub(crate) async fn answer_new(
    registry: &Registry,
    name: &RepositoryName,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    if request.method != Method::POST {
        return Err(Refusal::method("POST"));
    }
    let mut algorithm = match query(request, "digest-algorithm") {
        Some(announced) => announced.parse()?,
        None => Algorithm::default(),
    };
    if let Some(digest) = query(request, "digest") {
        let digest: Digest = digest.parse()?;
        algorithm = digest.algorithm();
        // Who names a digest and sends nothing wants to send the blob by PUT.
        if !body.is_end_stream() || digest == algorithm.digest(b"") {
            let upload = registry.storage.uploads.begin_once(algorithm).await?;
            let upload = receive::into_upload(body, &request.headers, upload, bound(registry)).await?;
            return commit(registry, name, upload, &digest).await;
        }
    } else if let Some(Ok(digest)) = query(request, "mount").map(|digest| digest.parse::<Digest>()) {
        algorithm = digest.algorithm();
        let from = query(request, "from");
        let mounted = mount(registry, name, &digest, from.as_deref(), Caller::of(request)).await?;
        if mounted {
            return Ok(created(name, &digest));
        }
    }
    let id = registry.storage.uploads.begin(name, algorithm).await?;
    let mut response = status(StatusCode::ACCEPTED, name, &id, 0);
    response.headers_mut().extend([extensions::COMPOSE]);
    Ok(response)
}

/// What is done to a session.
pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    let uploads = &registry.storage.uploads;
    match request.method {
        Method::GET | Method::PATCH | Method::PUT | Method::DELETE => {}
        _ => return Err(Refusal::method("GET, PATCH, PUT, DELETE")),
    }
    match request.method {
        Method::PATCH => {
            let upload = uploads.resume(name, id).await?;
            let upload = append(registry, name, id, upload, request, body).await?;
            let received = upload.received();
            upload.park().await?;
            Ok(status(StatusCode::ACCEPTED, name, id, received))
        }
        Method::PUT => {
            let missing = || Refusal::bad(Code::DigestInvalid, "PUT needs ?digest=ALGORITHM:HEX");
            let digest: Digest = query(request, "digest").ok_or_else(missing)?.parse()?;
            let upload = uploads.resume(name, id).await?;
            let upload = append(registry, name, id, upload, request, body).await?;
            commit(registry, name, upload, &digest).await
        }
        Method::DELETE => {
            uploads.resume(name, id).await?.discard().await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => {
            let received = uploads.resume(name, id).await?.received();
            Ok(status(StatusCode::NO_CONTENT, name, id, received))
        }
    }
}

/// Appends a request's body to its session. A refusal says how far the session is then; what came is kept.
async fn append(
    registry: &Registry,
    name: &RepositoryName,
    id: &UploadId,
    upload: Upload,
    request: &Parts,
    body: &mut Body,
) -> Result<Upload, Refusal> {
    let start = upload.received();
    if compose::is_asked_for(&request.headers) {
        let composed = compose::append(registry, name, request, upload, body, bound(registry)).await;
        return composed.map_err(|refusal| refusal.headers(place(name, id, start)));
    }
    let chunk = chunk_length(&request.headers, start).map_err(|message| {
        let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::BlobUploadInvalid, message);
        refusal.headers(place(name, id, start))
    })?;
    let mut bound = bound(registry);
    if let Some(length) = chunk {
        // No more than the chunk said that it is.
        bound.limit = bound.limit.min(start.saturating_add(length));
        if content_length(&request.headers).is_some_and(|announced| announced != length) {
            let message = "Content-Length and Content-Range do not agree";
            return Err(Refusal::bad(Code::SizeInvalid, message).headers(place(name, id, start)));
        }
    }
    let received = receive::append(body, &request.headers, upload, bound).await;
    let upload = received.upload.ok_or_else(Refusal::storage)?;
    let now = upload.received();
    let short = chunk.is_some_and(|length| now - start != length);
    let end = received.end.and_then(|()| match short {
        true => {
            Err(Refusal::bad(Code::SizeInvalid, "the chunk is shorter than its Content-Range; send the rest"))
        }
        false => Ok(()),
    });
    match end {
        Ok(()) => Ok(upload),
        Err(refusal) => {
            upload.park().await?;
            Err(refusal.headers(place(name, id, now)))
        }
    }
}

/// The length that `Content-Range: FIRST-LAST` gives a chunk, if the header is there. Chunks come in order.
fn chunk_length(headers: &HeaderMap, start: u64) -> Result<Option<u64>, String> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let range = value.to_str().ok().and_then(|text| text.split_once('-'));
    let Some((first, last)) = range.and_then(|(first, last)| Some((number(first)?, number(last)?))) else {
        return Err("Content-Range of a chunk is written FIRST-LAST".to_owned());
    };
    if first != start {
        return Err(format!("the next chunk starts at byte {start}, not {first}"));
    }
    match last.checked_sub(first).and_then(|length| length.checked_add(1)) {
        Some(length) => Ok(Some(length)),
        None => Err("a chunk ends no earlier than it starts".to_owned()),
    }
}

async fn commit(
    registry: &Registry,
    name: &RepositoryName,
    upload: Upload,
    digest: &Digest,
) -> Result<Response, Refusal> {
    let size = registry.storage.publish_blob(name, upload, digest).await?.size;
    registry.packing.offer(name, digest, size);
    tracing::debug!(%name, %digest, size, "stored a blob");
    Ok(created(name, digest))
}

fn bound(registry: &Registry) -> Bound<'static> {
    let limits = &registry.config.limits;
    Bound { what: "a blob", limit: limits.blob_bytes, idle: limits.upload_idle }
}

fn created(name: &RepositoryName, digest: &Digest) -> Response {
    let headers = [
        (header::LOCATION, format!("/v2/{name}/blobs/{digest}")),
        (HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    (StatusCode::CREATED, headers).into_response()
}

fn status(status: StatusCode, name: &RepositoryName, id: &UploadId, received: u64) -> Response {
    let mut response = status.into_response();
    response.headers_mut().extend(place(name, id, received));
    response
}

/// Where a session is and how far it has come. `Range` names the last byte, so it says `0-0` for none as well as
/// for one; `Upload-Offset` tells them apart.
fn place(name: &RepositoryName, id: &UploadId, received: u64) -> Vec<(HeaderName, HeaderValue)> {
    let headers = [
        (header::LOCATION, format!("/v2/{name}/blobs/uploads/{id}")),
        (header::RANGE, format!("0-{}", received.saturating_sub(1))),
        (HeaderName::from_static("upload-offset"), received.to_string()),
        (HeaderName::from_static("docker-upload-uuid"), id.to_string()),
    ];
    headers.into_iter().filter_map(|(name, value)| Some((name, value.try_into().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_in_order() {
        let parse = |text: &'static str, start| {
            let headers = HeaderMap::from_iter([(header::CONTENT_RANGE, HeaderValue::from_static(text))]);
            chunk_length(&headers, start)
        };
        assert_eq!(chunk_length(&HeaderMap::new(), 5), Ok(None));
        assert_eq!(parse("0-0", 0), Ok(Some(1)));
        assert_eq!(parse("5-9", 5), Ok(Some(5)));
        for (text, start) in [
            ("0-9", 5),
            ("6-9", 5),
            ("5-4", 5),
            ("", 0),
            ("0", 0),
            ("-9", 0),
            ("0-", 0),
            ("a-b", 0),
            ("0-+1", 0),
            ("bytes 0-9/10", 0),
            ("0-18446744073709551615", 0),
        ] {
            assert!(parse(text, start).is_err(), "{text}");
        }
    }
}
