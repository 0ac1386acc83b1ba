//! Sending stored bytes: conditional requests, ranges, and the headers that let them be cached.
//!
//! Every object has a strong ETag, its digest, so a client can join ranges from several answers. A body is a
//! stream of pieces; for several ranges (`multipart/byteranges`) the next one is opened when the last has gone out.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use plyos_blobs::{CatalogFile, Content, Digest, Recipe, Storage, StoreError};

use crate::range::{self, Wanted};
use crate::refusal::{Code, Refusal};

/// For content that its name pins down. Shared caches keep it only if it was had without credentials.
pub(crate) const IMMUTABLE: &str = "max-age=31536000, immutable";
/// For content that may be replaced: caches ask each time, and mostly get a 304.
pub(crate) const ASK_EACH_TIME: &str = "no-cache";

/// Where an object's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A blob by its recipe, which may hold its bytes.
    Blob(Arc<Recipe>),
    Catalog(CatalogFile),
}

/// An object as it is described to a client.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) source: Source,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) content_type: HeaderValue,
    pub(crate) cache_control: &'static str,
}

impl Object {
    async fn open(&self, storage: &Storage, range: Range<u64>) -> Result<Option<Content>, StoreError> {
        match &self.source {
            Source::Blob(recipe) => storage.blobs.open_by(&self.digest, recipe, range).await,
            Source::Catalog(file) => storage.catalog.open(file, range).await,
        }
    }

    /// Bytes that need not be opened first.
    fn at_hand(&self, range: Range<u64>) -> Option<Bytes> {
        match &self.source {
            Source::Blob(recipe) => recipe.inline_part(range),
            Source::Catalog(_) => None,
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![
            (header::CONTENT_TYPE, self.content_type.clone()),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control)),
        ];
        let digest = self.digest.to_string();
        let named = [
            (header::ETAG, format!("\"{digest}\"")),
            (HeaderName::from_static("docker-content-digest"), digest),
        ];
        headers.extend(named.into_iter().filter_map(|(name, value)| Some((name, value.try_into().ok()?))));
        headers
    }
}

/// Makes an answer inert in a browser. Who pushes chooses the bytes of a manifest and its media type, `text/html` too, which is
/// kept as the specification asks: a document of theirs must have neither scripts nor this origin.
pub(crate) fn make_inert(response: &mut Response) {
    response.headers_mut().extend([
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]);
}

/// A media type that storage has checked as a header's value.
pub(crate) fn media_type(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Answers GET or HEAD for an object. `None` if it went away, or was replaced, since it was looked up.
pub(crate) async fn send(
    storage: &Storage,
    method: &Method,
    request: &HeaderMap,
    object: &Object,
    most_ranges: usize,
) -> Result<Option<Response>, Refusal> {
    if matches_etag(request, header::IF_NONE_MATCH, &object.digest) {
        return Ok(Some(with_headers(StatusCode::NOT_MODIFIED, object, Body::empty())));
    }
    // HEAD has no ranges (RFC 9110, 14.2).
    if *method == Method::HEAD {
        let response = with_headers(StatusCode::OK, object, Body::empty());
        return Ok(Some(set(response, header::CONTENT_LENGTH, object.size.to_string())));
    }
    let parts = match wanted(request, object, most_ranges) {
        Wanted::Whole => return send_one(storage, object, 0..object.size, StatusCode::OK).await,
        Wanted::Parts(parts) => parts,
        Wanted::Unsatisfiable => {
            let message = format!("there are {} bytes, and none in that range", object.size);
            return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::SizeInvalid, message)
                .header(header::CONTENT_RANGE, format!("bytes */{}", object.size))
                .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
        }
    };
    match parts.as_slice() {
        [range] => {
            let response = send_one(storage, object, range.clone(), StatusCode::PARTIAL_CONTENT).await?;
            Ok(response.map(|r| set(r, header::CONTENT_RANGE, content_range(range, object.size))))
        }
        _ => send_several(storage, object, parts).await,
    }
}

fn wanted(request: &HeaderMap, object: &Object, most_ranges: usize) -> Wanted {
    let Some(header) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::Whole;
    };
    // If-Range with a date, or with another ETag: the client's part is of something else.
    if request.contains_key(header::IF_RANGE) && !matches_etag(request, header::IF_RANGE, &object.digest) {
        return Wanted::Whole;
    }
    range::parse(header, object.size, most_ranges)
}

fn matches_etag(request: &HeaderMap, name: HeaderName, digest: &Digest) -> bool {
    let strong = name == header::IF_RANGE;
    let etag = format!("\"{digest}\"");
    request.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')).any(
        |one| {
            let one = one.trim();
            // If-None-Match compares weakly, so a proxy's W/ does not matter there.
            let weak = one.strip_prefix("W/").filter(|_| !strong);
            weak.unwrap_or(one) == etag || (!strong && one == "*")
        },
    )
}

async fn send_one(
    storage: &Storage,
    object: &Object,
    range: Range<u64>,
    status: StatusCode,
) -> Result<Option<Response>, Refusal> {
    let length = range.end - range.start;
    let body = match object.at_hand(range.clone()) {
        // In one piece with the head.
        Some(bytes) => Body::from(bytes),
        None => match object.open(storage, range).await? {
            Some(content) => Body::from_stream(content.stream),
            None => return Ok(None),
        },
    };
    let response = with_headers(status, object, body);
    Ok(Some(set(response, header::CONTENT_LENGTH, length.to_string())))
}

async fn send_several(
    storage: &Storage,
    object: &Object,
    parts: Vec<Range<u64>>,
) -> Result<Option<Response>, Refusal> {
    // The content cannot hold its own digest, so no part can hold the boundary, which may have 70 characters
    // (RFC 2046, section 5.1.1).
    let mut boundary = object.digest.hex();
    boundary.truncate(64);
    let heads: Vec<Bytes> = parts.iter().map(|range| part_head(object, &boundary, range)).collect();
    let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let length = heads.iter().map(|head| head.len() as u64).sum::<u64>()
        + parts.iter().map(|range| range.end - range.start).sum::<u64>()
        + tail.len() as u64;

    let (storage, opened) = (storage.clone(), object.clone());
    let bodies = stream::iter(heads.into_iter().zip(parts)).then(move |(head, range)| {
        let (storage, object) = (storage.clone(), opened.clone());
        async move {
            let gone = || StoreError::Damaged { path: object.digest.to_string(), why: "it went away" };
            let content = object.open(&storage, range).await?.ok_or_else(gone)?;
            Ok::<BoxStream<'static, _>, StoreError>(stream::iter([Ok(head)]).chain(content.stream).boxed())
        }
    });
    let body = bodies.try_flatten().chain(stream::iter([Ok(tail)]));
    let response = with_headers(StatusCode::PARTIAL_CONTENT, object, Body::from_stream(body));
    let response = set(response, header::CONTENT_LENGTH, length.to_string());
    Ok(Some(set(response, header::CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}"))))
}

fn part_head(object: &Object, boundary: &str, range: &Range<u64>) -> Bytes {
    let content_type = object.content_type.to_str().unwrap_or_default();
    let content_range = content_range(range, object.size);
    Bytes::from(format!(
        "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n"
    ))
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    // Ranges are never empty.
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

fn with_headers(status: StatusCode, object: &Object, body: Body) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().extend(object.headers());
    response
}

fn set(mut response: Response, name: HeaderName, value: String) -> Response {
    if let Ok(value) = value.try_into() {
        response.headers_mut().insert(name, value);
    }
    response
}
