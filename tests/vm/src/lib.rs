//! Virtual machines for tests: QEMU with the kernel, driven over its serial line and its monitor ([`vm`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it asserts by panicking"
)]

pub mod vm;
