//! Why a publisher's repository could not be read, changed or signed.

use std::{io, path::PathBuf};

use plyos_trust::{
    canonical::CanonicalError, custom::CustomError, keyring::KeyringError, keyring::Refusal,
    signatures::SignaturesError, tuf::TargetNameError, tuf::TufError,
};

use super::{EditError, ProposalError};
use crate::{SignError, keys::KeyFileError, keys::Role};

/// Why a publisher's repository could not be read, changed or signed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Reading or writing failed.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The directory is in use.
    #[error("cannot begin a repository in {}: it holds one already; use another directory", .0.display())]
    Exists(PathBuf),
    /// There is no repository.
    #[error("there is no repository in {}; run `plyos repo init` there first", .0.display())]
    NoRepository(PathBuf),
    /// Another program works with it.
    #[error("another program works with the repository in {}; wait until it has ended", .0.display())]
    Locked(PathBuf),
    /// A file is not what this program writes.
    #[error("cannot use {}: {reason}; restore it from a copy", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Options that make no repository.
    #[error("cannot begin a repository: {0}")]
    Options(&'static str),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A key that is not there.
    #[error("there is no key in {0}; name one of the folder `keys`, or a key file")]
    NoSuchKey(String),
    /// Too few keys of a role lie in the folder `keys`.
    #[error(
        "{needed} keys are needed to sign for role {role}, and {found} of those that may lie in the folder `keys`; put them there, or name others with `plyos ceremony propose`"
    )]
    TooFewKeys {
        /// The role.
        role: Role,
        /// Keys at hand.
        found: usize,
        /// Its threshold.
        needed: u32,
    },
    /// No layer key at hand may sign this.
    #[error(
        "no layer key in the folder `keys` may sign {name} at security epoch {epoch}; `plyos keyring show` tells who may"
    )]
    NoLayerKey {
        /// Target name of the layer.
        name: String,
        /// Epoch that was asked for.
        epoch: u32,
    },
    /// Clients would refuse the certificate.
    #[error("the certificate of {name} would be refused by targets: {refusal}")]
    LayerRefused {
        /// Target name of the layer.
        name: String,
        /// Why.
        refusal: Refusal,
    },
    /// A change of the keyring or the root that makes no sense.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A proposal that cannot be used.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// A signer.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A layer that cannot be offered.
    #[error("cannot offer layer {name}: {reason}")]
    Layer {
        /// Its target name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A name that cannot be a target's.
    #[error("cannot offer the layer: {0}")]
    Name(#[from] TargetNameError),
    /// The descriptor or another document has no canonical form.
    #[error("cannot sign: {0}")]
    Canonical(#[from] CanonicalError),
    /// Too many signatures, or none.
    #[error("cannot sign: {0}")]
    Signatures(#[from] SignaturesError),
    /// What the offer says of a layer.
    #[error(transparent)]
    Custom(#[from] CustomError),
    /// The keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// Clients would refuse the keyring.
    #[error("the keyring would be refused by clients: {0}")]
    KeyringRefused(#[from] Refusal),
    /// Clients would refuse what was signed: nothing was published.
    #[error("nothing was published, because clients would refuse it: {0}")]
    Refused(#[from] TufError),
}
