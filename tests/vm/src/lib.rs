//! Virtual machines for tests: QEMU driven over its serial line and its monitor; and, for what needs no machine, whole stores in
//! memory ([`stores`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it asserts by panicking"
)]

pub mod stores;
