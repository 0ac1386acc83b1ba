//! Hashing large files before their header is written: their modification time comes of their content.

use std::sync::mpsc::SyncSender;

use plyos_chunker::LARGE_FILE;
use plyos_layer_format::entry::EntryKind;

use crate::content::{Content, READ};
use crate::error::BuildError;
use crate::tree::{Origin, Tree};

/// How many files the hashing may be ahead: enough to keep it busy, few enough that what was read is still in the
/// system's cache when it is read again.
pub(crate) const AHEAD: usize = 8;

/// What is handed over for each large file: the BLAKE3 of its content.
pub(crate) type Hashed = Result<[u8; 32], BuildError>;

/// Whether a file's content is a run of its own, so hashed ahead.
pub(crate) fn is_large(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::File { size, .. } if *size >= LARGE_FILE)
}

/// Hashes each large file of the tree in order; ends when there are no more, at the first failure, or when nobody listens.
pub(crate) fn hash_large_files(tree: &Tree, hashes: &SyncSender<Hashed>) {
    let mut buffer = vec![0; READ];
    for (ordinal, entry) in tree.entries.iter().enumerate() {
        if is_large(&entry.kind) {
            let known = match &tree.origin {
                Origin::Directory { .. } => None,
                Origin::Spool { contents, .. } => contents.get(ordinal).copied().flatten(),
            };
            let hashed = match known {
                Some(content) => Ok(*content.blake3()),
                None => Content::open(tree, ordinal).and_then(|content| content.hash(&mut buffer)),
            };
            let failed = hashed.is_err();
            if hashes.send(hashed).is_err() || failed {
                return;
            }
        }
    }
}
