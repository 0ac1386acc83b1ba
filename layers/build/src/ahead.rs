//! Reading ahead of the stream. A file's modification time comes of its content, so its header can be written only when all of it is
//! read and hashed: threads of their own do that ([`Reading`]), and the stream takes the files in order ([`Ahead`]).
//!
//! Up to [`HELD`] bytes a file is handed over whole, so that it is opened, read and hashed once. A larger one is only hashed, and
//! read again when its turn comes.
//!
//! Several readers, because opening and reading thousands of small files keeps one busy for longer than all later steps. A file is
//! chosen and its permit taken under one lock, so permits are given in the order of the stream: the file that the stream
//! waits for always has one, and the budget cannot lock up.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use plyos_chunker::LARGE_FILE;
use plyos_layer_format::entry::EntryKind;
use plyos_layer_format::index::MtimeRule;

use crate::content::{Content, READ};
use crate::error::BuildError;
use crate::pipeline::{Budget, Permit};
use crate::tree::{Origin, Tree};

/// Most threads that read: more of them only wait for each other.
pub(crate) const MAX_READERS: usize = 4;

/// Bytes that are read ahead. A file that is only hashed counts as the longest that is held, so that it is still in the system's
/// cache when it is read again.
const BUDGET: usize = 8 << 20;

/// The longest file that is handed over whole.
const HELD: u64 = 4 << 20;

/// What is known of a file when its turn comes. The hash is missing where no time depends on it.
#[derive(Debug)]
pub(crate) enum Ready {
    /// All of its content.
    Whole { bytes: Vec<u8>, hash: Option<[u8; 32]> },
    /// The BLAKE3 of its content, which is read again.
    Huge { hash: Option<[u8; 32]> },
}

/// What a reader brings: which file of the tree it is, counted from 0, and what is known of it.
#[derive(Debug)]
pub(crate) struct Brought {
    pub number: usize,
    pub ready: Result<Ready, BuildError>,
    /// Held until the stream has the file.
    pub permit: Option<Permit>,
}

/// The files in the order of the stream, whichever reader brings them.
#[derive(Debug)]
pub(crate) struct Ahead {
    files: Receiver<Brought>,
    waiting: BTreeMap<usize, Brought>,
    next: usize,
}

impl Ahead {
    pub(crate) const fn new(files: Receiver<Brought>) -> Self {
        Self { files, waiting: BTreeMap::new(), next: 0 }
    }

    /// The next file; `None` when no reader will bring it.
    pub(crate) fn take(&mut self) -> Option<Brought> {
        loop {
            if let Some(brought) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Some(brought);
            }
            let brought = self.files.recv().ok()?;
            self.waiting.insert(brought.number, brought);
        }
    }
}

/// Whether a file's content is a run of its own.
pub(crate) fn is_large(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::File { size, .. } if *size >= LARGE_FILE)
}

/// What the readers share.
pub(crate) struct Reading<'a> {
    tree: &'a Tree,
    budget: Arc<Budget>,
    next: Mutex<Position>,
}

/// How far the readers are.
#[derive(Default)]
struct Position {
    /// Entry to look at next.
    ordinal: usize,
    /// Files before it.
    number: usize,
    failed: bool,
}

/// A file that a reader has taken on.
struct Chosen {
    ordinal: usize,
    number: usize,
    size: u64,
    permit: Permit,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, budget: Budget::new(BUDGET), next: Mutex::default() }
    }

    /// Reads file after file, beside others who do; ends when there are no more, at the first failure, or when nobody listens.
    pub(crate) fn read(&self, files: &Sender<Brought>) {
        let mut buffer = vec![0; READ];
        while let Some(Chosen { ordinal, number, size, permit }) = self.choose() {
            let ready = if size > HELD {
                hash(self.tree, ordinal, &mut buffer).map(|hash| Ready::Huge { hash })
            } else {
                whole(self.tree, ordinal)
            };
            let failed = ready.is_err();
            if files.send(Brought { number, ready, permit: Some(permit) }).is_err() || failed {
                self.next.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
                return;
            }
        }
    }

    fn choose(&self) -> Option<Chosen> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        while !next.failed {
            let ordinal = next.ordinal;
            let entry = self.tree.entries.get(ordinal)?;
            next.ordinal += 1;
            if let EntryKind::File { size, .. } = entry.kind {
                let number = next.number;
                next.number += 1;
                let permit = self.budget.acquire(size.min(HELD) as usize);
                return Some(Chosen { ordinal, number, size, permit });
            }
        }
        None
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

fn whole(tree: &Tree, ordinal: usize) -> Result<Ready, BuildError> {
    let bytes = Content::open(tree, ordinal)?.read_whole()?;
    let hash = match (tree.mtime_rule, known(tree, ordinal)) {
        (MtimeRule::Kept, _) => None,
        (MtimeRule::Content, Some(known)) => Some(known),
        (MtimeRule::Content, None) => Some(*blake3::hash(&bytes).as_bytes()),
    };
    Ok(Ready::Whole { bytes, hash })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{ScanOptions, scan};

    fn brought(number: usize) -> Brought {
        Brought { number, ready: Ok(Ready::Huge { hash: None }), permit: None }
    }

    #[test]
    fn files_come_in_order_whoever_brings_them() {
        let (sender, files) = mpsc::channel();
        for number in [2, 0, 3, 1] {
            sender.send(brought(number)).unwrap();
        }
        drop(sender);
        let mut ahead = Ahead::new(files);
        let order: Vec<_> = std::iter::from_fn(|| ahead.take()).map(|brought| brought.number).collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    /// Twenty times the budget through four readers, taken slowly and in order.
    #[test]
    fn readers_wait_for_the_stream_and_not_for_each_other() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..40_u8 {
            std::fs::write(dir.path().join(format!("{number:02}")), vec![number; HELD as usize]).unwrap();
        }
        let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
        let reading = Reading::new(&tree);
        let (sender, files) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..MAX_READERS {
                let sender = sender.clone();
                let reading = &reading;
                scope.spawn(move || reading.read(&sender));
            }
            drop(sender);
            let mut ahead = Ahead::new(files);
            for number in 0..40_u8 {
                let Ready::Whole { bytes, .. } = ahead.take().unwrap().ready.unwrap() else { panic!() };
                assert!(bytes.len() == HELD as usize && bytes.iter().all(|byte| *byte == number));
            }
            assert!(ahead.take().is_none());
        });
    }

    #[test]
    fn nobody_waits_for_a_stream_that_ended() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..10 {
            std::fs::write(dir.path().join(number.to_string()), vec![0; HELD as usize]).unwrap();
        }
        let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
        let reading = Reading::new(&tree);
        let (sender, files) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..MAX_READERS {
                let sender = sender.clone();
                let reading = &reading;
                scope.spawn(move || reading.read(&sender));
            }
            let mut ahead = Ahead::new(files);
            assert!(ahead.take().is_some());
        });
    }
}
