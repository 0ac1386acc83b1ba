//! Other people's clients against `plyos serve`: each pushes, pulls, compares byte for byte, and deletes, without a login and
//! with one.
//!
//! A tool that is missing fails its test unless `PLYOS_SKIP_FOREIGN=1` says that this is fine. What only some machines can do
//! (mounting needs root, pip needs its index) is left out with a word on stderr.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod buildah;
mod curl;
mod image;
mod oci_client;
mod oras;
mod podman;
mod server;
mod skopeo;
