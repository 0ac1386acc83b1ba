//! `/catalog/NAME/…`: the static files of signed catalogs, and blobs beside them.
//!
//! Files are what a publisher signed; the server only sees that none is half written and that none changes unless
//! someone says so.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plyos_blobs::{CatalogName, CatalogPath, Replace, Written};

use crate::blobs;
use crate::content::{self, ASK_EACH_TIME, FOREVER, Object, Source};
use crate::receive::{self, Bound};
use crate::refusal::{Code, Refusal};
use crate::route::{self, Catalog};
use crate::router::{Registry, is_read};

/// The one file that changes in place: everything else is reached through it (TUF, "timestamp").
const TIMESTAMP: &str = "timestamp.json";
/// The header that lets any other file be replaced.
const X_REPLACE: HeaderName = HeaderName::from_static("x-plyos-replace");
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
            Method::PUT => {
                registry.may_write()?;
                put(registry, &name, &path, request, body).await
            }
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
        let object = Object {
            digest: file.digest,
            size: file.size,
            source: Source::Catalog(file),
            content_type: content_type(path).to_owned(),
            cache_control: if path.is_immutable() { FOREVER } else { ASK_EACH_TIME },
        };
        let answer = content::send(storage, &request.method, &request.headers, &object, ranges).await?;
        if let Some(response) = answer {
            return Ok(response);
        }
    }
    let message = "the file is being replaced; ask again";
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unknown, message))
}

async fn put(
    registry: &Registry,
    name: &CatalogName,
    path: &CatalogPath,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    let asked = request.headers.get(X_REPLACE).is_some_and(|value| value == "1");
    let replace = if asked || path.file_name() == TIMESTAMP { Replace::Allowed } else { Replace::Refused };

    let limits = &registry.config.limits;
    let bound = Bound { what: "a catalog file", limit: limits.catalog_file_bytes, idle: limits.upload_idle };
    let upload = registry.storage.uploads.begin_once().await?;
    let upload = receive::into_upload(body, &request.headers, upload, bound).await?;
    let written = registry.storage.catalog.put(name, path, upload, replace).await?;
    tracing::debug!(%name, %path, ?written, "put a catalog file");
    match written {
        Written::Created => {
            let location = [(header::LOCATION, format!("/catalog/{name}/{path}"))];
            Ok((StatusCode::CREATED, location).into_response())
        }
        Written::Replaced | Written::Unchanged => Ok(StatusCode::NO_CONTENT.into_response()),
        Written::Refused => {
            let message = format!("{path} exists with other content; replace it with {X_REPLACE}: 1");
            Err(Refusal::new(StatusCode::CONFLICT, Code::Conflict, message))
        }
    }
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
