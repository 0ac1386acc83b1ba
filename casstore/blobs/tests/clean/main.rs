//! Clean-up and check, over a local directory and over a plain object store.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic; what is indexed was made here"
)]

mod check;
mod garbage;
mod races;
mod registry;
mod untagged;
