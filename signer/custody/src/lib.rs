//! Keeping secret keys, signing with them, and writing catalogs.
//!
//! - [`secret`] holds a key in memory and signs; [`keys`] keeps keys in files.
//! - [`repository`] is the publisher's state directory: it makes a repository, adds layers, and signs what a server then
//!   hands out as plain files.
//!
//! What clients do with the result is the crate `plyos-trust`; everything published here was verified with it first. No
//! clock is read: the time is an argument everywhere.
#![forbid(unsafe_code)]

mod files;
pub mod keys;
pub mod repository;
pub mod secret;

pub use secret::{SecretKey, SignError, Signer};
