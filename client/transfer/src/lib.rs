//! The network side of the two programs: OCI registries and catalogs over HTTP.
//!
//! [`reference`] says where a layer lies (`HOST:PORT/REPO:TAG`), [`http`] is the one client with its limits and errors,
//! [`registry`] pushes and pulls, [`upload`] sends large blobs, [`compose`] only what is new of them, [`pull`] fetches the missing
//! frames of layers, [`catalog`] fetches and uploads the static files of a TUF repository. Servers that ask who is there get what [`auth_file`] and the environment hold for them;
//! [`authorities`] are believed beside the public ones, and a [`Limit`] bounds how fast content comes. Nothing here
//! trusts what it fetches beyond its size: callers check digests and signatures, except where a function says that it
//! has checked.

pub mod auth_file;
pub mod authorities;
mod authorize;
pub mod catalog;
mod challenge;
mod coding;
pub mod compose;
mod credentials;
mod failure;
pub mod http;
pub mod layer;
mod limit;
mod pace;
mod proxies;
pub mod pull;
mod redirects;
pub mod reference;
pub mod registry;
mod spool;
pub mod upload;

use plyos_report::{ExitCode, Failure, OrFail};

pub use authorities::Authorities;
pub use credentials::Credentials;
pub use http::{Http, LoginState, TransferError};
pub use limit::Limit;
pub use reference::Reference;

/// Runs a command that talks to the network to its end.
pub fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(ExitCode::Failure, "starting the runtime")?;
    runtime.block_on(work)
}
