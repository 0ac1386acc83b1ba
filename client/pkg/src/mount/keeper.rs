//! Why a switch does not empty the page cache.
//!
//! The kernel drops a FUSE inode with its pages when no name leads to it any more, and a switch takes all old names away
//! at once, before the new ones are looked up. So each file that is read gets a second name: a folder in the root, not
//! listed, called by a random word, and closed to all but the mount's user, in which a file is called by its number. This thread looks it up there,
//! once, through the kernel. Such names are kept as any others: until memory is short, or until the file's layer has left
//! the generation that is shown.
//!
//! A file that is read for the first time while generations change cannot be found there until it was moved to the new one:
//! it is looked up again a little later. Those that were read just before a switch and whose turn had not come are read again.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Files that may wait for their second name. When there are more, the next ones go without.
const QUEUE: usize = 4096;
/// How often a file is looked up that is not found.
const TRIES: u32 = 20;
/// How long until those are looked up again.
const PAUSE: Duration = Duration::from_millis(10);

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
    // Those that were not found, and how often they are looked up still.
    let mut missed: VecDeque<(u64, u32)> = VecDeque::new();
    let is_found = |number: u64| std::fs::symlink_metadata(folder.join(number.to_string())).is_ok();
    loop {
        let next = if missed.is_empty() {
            files.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            files.recv_timeout(PAUSE)
        };
        match next {
            Ok(number) if is_found(number) => {}
            Ok(number) if missed.len() < QUEUE => missed.push_back((number, TRIES)),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => {
                for (number, tries) in std::mem::take(&mut missed) {
                    // What is not found after all was forgotten, or its layer is gone.
                    if tries > 0 && !is_found(number) {
                        missed.push_back((number, tries - 1));
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
