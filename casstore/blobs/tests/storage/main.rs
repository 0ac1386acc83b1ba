//! The storage as a server uses it: in a local directory, in memory, and in a bucket of the s3s server crate on loopback. Whatever
//! need not be one of them is tested over all three.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may panic")]

mod blobs;
mod catalog;
mod copies;
mod crashes;
mod places;
mod races;
mod repositories;
mod s3;
mod servers;
mod sessions;
