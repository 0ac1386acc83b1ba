//! What happens around every request: its id, its share of the rate, its line in the log, its place in the metrics.
//!
//! At the usual level the log has changes, refused logins and failures; what was merely read is counted, and logged at
//! `debug`. Lines that are written while a request is answered stand in its span and so carry its id.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use tracing::field::Empty;

use crate::connection::Peer;
use crate::metrics::Kind;
use crate::refusal::{Code, Refusal};
use crate::router::{Registry, is_read};

/// In requests and answers.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over from a client.
const LONGEST_ID: usize = 64;

/// The id of a request: the client's, or one made here.
enum RequestId {
    Theirs(HeaderValue),
    Ours(u32),
}

/// Tells servers, and their starts, apart.
static PREFIX: LazyLock<u32> = LazyLock::new(|| {
    let mut bytes = [0; 4];
    // Without chance the ids of two servers may meet, which is all.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
});
static COUNT: AtomicU32 = AtomicU32::new(0);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let sane = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            (1..=LONGEST_ID).contains(&bytes.len()) && bytes.iter().all(word)
        };
        match headers.get(X_REQUEST_ID).filter(sane) {
            Some(value) => Self::Theirs(value.clone()),
            None => Self::Ours(COUNT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Theirs(value) => Some(value.clone()),
            Self::Ours(_) => self.to_string().try_into().ok(),
        }
    }
}

impl Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Theirs(value) => f.write_str(value.to_str().unwrap_or_default()),
            Self::Ours(count) => write!(f, "{:08x}{count:08x}", *PREFIX),
        }
    }
}

/// Around every request.
pub(crate) async fn observe(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = RequestId::of(request.headers());
    let (method, uri, http) = (request.method().clone(), request.uri().clone(), request.version());
    let kind = Kind::of(uri.path());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
    let span = tracing::info_span!("request", %id, account = Empty);
    let _uploading = registry.metrics.uploading(kind, &method);

    let mut response = match admit(&registry, &request, kind, peer) {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(refusal) => refusal.into_response(),
    };

    if let Some(id) = id.header() {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    let (status, elapsed) = (response.status(), start.elapsed());
    registry.metrics.answered(kind, &method, status.as_u16(), elapsed);
    span.in_scope(|| {
        let (path, peer, code) = (uri.path(), peer.map(tracing::field::display), status.as_u16());
        if status.is_server_error() {
            tracing::warn!(%method, path, ?http, status = code, ?elapsed, peer, "request");
        } else if !is_read(&method) || matches!(code, 401 | 403 | 429) {
            tracing::info!(%method, path, ?http, status = code, ?elapsed, peer, "request");
        } else {
            tracing::debug!(%method, path, ?http, status = code, ?elapsed, peer, "request");
        }
    });
    response
}

/// What is refused before anybody looks at what is asked for.
fn admit(registry: &Registry, request: &Request, kind: Kind, peer: Option<IpAddr>) -> Result<(), Refusal> {
    let most = registry.config.limits.head_bytes;
    if head_bytes(request) > most {
        let message = format!("a request's head may have at most {most} bytes here");
        return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Code::SizeInvalid, message));
    }
    match (&registry.rate, peer) {
        (Some(rate), Some(address)) if kind != Kind::Operation && !rate.admits(address) => {
            let message = "too many requests; ask more slowly";
            Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message)
                .header(header::RETRY_AFTER, HeaderValue::from_static("1")))
        }
        _ => Ok(()),
    }
}

/// About what the head had on the wire.
fn head_bytes(request: &Request) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    fields.sum::<usize>() + path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> String {
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(text).unwrap())]);
        RequestId::of(&headers).to_string()
    }

    #[test]
    fn sane_ids_are_taken_over_and_others_made() {
        assert_eq!(id("4bf92f35-77b3_4.da6"), "4bf92f35-77b3_4.da6");
        let long = "a".repeat(65);
        for bad in ["", "a b", "a\"b", "<x>", "a\tb", &long] {
            let made = id(bad);
            assert!(made.len() == 16 && made != bad, "{bad}: {made}");
        }
        assert_ne!(
            RequestId::of(&HeaderMap::new()).to_string(),
            RequestId::of(&HeaderMap::new()).to_string()
        );
    }
}
