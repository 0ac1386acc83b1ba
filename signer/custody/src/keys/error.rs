//! Why a key file could not be written or read.

use std::{io, path::PathBuf};

use super::Role;
use crate::secret::NewKeyError;

/// Why a key file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("cannot {doing} key file {}: {error}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// There is a key of this name.
    #[error("there is a key in {} already; choose another name", .0.display())]
    Exists(PathBuf),
    /// A name that is not a plain file name.
    #[error("{0:?} cannot be a key's name; use letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// No key could be made.
    #[error(transparent)]
    New(#[from] NewKeyError),
    /// Others than the owner may read it.
    #[error("key file {0} can be read by others; run `chmod 600 {0}`, and make a new key if others had access", path.display())]
    Readable {
        /// Which file.
        path: PathBuf,
    },
    /// Not a key file.
    #[error("{} is not a key of Plyos: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is encrypted and there is no passphrase, or not the right one.
    #[error("cannot unlock key file {}: {reason}", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It could not be encrypted.
    #[error("cannot encrypt key file {}: {reason}", path.display())]
    Encrypt {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A key for something else.
    #[error("key file {} is for role {found}, and {wanted} is needed", path.display())]
    Role {
        /// Which file.
        path: PathBuf,
        /// Role in the file.
        found: String,
        /// Role that was asked for.
        wanted: Role,
    },
}
