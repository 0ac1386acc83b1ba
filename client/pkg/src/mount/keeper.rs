//! Why a switch does not empty the page cache.
//!
//! The kernel drops a FUSE inode with its pages when no name leads to it any more, and a switch takes all old names away
//! at once, before the new ones are looked up. So each file that is read gets a second name: a folder in the root, not
//! listed, called by a random word, and closed to all but the mount's user, in which a file is called by its number. This thread looks it up there,
//! once, through the kernel. Such names are kept as any others: until memory is short, or until the file's layer has left
//! the generation that is shown.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Files that may wait for their second name. When there are more, the next ones go without.
const QUEUE: usize = 4096;

/// Where files are announced that are read for the first time.
pub struct Keeper(SyncSender<u64>);

impl Keeper {
    /// A keeper, and what [`run`] takes.
    pub fn new() -> (Self, Receiver<u64>) {
        let (sender, receiver) = sync_channel(QUEUE);
        (Self(sender), receiver)
    }

    /// A file is read for the first time. Never waits: it is called by those who would have to answer.
    pub fn keep(&self, number: u64) {
        match self.0.try_send(number) {
            // Without a second name a file is only read again after a switch.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Looks files up by their second names, until the server ends. `folder` is the keeper's, below the mount.
pub fn run(folder: &Path, files: &Receiver<u64>) {
    for number in files {
        // What cannot be looked up is not kept.
        let _ = std::fs::symlink_metadata(folder.join(number.to_string()));
    }
}
