//! The publisher's state directory: keys, the signed metadata, and what is to be published next.
//!
//! ```text
//! DIR/repository.json      settings: how long what is signed lives
//! DIR/keys/ROLE.key        secret keys (root, targets, snapshot, timestamp, layer)
//! DIR/metadata/…           signed metadata, named as in the catalog
//! DIR/targets/…            manifests and keyrings, named as in the catalog
//! DIR/keyring              the newest keyring
//! DIR/offer.json           every layer that is to be offered, published or not
//! DIR/unsent.json          paths that were written and not yet said to be uploaded
//! DIR/published.json       the timestamp that was uploaded last
//! DIR/lock                 held while a program works here
//! ```
//!
//! The keyring changes by [`KeyringEdit`]s, at once where enough root keys are at hand, or by a [`Proposal`] that their holders
//! sign elsewhere; root metadata changes by proposals only.
//!
//! [`Workspace::add_layer`] and [`Workspace::remove_target`] change the offer; [`Workspace::publish`] signs what differs
//! from it. Each file is replaced in one step and the timestamp last, so that a cut leaves the state of before or after.

mod ceremony;
mod document;
mod edits;
mod error;
mod keyring;
mod layer;
mod proposal;
mod publish;
mod published;
mod settings;
mod signers;
mod state;
mod workspace;

pub use ceremony::powers;
pub use edits::{EditError, KeyringEdit, Powers, RootEdit};
pub use error::RepositoryError;
pub use layer::{Certified, LayerTarget};
pub use proposal::{Proposal, ProposalError, Signed};
pub use publish::PublishFile;
pub use published::Standing;
pub use settings::{Expiries, InitOptions};
pub use workspace::Workspace;
