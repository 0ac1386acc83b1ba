//! `/catalog/NAME/…`: the static files of signed catalogs, and blobs beside them.
//!
//! Files are what a publisher signed; the server only sees that none is half written, that none changes unless
//! someone says so, and that of two publishers at once one is told. What shrinks is sent compressed to those who ask
//! ([`coding`], [`precompressed`]); every form has an ETag of its own.

mod coding;
mod precompressed;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::TryStreamExt;
use plyos_blobs::{
    Algorithm, CatalogFile, CatalogName, CatalogPath, Digest, LARGEST_EXCHANGE, Replace, StoreError, Written,
};

pub(crate) use self::precompressed::Precompressed;
use crate::blobs;
use crate::content::{self, ASK_EACH_TIME, IMMUTABLE, Object, Source};
use crate::receive::{self, Bound};
use crate::refusal::{Code, Refusal};
use crate::route::{self, Catalog};
use crate::router::{Registry, is_read};

/// The one file that changes in place: everything else is reached through it (TUF, "timestamp").
const TIMESTAMP: &str = "timestamp.json";
/// The header that lets any other file be replaced.
const X_REPLACE: HeaderName = HeaderName::from_static("x-plyos-replace");
/// Sent with every file that has several forms, whichever is sent.
const VARIES: HeaderValue = HeaderValue::from_static("accept-encoding");
/// How often a file is looked up again that is replaced while it is being opened.
const ATTEMPTS: usize = 4;

pub(crate) async fn answer(
    registry: &Registry,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    match route::catalog(request.uri.path().strip_prefix("/catalog/").unwrap_or_default())? {
        Catalog::Blob(digest) if is_read(&request.method) => blobs::send(registry, &digest, request).await,
        Catalog::Blob(_) => Err(Refusal::method("GET, HEAD")),
        Catalog::File(name, path) => match request.method {
            Method::PUT => put(registry, &name, &path, request, body).await,
            ref method if is_read(method) => get(registry, &name, &path, request).await,
            _ => Err(Refusal::method("GET, HEAD, PUT")),
        },
    }
}

async fn get(
    registry: &Registry,
    name: &CatalogName,
    path: &CatalogPath,
    request: &Parts,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::missing(Code::NameUnknown, format!("catalog {name} has no file {path}"));
    let (storage, ranges) = (&registry.storage, registry.config.limits.ranges);
    for _ in 0..ATTEMPTS {
        let file = storage.catalog.find(name, path).await?.ok_or_else(unknown)?;
        let content_type = content_type(path);
        let suits = precompressed::suits(file.size, content_type);
        if suits && let Some(response) = send_coded(registry, path, &file, request).await? {
            return Ok(response);
        }
        let object = Object {
            digest: file.digest,
            size: file.size,
            source: Source::Catalog(file),
            content_type: HeaderValue::from_static(content_type),
            cache_control: cache_control(path),
        };
        let answer = content::send(storage, &request.method, &request.headers, &object, ranges).await?;
        if let Some(mut response) = answer {
            if suits {
                response.headers_mut().insert(header::VARY, VARIES);
            }
            return Ok(response);
        }
    }
    let message = "the file is being replaced; ask again";
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unknown, message))
}

/// The file in the coding that the client wants most; `None` if it wants the plain one, or a part of it, or if
/// compressing gains nothing.
async fn send_coded(
    registry: &Registry,
    path: &CatalogPath,
    file: &CatalogFile,
    request: &Parts,
) -> Result<Option<Response>, Refusal> {
    let wanted = request.headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    let Some(coding) = coding::chosen(wanted) else { return Ok(None) };
    // Who asks for a range joins it with others: all of them are of the plain file.
    if request.headers.contains_key(header::RANGE) {
        return Ok(None);
    }
    let read = async || whole(registry, file).await;
    let Some(bytes) = registry.precompressed.get(&file.digest, coding, read).await? else { return Ok(None) };
    let etag = format!("\"{}.{}\"", file.digest, coding.name());
    let status = if has_etag(&request.headers, &etag) { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let length = bytes.len();
    let body = match (status, &request.method) {
        (StatusCode::OK, &Method::GET) => Body::from(bytes),
        _ => Body::empty(),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ETAG, HeaderValue::try_from(etag).ok()),
        (header::CACHE_CONTROL, Some(HeaderValue::from_static(cache_control(path)))),
        (header::CONTENT_TYPE, Some(HeaderValue::from_static(content_type(path)))),
        (header::CONTENT_ENCODING, Some(HeaderValue::from_static(coding.name()))),
        (header::CONTENT_LENGTH, (status == StatusCode::OK).then(|| HeaderValue::from(length))),
        (header::VARY, Some(VARIES)),
    ] {
        headers.extend(value.map(|value| (name, value)));
    }
    Ok(Some(response))
}

