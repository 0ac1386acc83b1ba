//! Reads what the documents say of the workspace and what the workspace is, for the tests that compare them.
//!
//! The tests are in `tests/`: [`dependencies`] against `cargo metadata`, [`byte_maps`] against the constants of the code,
//! and the rules of the house that a machine can check over [`workspace`] files.
#![forbid(unsafe_code)]

pub mod byte_maps;
pub mod dependencies;
pub mod workspace;
