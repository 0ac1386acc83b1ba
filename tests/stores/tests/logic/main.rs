//! `kernel/logic` on the host, against whole stores that the programs' own crates made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod booting;
mod damage;
mod reading;
mod switching;
mod trust;
mod world;