/// A whole file, of a size that [`precompressed::suits`]; `None` if it was replaced meanwhile.
async fn whole(registry: &Registry, file: &CatalogFile) -> Result<Option<Bytes>, StoreError> {
    let Some(mut content) = registry.storage.catalog.open(file, 0..file.size).await? else { return Ok(None) };
    let mut bytes = BytesMut::new();
    while let Some(piece) = content.stream.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes.freeze()))
}

/// Whether `If-None-Match` names this ETag. Compared weakly (RFC 9110, 13.1.2).
fn has_etag(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == etag)
}

/// What an upload requires of what is there (RFC 9110, 13.1).
enum Condition {
    /// Replace it, or only write what is missing.
    Any(Replace),
    /// It must still have this content.
    Still(Digest),
}

fn condition(path: &CatalogPath, headers: &HeaderMap) -> Result<Condition, Refusal> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Condition::Any(Replace::Refused));
    }
    let Some(expected) = headers.get(header::IF_MATCH) else {
        let asked = headers.get(X_REPLACE).is_some_and(|value| value == "1");
        let free = asked || path.file_name() == TIMESTAMP;
        return Ok(Condition::Any(if free { Replace::Allowed } else { Replace::Refused }));
    };
    let digest =
        expected.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    // One that this server never gave out matches nothing.
    digest.map(Condition::Still).ok_or_else(|| stale(path))
}

fn stale(path: &CatalogPath) -> Refusal {
    let message = format!("{path} is not what it was when you looked; someone else has published");
    Refusal::new(StatusCode::PRECONDITION_FAILED, Code::Conflict, message)
}

async fn put(
    registry: &Registry,
    name: &CatalogName,
    path: &CatalogPath,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    let limits = &registry.config.limits;
    let bound = |limit| Bound { what: "a catalog file", limit, idle: limits.upload_idle };
    let catalog = &registry.storage.catalog;
    let written = match condition(path, &request.headers)? {
        Condition::Any(replace) => {
            let upload = registry.storage.uploads.begin_once(Algorithm::Sha256).await?;
            let upload =
                receive::into_upload(body, &request.headers, upload, bound(limits.catalog_file_bytes))
                    .await?;
            catalog.put(name, path, upload, replace).await?
        }
        Condition::Still(expected) => {
            let most = limits.catalog_file_bytes.min(LARGEST_EXCHANGE as u64);
            let (bytes, _room) =
                receive::into_memory(body, &request.headers, bound(most), &registry.room).await?;
            catalog.exchange(name, path, &expected, bytes).await?
        }
    };
    tracing::debug!(%name, %path, ?written, "put a catalog file");
    match written {
        Written::Created => {
            let location = [(header::LOCATION, format!("/catalog/{name}/{path}"))];
            Ok((StatusCode::CREATED, location).into_response())
        }
        Written::Replaced | Written::Unchanged => Ok(StatusCode::NO_CONTENT.into_response()),
        Written::Stale => Err(stale(path)),
        Written::Refused if request.headers.contains_key(header::IF_NONE_MATCH) => Err(stale(path)),
        Written::Refused => {
            let message = format!("{path} exists with other content; replace it with {X_REPLACE}: 1");
            Err(Refusal::new(StatusCode::CONFLICT, Code::Conflict, message))
        }
    }
}

/// Versioned files never change; the timestamp is asked for each time.
fn cache_control(path: &CatalogPath) -> &'static str {
    if path.is_immutable() { IMMUTABLE } else { ASK_EACH_TIME }
}

/// Types that no browser runs: whoever may push here is not whoever owns this origin.
fn content_type(path: &CatalogPath) -> &'static str {
    let extension = path.file_name().rsplit_once('.').map(|(_, extension)| extension);
    match (path.first(), extension) {
        (_, Some("json")) => "application/json",
        (_, Some("txt")) => "text/plain; charset=utf-8",
        // The targets of a catalog are OCI manifests, each named by digest and architecture.
        ("targets", _) if path.is_immutable() => "application/vnd.oci.image.manifest.v1+json",
        _ => "application/octet-stream",
    }
}
