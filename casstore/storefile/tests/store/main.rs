//! A store used as the programs use it: in a file with its locks, full, damaged, and on a device that fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod damage;
mod files;
mod fixture;
mod locks;
mod room;
