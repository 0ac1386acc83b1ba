//! Reading ahead of the stream. A file's modification time comes of its content, so its header can be written only when all of it is
//! read and hashed: a thread of its own does that, and hands over each file in order.
//!
//! Up to [`HELD`] bytes a file is handed over whole, so that it is opened, read and hashed once. A larger one is only hashed, and
//! read again when its turn comes.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use plyos_chunker::LARGE_FILE;
use plyos_layer_format::entry::EntryKind;
use plyos_layer_format::index::MtimeRule;

use crate::content::{Content, READ};
use crate::error::BuildError;
use crate::pipeline::{Budget, Permit};
use crate::tree::{Origin, Tree};

/// How many files the reading may be ahead: enough to keep it busy, few enough that what was hashed is still in the system's
/// cache when it is read again.
pub(crate) const AHEAD: usize = 64;

/// Bytes that are read ahead.
pub(crate) const BUDGET: usize = 8 << 20;

/// The longest file that is handed over whole.
const HELD: u64 = 4 << 20;

/// What is known of a file when its turn comes. The hash is missing where no time depends on it.
#[derive(Debug)]
pub(crate) enum Ready {
    /// All of its content.
    Whole {
        bytes: Vec<u8>,
        hash: Option<[u8; 32]>,
        /// Held until the content is in the stream.
        _permit: Permit,
    },
    /// The BLAKE3 of its content, which is read again.
    Huge { hash: Option<[u8; 32]> },
}

/// What is handed over for each file.
pub(crate) type Handed = Result<Ready, BuildError>;

/// Whether a file's content is a run of its own.
pub(crate) fn is_large(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::File { size, .. } if *size >= LARGE_FILE)
}

/// Reads each file of the tree in order; ends when there are no more, at the first failure, or when nobody listens.
pub(crate) fn read_ahead(tree: &Tree, files: &SyncSender<Handed>) {
    let mut buffer = vec![0; READ];
    let budget = Budget::new(BUDGET);
    for (ordinal, entry) in tree.entries.iter().enumerate() {
        if let EntryKind::File { size, .. } = entry.kind {
            let ready = if size > HELD {
                hash(tree, ordinal, &mut buffer).map(|hash| Ready::Huge { hash })
            } else {
                whole(tree, ordinal, &mut buffer, &budget)
            };
            let failed = ready.is_err();
            if files.send(ready).is_err() || failed {
                return;
            }
        }
    }
}

/// The hash of an imported file is known from its import.
fn known(tree: &Tree, ordinal: usize) -> Option<[u8; 32]> {
    match &tree.origin {
        Origin::Directory { .. } => None,
        Origin::Spool { contents, .. } => Some(*contents.get(ordinal).copied().flatten()?.blake3()),
    }
}

fn hash(tree: &Tree, ordinal: usize, buffer: &mut [u8]) -> Result<Option<[u8; 32]>, BuildError> {
    match (tree.mtime_rule, known(tree, ordinal)) {
        (MtimeRule::Kept, _) => Ok(None),
        (MtimeRule::Content, Some(known)) => Ok(Some(known)),
        (MtimeRule::Content, None) => Content::open(tree, ordinal)?.hash(buffer).map(Some),
    }
}

fn whole(tree: &Tree, ordinal: usize, buffer: &mut [u8], budget: &Arc<Budget>) -> Handed {
    let size = tree.entries.get(ordinal).map_or(0, |entry| entry.size()) as usize;
    let _permit = budget.acquire(size);
    let mut bytes = Vec::with_capacity(size);
    Content::open(tree, ordinal)?.read_pieces(buffer, |piece| {
        bytes.extend_from_slice(piece);
        Ok::<(), BuildError>(())
    })?;
    let hash = match (tree.mtime_rule, known(tree, ordinal)) {
        (MtimeRule::Kept, _) => None,
        (MtimeRule::Content, Some(known)) => Some(known),
        (MtimeRule::Content, None) => Some(*blake3::hash(&bytes).as_bytes()),
    };
    Ok(Ready::Whole { bytes, hash, _permit })
}
