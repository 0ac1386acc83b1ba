//! The registry: an HTTP server for images and for signed catalogs.
//!
//! It speaks OCI distribution 1.1 under `/v2/`, as far as pushing and pulling go, and serves the static files of
//! catalogs under `/catalog/`. What it keeps is [`plyos_blobs::Storage`]; this crate is HTTP and nothing else:
//!
//! - [`router`] and [`serve`] are the way in; [`Config`] says where and within which limits;
//! - `route` turns a path into checked names, before anything else looks at it;
//! - `blobs`, `uploads`, `manifests`, `tags` and `catalog` answer one kind of request each;
//! - `content` and `range` send bytes, `receive` takes them in; neither ever holds more than a piece;
//! - `refusal` is every answer that is not the one asked for.
//!
//! Deliberately absent: signing keys. The registry can withhold what it was given, and never vouch for it. Absent
//! until a later issue: tokens, deleting, referrers (answered as the specification asks of registries without
//! them), and blobs composed on the server.

mod blobs;
mod catalog;
mod config;
mod content;
mod manifest;
mod manifests;
mod range;
mod receive;
mod refusal;
mod route;
mod router;
mod serve;
mod tags;
mod uploads;

pub use config::{Config, Limits};
pub use router::router;
pub use serve::{Error, serve};
