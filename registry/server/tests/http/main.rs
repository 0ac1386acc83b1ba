//! The registry as its clients meet it: a server on a port of its own, and requests over a socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod catalog;
mod manifests;
mod names;
mod policy;
mod push;
mod ranges;
mod skopeo;
mod support;
