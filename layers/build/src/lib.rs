//! Building layers from directories, reading their blobs, and writing their trees back to a directory.
//!
//! [`scan`] finds what is in a directory, [`build`] turns that into a layer: the canonical stream is cut, hashed and compressed
//! in a pipeline over all cores, and the blob written with index, frame table and footer. [`reader`] opens such a blob and yields
//! verified chunks, [`export`] writes a tree of entries to a fresh directory, [`oci`] makes the image config and manifest by
//! which container tools and registries know the layer.
//!
//! What a layer is, byte by byte, stands in the core `plyos-layer-format` and `docs/formats.md`; this crate does the I/O.
#![forbid(unsafe_code)]

mod ahead;
mod blob_writer;
mod build;
mod content;
mod error;
pub mod export;
mod frame_cache;
pub mod oci;
mod pipeline;
mod produce;
pub mod reader;
mod scan;
mod sink;
mod spool;
mod stale;
mod tables;
mod tree;

pub use build::{BuildOptions, Built, Progress, build};
pub use error::BuildError;
pub use frame_cache::{CacheUsage, FrameCache};
pub use scan::{Exclusions, IdMap, IdRange, Others, Owner, ScanOptions, belongs, scan};
pub use sink::Sink;
pub use spool::{Spool, Spooled};
pub use tree::Tree;

#[cfg(test)]
mod tests;
