//! Whole stores in memory, made by the programs' own crates: what `kernel/logic` is tested against on the host.
//!
//! [`maker::StoreMaker`] builds layers of directories, certifies them with keys of fixed seeds and writes generations, as `plyos` and
//! `pkg` do. [`memory::Memory`] is the device below it, which can be told to fail. [`means`] is what the image brings to the
//! kernel: zstd, and a log that a test can read.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is test code: it asserts by panicking"
)]

pub mod maker;
pub mod means;
pub mod memory;
