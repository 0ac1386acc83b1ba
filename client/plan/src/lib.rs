//! What to change and what to fetch, decided without I/O.
//!
//! [`version`] is the order of versions, [`dependency`] what a descriptor's `depends` means, [`resolve`] turns a request
//! into the changes of a generation or says why that cannot be, by the search of [`solve`]. [`fetch`] is the pull engine
//! without its sockets, [`retention`] says what a clean-up takes. The programs bring the catalog and the store and carry the
//! result out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod dependency;
pub mod fetch;
pub mod resolve;
pub mod retention;
pub mod solve;
pub mod version;

/// OCI's name for a processor that Rust calls `rust_arch`.
pub fn machine_arch(rust_arch: &'static str) -> &'static str {
    match rust_arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
