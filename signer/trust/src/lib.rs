//! What signatures allow: certificates, the keyring, and the TUF client workflow.
//!
//! A claim comes in as bytes, a verified type goes out, and only verified types can be acted on:
//!
//! - [`certificate`] and [`keyring`] let loader, kernel and `pkg` accept a layer: [`keyring::verify`] turns a claimed
//!   [`keyring::Keyring`] into a [`keyring::VerifiedKeyring`], which judges a [`certificate::Certificate`].
//! - [`admission`] is the whole question, asked by loader, kernel and `pkg` alike: may this layer be used on this machine?
//! - [`pins`] is whom a machine trusts before it has read anything: root keys and thresholds, as a small object.
//! - [`tuf`] is the catalog: [`tuf::Update`] is the client workflow of TUF 1.0.34 as a state machine that asks for files
//!   and ends with a [`tuf::Catalog`]; [`custom`] is what a layer's target says in its `custom` object.
//! - [`key`], [`canonical`] and [`time`] are what both stand on.
//!
//! Nothing here opens a file or a socket or reads a clock: bytes and the time come in as arguments. What holds secret
//! keys and writes catalogs is the crate `plyos-custody`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admission;
pub mod canonical;
pub mod certificate;
pub mod custom;
pub mod key;
pub mod keyring;
pub mod pins;
pub mod signatures;
pub mod time;
pub mod tuf;

/// Every binary layout of this crate, for the check against docs/formats.md.
pub const LAYOUTS: &[plyos_bytemap::Layout] = &[
    certificate::certificate::LAYOUT,
    signatures::signature::LAYOUT,
    keyring::keyring::LAYOUT,
    keyring::keyring_key::LAYOUT,
    keyring::revocation::LAYOUT,
    pins::pins::LAYOUT,
    pins::pinned_set::LAYOUT,
    pins::pinned_key::LAYOUT,
];
