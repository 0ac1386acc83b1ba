//! What can go wrong, by operation: reading and writing objects, receiving an upload, committing it.

use std::io;

use crate::digest::Digest;
use crate::recipe::RecipeError;

/// An object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object store failed.
    #[error("cannot {doing} {path} in the object store: {source}")]
    Backend {
        /// What was being done.
        doing: &'static str,
        /// To which object.
        path: String,
        /// Why it failed.
        source: object_store::Error,
    },
    /// The store was asked to keep a file below a file, or in place of a directory.
    #[error("{path} is in the way of, or below, another file; choose another path")]
    Obstructed {
        /// The path asked for.
        path: String,
    },
    /// What stands in the store is not what was written there.
    #[error("{path} is damaged ({why}); restore it from a copy")]
    Damaged {
        /// Which object.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another server changed it first.
    #[error("another server went on with {path} first; ask how far it has come")]
    Overtaken {
        /// Which object.
        path: String,
    },
    /// The storage was written by another version, or by something else.
    #[error("the storage has another layout than this version's; give an empty one and push again")]
    Layout,
    /// A clean-up is just deciding about something that a writer relies on.
    #[error("a clean-up is deciding about something that this relies on; try again in a moment")]
    Condemned,
    /// What an upload has copied by reference was taken away since.
    #[error("what this upload copies is not here any more; send the blob whole")]
    SourceGone,
    /// An upload consists of more parts than a recipe holds.
    #[error("the upload has more parts than a blob may; send it whole")]
    TooManyParts,
    /// What stands where a recipe should be cannot be read as one.
    #[error("the recipe {path} cannot be used: {source}; push the blob again")]
    Recipe {
        /// Which object.
        path: String,
        /// What is wrong with it.
        source: RecipeError,
    },
    /// A local file of the staging area failed.
    #[error("cannot {doing} in the staging area: {source}")]
    Staging {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl StoreError {
    pub(crate) fn staging(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Staging { doing, source }
    }

    pub(crate) fn recipe(path: &object_store::path::Path, source: RecipeError) -> Self {
        Self::Recipe { path: path.to_string(), source }
    }

    /// Sorts a local failure to publish at `path` as [`StoreError::backend`] does.
    pub(crate) fn sorted(self, path: &object_store::path::Path) -> Self {
        match self {
            Self::Staging { source, .. } if is_in_the_way(&source) => {
                Self::Obstructed { path: path.to_string() }
            }
            other => other,
        }
    }

    /// Sorts an object store's failure: only a file standing in the way is the caller's doing.
    pub(crate) fn backend(
        doing: &'static str,
        path: &object_store::path::Path,
        e: object_store::Error,
    ) -> Self {
        let path = path.to_string();
        if is_obstruction(&e) { Self::Obstructed { path } } else { Self::Backend { doing, path, source: e } }
    }
}

/// Whether a local file system refused because of a file where a directory should be, or the reverse. Object
/// stores without directories never do.
pub(crate) fn is_obstruction(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return is_in_the_way(io);
        }
        next = error.source();
    }
    false
}

fn is_in_the_way(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
    matches!(error.kind(), NotADirectory | IsADirectory | DirectoryNotEmpty | AlreadyExists)
}

/// An upload could not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Never begun, finished, cancelled, or swept away.
    #[error("no such upload; begin a new one")]
    Unknown,
    /// Another request is writing to it.
    #[error("another request is writing to this upload; ask again when it has ended")]
    Busy,
    /// As many uploads are open as are allowed.
    #[error("too many uploads are open; try again later")]
    TooMany,
    /// The staging area failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A sealed upload could not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The bytes that came are not the ones that were promised. They are dropped.
    #[error("the content is {actual}, not {expected}; send it again")]
    Digest {
        /// The digest that was promised.
        expected: Box<Digest>,
        /// The digest of what came.
        actual: Box<Digest>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
