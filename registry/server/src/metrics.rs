//! What is counted, and how Prometheus reads it.
//!
//! Labels are of small closed sets (a kind of route, a method, a status), so that no client can make more series.

use std::fmt::Write;
use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use plyos_blobs::Footprint;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds: from an answer out of memory to one that waits for a disk's flush or a bucket.
const BUCKETS: [f64; 12] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// What a path asks for, by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Base,
    Blob,
    Upload,
    Manifest,
    Tags,
    Referrers,
    Catalog,
    Token,
    Operation,
    Other,
}

impl Kind {
    /// Reads the fixed words from the right, as routing does.
    pub(crate) fn of(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/v2") else {
            return match path {
                "/token" => Self::Token,
                "/healthz" | "/readyz" | "/metrics" | "/openapi.json" => Self::Operation,
                _ if path.starts_with("/catalog/") => Self::Catalog,
                _ => Self::Other,
            };
        };
        let mut words = rest.rsplit('/');
        let (last, before, third) = (words.next(), words.next(), words.next());
        match (third, before, last) {
            (_, None, _) | (None, Some(""), Some("")) => Self::Base,
            (_, Some("tags"), Some("list")) => Self::Tags,
            (_, Some("manifests"), _) => Self::Manifest,
            (_, Some("referrers"), _) => Self::Referrers,
            (Some("blobs"), Some("uploads"), _) | (_, Some("blobs"), Some("uploads")) => Self::Upload,
            (_, Some("blobs"), _) => Self::Blob,
            _ => Self::Other,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Blob => "blob",
            Self::Upload => "upload",
            Self::Manifest => "manifest",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Catalog => "catalog",
            Self::Token => "token",
            Self::Operation => "operation",
            Self::Other => "other",
        }
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: Kind,
    method: MethodName,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: Kind,
}

/// A method, of those that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MethodName(&'static str);

impl EncodeLabelValue for MethodName {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(self.0)
    }
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram>,
    received: Counter,
    sent: Counter,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Connections that were closed because their address had enough.
    pub(crate) turned_away: Counter,
    /// Connections that were ended because the client took its answer too slowly.
    pub(crate) gave_up: Counter,
    uploads: Gauge,
    /// Bytes that uploads took from blobs that were there.
    pub(crate) composed: Counter,
    /// Blobs that were packed.
    pub(crate) packed: Counter,
    /// Bytes that only one blob held before it was packed, and that it shares now.
    pub(crate) packed_saved: Counter,
    /// Bytes of data objects that clean-ups of this server deleted.
    pub(crate) cleaned: Counter,
    storage: Storage,
}

/// What lies in the storage, as it was listed last.
#[derive(Default)]
struct Storage {
    blobs: Gauge,
    data_objects: Gauge,
    data_bytes: Gauge,
}

/// An upload's request that is under way.
pub(crate) struct Uploading(Gauge);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("plyos_registry");
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            received: Counter::default(),
            sent: Counter::default(),
            connections: Gauge::default(),
            turned_away: Counter::default(),
            gave_up: Counter::default(),
            uploads: Gauge::default(),
            composed: Counter::default(),
            packed: Counter::default(),
            packed_saved: Counter::default(),
            cleaned: Counter::default(),
            storage: Storage::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register("request_seconds", "Time to the head of the answer", metrics.seconds.clone());
        registry.register("received_bytes", "Bytes from clients, as on the wire", metrics.received.clone());
        registry.register("sent_bytes", "Bytes to clients, as on the wire", metrics.sent.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("turned_away", "Connections closed for their address", metrics.turned_away.clone());
        registry.register("gave_up", "Connections ended for slow reading", metrics.gave_up.clone());
        registry.register("uploads", "Requests of uploads under way", metrics.uploads.clone());
        let composed = metrics.composed.clone();
        registry.register("composed_bytes", "Bytes of uploads taken from blobs that were there", composed);
        registry.register("packed_blobs", "Blobs packed", metrics.packed.clone());
        let saved = metrics.packed_saved.clone();
        registry.register("packed_saved_bytes", "Bytes that packing made blobs share", saved);
        registry.register("cleaned_bytes", "Bytes of data that clean-ups deleted", metrics.cleaned.clone());
        let Storage { blobs, data_objects, data_bytes } = &metrics.storage;
        registry.register("storage_blobs", "Blobs and manifests in the storage", blobs.clone());
        registry.register("storage_data_objects", "Data objects in the storage", data_objects.clone());
        registry.register("storage_data_bytes", "Bytes of data in the storage", data_bytes.clone());
        Self { registry, ..metrics }
    }

    /// What lies in the storage now.
    pub(crate) fn stored(&self, found: &Footprint) {
        let set = |gauge: &Gauge, value: u64| _ = gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.storage.blobs, found.blobs);
        set(&self.storage.data_objects, found.data_objects);
        set(&self.storage.data_bytes, found.data_bytes);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.received.inc_by(bytes);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    /// Counts an upload's request until the value is dropped.
    pub(crate) fn uploading(&self, kind: Kind, method: &Method) -> Option<Uploading> {
        let uploads = kind == Kind::Upload && *method != Method::GET;
        uploads.then(|| {
            self.uploads.inc();
            Uploading(self.uploads.clone())
        })
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: Kind, method: &Method, status: u16, time: Duration) {
        let method = MethodName(known(method));
        self.requests.get_or_create(&Answered { route, method, status }).inc();
        self.seconds.get_or_create(&Route { route }).observe(time.as_secs_f64());
    }

    /// All of it in the OpenMetrics text format.
    pub(crate) fn page(&self) -> Response {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            // Writing to a string cannot fail.
            text.clear();
        }
        let version = env!("CARGO_PKG_VERSION");
        if let Some(end) = text.rfind("# EOF") {
            text.truncate(end);
        }
        let _ = write!(
            text,
            "# HELP plyos_registry_build The program.\n# TYPE plyos_registry_build info\n\
             plyos_registry_build_info{{version=\"{version}\"}} 1\n# EOF\n"
        );
        let form = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        ([(header::CONTENT_TYPE, form)], text).into_response()
    }
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_as_routing_does() {
        for (path, kind) in [
            ("/v2", Kind::Base),
            ("/v2/", Kind::Base),
            ("/v2/a/b/blobs/sha256:00", Kind::Blob),
            ("/v2/a/blobs/uploads/", Kind::Upload),
            ("/v2/a/blobs/uploads", Kind::Upload),
            ("/v2/a/blobs/uploads/00", Kind::Upload),
            ("/v2/tags/list/manifests/x", Kind::Manifest),
            ("/v2/manifests/tags/list", Kind::Tags),
            ("/v2/a/referrers/sha256:00", Kind::Referrers),
            ("/v2/a", Kind::Other),
            ("/catalog/main/timestamp.json", Kind::Catalog),
            ("/token", Kind::Token),
            ("/readyz", Kind::Operation),
            ("/", Kind::Other),
        ] {
            assert_eq!(Kind::of(path), kind, "{path}");
        }
    }
}
