//! The registry as its clients meet it: a server on a port of its own, and requests over a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod attacks;
mod catalog;
mod compose;
mod deletes;
mod digests;
mod heads;
mod listing;
mod manifests;
mod mounts;
mod names;
mod packing;
mod page;
mod policy;
mod push;
mod ranges;
mod referrers;
mod sessions;
mod skopeo;
mod support;
mod tags;
