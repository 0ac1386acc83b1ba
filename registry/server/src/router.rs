//! From a request to the module that answers it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use plyos_blobs::Storage;

use crate::config::Config;
use crate::refusal::{Code, Refusal};
use crate::route::{self, Oci};
use crate::serve::Error;
use crate::{blobs, catalog, manifests, receive, tags, uploads};

/// What every request is answered with.
pub(crate) struct Registry {
    pub(crate) storage: Storage,
    pub(crate) config: Config,
}

impl Registry {
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, Error> {
        let storage = Storage::local(&config.storage, config.limits.open_uploads)
            .map_err(|source| Error::Storage { path: config.storage.clone(), source: Box::new(source) })?;
        Ok(Arc::new(Self { storage, config: config.clone() }))
    }

    /// Whether this request may change anything. The one place that tokens will be asked for.
    pub(crate) fn may_write(&self) -> Result<(), Refusal> {
        if self.config.anonymous_push {
            return Ok(());
        }
        // Not 401: there is no credential that would help.
        let message = "this registry takes no anonymous push";
        Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, message))
    }
}

/// The registry as an axum router, over the storage that `config` names.
///
/// Nothing is swept up in the background; [`serve`](crate::serve) does that.
///
/// # Errors
///
/// [`Error::Storage`] if the storage directory cannot be made or opened.
pub fn router(config: &Config) -> Result<Router, Error> {
    Ok(routes(Registry::open(config)?))
}

pub(crate) fn routes(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/v2", any(answer_oci))
        .route("/v2/", any(answer_oci))
        .route("/v2/{*path}", any(answer_oci))
        .route("/catalog/{*path}", any(answer_catalog))
        .fallback(|| async { Refusal::nowhere() })
        .layer(middleware::from_fn(log))
        .with_state(registry)
}

async fn answer_oci(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let version = HeaderValue::from_static("registry/2.0");
    let (parts, mut body) = request.into_parts();
    let answer = oci(&registry, &parts, &mut body).await;
    let mut response = finish(answer, &parts, body).await;
    // Docker and its descendants look for this to know that they speak to a registry.
    response.headers_mut().insert(HeaderName::from_static("docker-distribution-api-version"), version);
    response
}

async fn oci(registry: &Registry, request: &Parts, body: &mut Body) -> Result<Response, Refusal> {
    match route::oci(request.uri.path().strip_prefix("/v2/").unwrap_or_default())? {
        Oci::Base => base(&request.method),
        Oci::Blob(_, digest) => blobs::answer(registry, &digest, request).await,
        Oci::Uploads(name) => uploads::answer_new(registry, &name, request, body).await,
        Oci::Upload(name, id) => uploads::answer(registry, &name, &id, request, body).await,
        Oci::Manifest(name, reference) => manifests::answer(registry, &name, &reference, request, body).await,
        Oci::Tags(name) => tags::answer(registry, &name, request).await,
    }
}

fn base(method: &Method) -> Result<Response, Refusal> {
    if !is_read(method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], "{}").into_response())
}

async fn answer_catalog(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let answer = catalog::answer(&registry, &parts, &mut body).await;
    finish(answer, &parts, body).await
}

async fn finish(answer: Result<Response, Refusal>, request: &Parts, mut body: Body) -> Response {
    match answer {
        Ok(response) => response,
        Err(refusal) => {
            receive::drain(&mut body, &request.headers).await;
            refusal.into_response()
        }
    }
}

pub(crate) fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// The value of a query parameter, decoded.
pub(crate) fn query(request: &Parts, name: &str) -> Option<String> {
    type Pairs = axum::extract::Query<Vec<(String, String)>>;
    let pairs = Pairs::try_from_uri(&request.uri).ok()?;
    pairs.0.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let response = next.run(request).await;
    let (status, elapsed) = (response.status().as_u16(), start.elapsed());
    tracing::info!(%method, %path, status, ?elapsed, "request");
    response
}
