//! The kernel over stores that `pkg` made: what it shows, what it refuses, what it survives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod damage;
mod debian;
mod formats;
mod fuzzed;
mod gone;
mod large_file;
mod network;
mod outcome;
mod placed;
mod reading;
mod same;
mod slots;
mod switches;
mod trust;
mod versions;
