//! The registry: an HTTP server for images and for signed catalogs.
//!
//! It speaks OCI distribution 1.1 under `/v2/`, as far as pushing and pulling go, and serves the static files of
//! catalogs under `/catalog/`. What it keeps is [`plyos_blobs::Storage`]; this crate is HTTP and nothing else:
//!
//! - [`router`] and [`serve`] are the way in; [`Config`] says where and within which limits;
//! - `route` turns a path into checked names, before anything else looks at it;
//! - `blobs`, `uploads`, `manifests`, `tags` and `catalog` answer one kind of request each;
//! - `page` is what people see at `/`;
//! - `content` and `range` send bytes, `receive` takes them in; neither ever holds more than a piece;
//! - `compose` takes blobs that are told in ranges of others, `packing` lets blobs share what they have in common;
//! - `refusal` is every answer that is not the one asked for.
//!
//! Deliberately absent: signing keys. The registry can withhold what it was given, and never vouch for it.

mod access;
mod blobs;
mod catalog;
mod clean_up;
mod compose;
mod config;
mod connection;
mod content;
mod extensions;
mod health;
mod limits;
mod manifest;
mod manifest_push;
mod manifests;
mod metrics;
mod mounts;
mod observe;
mod packing;
mod page;
mod paging;
mod precondition;
mod range;
mod receive;
mod referrers;
mod refusal;
mod repositories;
mod route;
mod router;
mod serve;
mod tags;
mod tls;
mod unambiguous;
mod uploads;
mod warning;

pub use access::AccessError;
pub use config::{
    AccessConfig, CleanUpConfig, Config, ConfigError, Limits, Loaded, LogConfig, MetricsConfig, RightName,
    Rule, Sources, TlsConfig,
};
pub use router::router;
pub use serve::{Error, Server, serve};
pub use tls::TlsError;
