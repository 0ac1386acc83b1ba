//! Why a layer could not be built.

use std::io;
use std::path::PathBuf;

use plyos_layer_format::frames::FrameTableError;
use plyos_layer_format::index::IndexError;
use plyos_layer_format::stream::EntryError;

/// Why scanning a directory or building a layer from it failed. Paths are relative to the scanned directory.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The directory itself could not be opened.
    #[error("cannot open the directory {path:?}: {source}")]
    Root {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something inside could not be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An entry that the format does not hold (name, type, attribute, limit).
    #[error("{path:?} cannot be part of a layer: {source}; remove it or exclude it")]
    Refused {
        /// The entry.
        path: PathBuf,
        /// The rule it breaks.
        source: EntryError,
    },
    /// A socket: it means something to a running program only.
    #[error("{path:?} is a socket, which no layer can hold; remove it or exclude it")]
    Socket {
        /// The entry.
        path: PathBuf,
    },
    /// An exclusion that names nothing inside the directory.
    #[error("cannot exclude {path:?}: give a path inside the directory, without `..`")]
    Exclude {
        /// As it was given.
        path: PathBuf,
    },
    /// An exclusion pattern that is none.
    #[error("cannot exclude {pattern:?}: {reason}; patterns are those of a .gitignore")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// Levels cannot be stripped: there is not just one directory to go down into.
    #[error(
        "cannot strip {levels} levels: expected one directory, found {found}; exclude what does not belong, or strip less",
        found = list(found)
    )]
    Strip {
        /// How many were to be stripped.
        levels: usize,
        /// What was found on the level where it failed.
        found: Vec<PathBuf>,
    },
    /// An owner or group for which the map has no answer.
    #[error(
        "{path:?} belongs to {id}, which the ownership map refuses; add it to the map, or exclude the entry"
    )]
    Owner {
        /// The entry.
        path: PathBuf,
        /// Number of its owner or group.
        id: u32,
    },
    /// A tree from elsewhere that is not in the order of a stream, or names a path twice.
    #[error("{path:?} stands twice or out of order in the tree")]
    Twice {
        /// The path.
        path: PathBuf,
    },
    /// A file is not what it was a moment ago.
    #[error(
        "{path:?} changed while it was read; stop what writes to it, or copy the directory and push the copy"
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A compression level that zstd does not have.
    #[error("compression level {level} does not exist; use 1 to 22 (3 is quick, 9 usual, 19 for a release)")]
    Level {
        /// As it was given.
        level: i32,
    },
    /// zstd failed, which it does for lack of memory only.
    #[error("cannot compress: {0}")]
    Compress(io::Error),
    /// The blob could not be written.
    #[error("cannot write the layer's blob: {0}")]
    Write(io::Error),
    /// A thread of the pipeline could not be started.
    #[error("cannot start a worker thread: {0}; try fewer threads")]
    Thread(io::Error),
    /// The tree and the descriptor do not make an index.
    #[error("cannot make the layer's index: {0}")]
    Index(#[from] IndexError),
    /// There are more frames than a frame table holds.
    #[error("cannot make the layer's frame table: {0}")]
    Table(#[from] FrameTableError),
}

/// The first few paths of a list.
fn list(found: &[PathBuf]) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> = found.iter().take(SHOWN).map(|path| format!("{path:?}")).collect();
    match found.len() {
        0 => names.push("nothing".into()),
        1..=SHOWN => {}
        more => names.push(format!("{} more", more - SHOWN)),
    }
    names.join(", ")
}
