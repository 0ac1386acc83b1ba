//! From a request to the module that answers it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use plyos_blobs::{Settings, Storage};

use crate::access::{self, Access, Demand};
use crate::config::Config;
use crate::health::Health;
use crate::limits::AddressRate;
use crate::metrics::Metrics;
use crate::observe::observe;
use crate::packing::PackQueue;
use crate::refusal::Refusal;
use crate::route::{self, Oci};
use crate::serve::{Error, request_rate};
use crate::{
    blobs, catalog, compose, content, extensions, manifests, page, receive, referrers, repositories, tags,
    uploads,
};

/// The description of what is ours, beside what OCI distribution describes.
const OPENAPI: &str = include_str!("../openapi.json");

/// What every request is answered with.
pub(crate) struct Registry {
    pub(crate) storage: Storage,
    pub(crate) config: Config,
    pub(crate) access: Access,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rate: Option<AddressRate>,
    pub(crate) health: Health,
    pub(crate) precompressed: catalog::Precompressed,
    pub(crate) offers: page::Offers,
    pub(crate) packing: PackQueue,
    pub(crate) copies: compose::Copies,
    pub(crate) room: receive::Room,
}

impl Registry {
    pub(crate) async fn open(config: &Config) -> Result<Arc<Self>, Error> {
        let settings = Settings {
            most_uploads: config.limits.open_uploads,
            hot_bytes: config.limits.cache_bytes,
            spools: config.spools.clone(),
        };
        let storage =
            Storage::open(&config.storage, &config.storage_options, &settings).await.map_err(|source| {
                Error::Storage { path: config.storage.clone().into(), source: Box::new(source) }
            })?;
        Self::over(storage, config)
    }

    /// Over a storage that is open, whatever the configuration names.
    pub(crate) fn over(storage: Storage, config: &Config) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            storage,
            config: config.clone(),
            access: Access::open(config)?,
            metrics: Arc::new(Metrics::new()),
            rate: request_rate(config.limits.requests_per_second),
            health: Health::default(),
            precompressed: catalog::Precompressed::default(),
            offers: page::Offers::default(),
            packing: PackQueue::new(config.packing),
            copies: compose::Copies::default(),
            room: receive::Room::default(),
        }))
    }
}

/// The registry as an axum router, over the storage that `config` names.
///
/// Nothing is swept up in the background; [`serve`](crate::serve) does that.
///
/// # Errors
///
/// [`Error`], of what cannot be used.
pub async fn router(config: &Config) -> Result<Router, Error> {
    Ok(routes(Registry::open(config).await?))
}

pub(crate) fn routes(registry: Arc<Registry>) -> Router {
    let router = Router::new()
        .route("/v2", any(answer_oci))
        .route("/v2/", any(answer_oci))
        .route("/v2/{*path}", any(answer_oci))
        .route("/catalog/{*path}", any(answer_catalog))
        .route("/", any(answer_page))
        .route("/ui/", any(answer_page))
        .route("/ui/{*path}", any(answer_page))
        .route("/token", any(answer_token))
        .route("/openapi.json", get(answer_openapi))
        .route("/healthz", get(answer_healthz))
        .route("/readyz", get(answer_readyz));
    let router = match registry.config.metrics.on_main_port {
        true => router.route("/metrics", get(answer_metrics)),
        false => router,
    };
    router
        .fallback(|| async { Refusal::nowhere() })
        .layer(middleware::from_fn_with_state(Arc::clone(&registry), observe))
        .with_state(registry)
}

/// What an address for metrics alone answers.
pub(crate) fn operation(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/metrics", get(answer_metrics))
        .route("/healthz", get(answer_healthz))
        .route("/readyz", get(answer_readyz))
        .with_state(registry)
}

async fn answer_metrics(State(registry): State<Arc<Registry>>) -> Response {
    registry.metrics.page()
}

async fn answer_healthz() -> &'static str {
    "ok\n"
}

async fn answer_readyz(State(registry): State<Arc<Registry>>) -> Response {
    registry.health.ready(&registry.storage).await
}

async fn answer_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn answer_token(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let idle = registry.config.limits.upload_idle;
    let answer = access::answer_token(&registry.access, &parts, &mut body, idle, &registry.room).await;
    finish(answer, &parts, body).await
}

async fn answer_oci(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let version = HeaderValue::from_static("registry/2.0");
    let (mut parts, mut body) = request.into_parts();
    let answer = oci(&registry, &mut parts, &mut body).await;
    let mut response = finish(answer, &parts, body).await;
    // Docker and its descendants look for this to know that they speak to a registry.
    response.headers_mut().insert(HeaderName::from_static("docker-distribution-api-version"), version);
    content::make_inert(&mut response);
    response
}

async fn oci(registry: &Registry, request: &mut Parts, body: &mut Body) -> Result<Response, Refusal> {
    let place = route::oci(request.uri.path().strip_prefix("/v2/").unwrap_or_default())?;
    admit(registry, request, access::of_oci(&place, &request.method)).await?;
    match place {
        Oci::Base => base(&request.method),
        Oci::Blob(name, digest) => blobs::answer(registry, &name, &digest, request).await,
        Oci::Uploads(name) => uploads::answer_new(registry, &name, request, body).await,
        Oci::Upload(name, id) => uploads::answer(registry, &name, &id, request, body).await,
        Oci::Manifest(name, reference) => manifests::answer(registry, &name, &reference, request, body).await,
        Oci::Tags(name) => tags::answer(registry, &name, request).await,
        Oci::Referrers(name, subject) => referrers::answer(registry, &name, &subject, request).await,
        Oci::Repositories => repositories::answer(registry, request).await,
        Oci::Extensions => extensions::answer(&request.method),
    }
}

fn base(method: &Method) -> Result<Response, Refusal> {
    if !is_read(method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(([content_type, extensions::COMPOSE], "{}").into_response())
}

async fn answer_catalog(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (mut parts, mut body) = request.into_parts();
    let answer = static_file(&registry, &mut parts, &mut body).await;
    let mut response = finish(answer, &parts, body).await;
    content::make_inert(&mut response);
    response
}

async fn static_file(registry: &Registry, request: &mut Parts, body: &mut Body) -> Result<Response, Refusal> {
    let rest = request.uri.path().strip_prefix("/catalog/").unwrap_or_default();
    let (name, place) = (route::catalog_name(rest)?, route::catalog(rest)?);
    admit(registry, request, access::of_catalog(&name, &place, &request.method)).await?;
    catalog::answer(registry, request, body).await
}

/// Lets a request through that may do what it wants, and leaves word of who asks for what the route does not tell.
async fn admit(registry: &Registry, request: &mut Parts, demand: Demand<'_>) -> Result<(), Refusal> {
    let caller = registry.access.admit(request, demand).await?;
    if let Some(account) = caller.account() {
        tracing::Span::current().record("account", account);
    }
    request.extensions.insert(caller);
    Ok(())
}

async fn answer_page(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    page::answer(&registry, &parts).await
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

/// The value of a query parameter, decoded; the first if it is given more than once.
pub(crate) fn query(request: &Parts, name: &str) -> Option<String> {
    query_all(request, name).into_iter().next()
}

/// The values of a query parameter, decoded.
pub(crate) fn query_all(request: &Parts, name: &str) -> Vec<String> {
    type Pairs = axum::extract::Query<Vec<(String, String)>>;
    let pairs = Pairs::try_from_uri(&request.uri).map(|pairs| pairs.0).unwrap_or_default();
    pairs.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}
