//! What a server offers against what this workspace has put there: so that two workspaces with the same keys, one a
//! copy of the other, do not undo each other's publications.
//!
//! `DIR/published.json` remembers the timestamp that was uploaded last. A program that dies between the upload and the
//! note leaves a server that offers what was signed last, which is ours too.

use std::{fs, io};

use plyos_ids::BlobDigest;
use plyos_trust::tuf::TIMESTAMP;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{RepositoryError, Workspace, state};

/// Name of the note in the state directory.
const NOTE: &str = "published.json";

/// How a server's catalog stands to a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is none yet: everything is to be uploaded.
    Empty,
    /// It is what this workspace uploaded last: what is new is to be uploaded.
    Ours,
    /// Somebody else published, or the server was set back.
    Foreign,
}

impl Workspace {
    /// Compares a server's `timestamp.json` with what this workspace published last. To be asked before anything is
    /// signed: signing replaces the timestamp of which the server may already have been sent a copy.
    ///
    /// # Errors
    /// When the note cannot be read or written.
    pub fn standing(&self, offered: Option<&[u8]>) -> Result<Standing, RepositoryError> {
        let Some(offered) = offered else { return Ok(Standing::Empty) };
        if self.published()? == Some(sha256(offered)) {
            return Ok(Standing::Ours);
        }
        if self.state.signed.get(TIMESTAMP).is_some_and(|signed| signed == offered) {
            self.note_published(offered)?;
            return Ok(Standing::Ours);
        }
        Ok(Standing::Foreign)
    }

    /// Remembers the timestamp that a server offers now.
    pub(super) fn note_published(&self, timestamp: &[u8]) -> Result<(), RepositoryError> {
        let text = json!({"plyos": "published", "version": 1, "timestamp": sha256(timestamp).to_hex()});
        state::write(&self.dir.join(NOTE), format!("{text}\n").as_bytes())
    }

    fn published(&self) -> Result<Option<BlobDigest>, RepositoryError> {
        let path = self.dir.join(NOTE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => {
                result.map_err(|error| RepositoryError::Io { doing: "read", path: path.clone(), error })?
            }
        };
        let note: Value = serde_json::from_slice(&text).map_err(|error| state::malformed(&path, error))?;
        let digest =
            note.get("timestamp").and_then(Value::as_str).and_then(|hex| BlobDigest::parse(hex).ok());
        digest.map(Some).ok_or_else(|| state::malformed(&path, "it names no timestamp"))
    }
}

fn sha256(bytes: &[u8]) -> BlobDigest {
    BlobDigest::from_bytes(Sha256::digest(bytes).into())
}
