//! Reading ahead of the stream. A file's modification time comes of its content, so its header can be written only when all of it is
//! read and hashed: threads of their own do that ([`Reading`]), and the stream takes the files in order ([`Ahead`]).
//!
//! Up to [`HELD`] bytes a file is handed over whole, so that it is opened, read and hashed once. A larger one is only hashed, and
//! read again when its turn comes.
//!
//! Several readers, because opening and reading thousands of small files keeps one busy for longer than all later steps. Small files that
//! follow each other are brought together, for waking a thread costs as much as reading one of them. Files are
//! chosen and their permit taken under one lock, so permits are given in the order of the stream: the file that the stream
//! waits for always has one, and the budget cannot lock up.

use std::collections::{BTreeMap, VecDeque};
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

/// Bytes, and files, that are brought together at most, unless one file is longer.
const TOGETHER: u64 = 256 << 10;
const MOST_TOGETHER: usize = 64;

/// What is known of a file when its turn comes. The hash is missing where no time depends on it.
#[derive(Debug)]
pub(crate) enum Ready {
    /// All of its content.
    Whole { bytes: Vec<u8>, hash: Option<[u8; 32]> },
    /// The BLAKE3 of its content, which is read again.
    Huge { hash: Option<[u8; 32]> },
}

/// What a reader brings: which run of files it is, counted from 0, and what is known of each.
#[derive(Debug)]
pub(crate) struct Brought {
    number: usize,
    /// Up to the first that could not be read.
    files: VecDeque<Result<Ready, BuildError>>,
    /// Held until the stream has them all.
    _permit: Option<Permit>,
}

#[cfg(test)]
impl Brought {
    /// The first run, of one file.
    pub(crate) fn of_one(ready: Ready) -> Self {
        Self { number: 0, files: VecDeque::from([Ok(ready)]), _permit: None }
    }
}

/// The files in the order of the stream, whichever reader brings them.
#[derive(Debug)]
pub(crate) struct Ahead {
    runs: Receiver<Brought>,
    waiting: BTreeMap<usize, Brought>,
    /// The run that the stream is at.
    current: Option<Brought>,
    next: usize,
}

impl Ahead {
    pub(crate) const fn new(runs: Receiver<Brought>) -> Self {
        Self { runs, waiting: BTreeMap::new(), current: None, next: 0 }
    }

    /// The next file; `None` when no reader will bring it. The run that it belongs to counts as being read until the file after its last
    /// is asked for.
    pub(crate) fn take(&mut self) -> Option<Result<Ready, BuildError>> {
        loop {
            if let Some(ready) = self.current.as_mut().and_then(|run| run.files.pop_front()) {
                return Some(ready);
            }
            // Its permit goes back now: the next run may need it.
            self.current = None;
            self.current = Some(self.run()?);
        }
    }

    fn run(&mut self) -> Option<Brought> {
        loop {
            if let Some(brought) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Some(brought);
            }
            let brought = self.runs.recv().ok()?;
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
    /// Runs of files before it.
    number: usize,
    failed: bool,
}

/// A run of files that a reader has taken on.
struct Chosen {
    number: usize,
    /// Ordinals and sizes.
    files: Vec<(usize, u64)>,
    permit: Permit,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, budget: Budget::new(BUDGET), next: Mutex::default() }
    }

    /// Reads run after run, beside others who do; ends when there are no more, at the first failure, or when nobody listens.
    pub(crate) fn read(&self, runs: &Sender<Brought>) {
        let mut buffer = vec![0; READ];
        while let Some(Chosen { number, files: chosen, permit }) = self.choose() {
            let mut files = VecDeque::with_capacity(chosen.len());
            let mut failed = false;
            for (ordinal, size) in chosen {
                let ready = if size > HELD {
                    hash(self.tree, ordinal, &mut buffer).map(|hash| Ready::Huge { hash })
                } else {
                    whole(self.tree, ordinal)
                };
                failed = ready.is_err();
                files.push_back(ready);
                if failed {
                    break;
                }
            }
            if runs.send(Brought { number, files, _permit: Some(permit) }).is_err() || failed {
                self.next.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
                return;
            }
        }
    }

    fn choose(&self) -> Option<Chosen> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.failed {
            return None;
        }
        let (mut files, mut sum) = (Vec::new(), 0);
        while let Some(entry) = self.tree.entries.get(next.ordinal) {
            if let EntryKind::File { size, .. } = entry.kind {
                let held = size.min(HELD);
                if !files.is_empty() && (sum + held > TOGETHER || files.len() == MOST_TOGETHER) {
                    break;
                }
                files.push((next.ordinal, size));
                sum += held;
            }
            next.ordinal += 1;
        }
        if files.is_empty() {
            return None;
        }
        let number = next.number;
        next.number += 1;
        let permit = self.budget.acquire(sum as usize);
        Some(Chosen { number, files, permit })
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

    /// A run of so many files, each told apart by its bytes.
    fn brought(number: u8, files: u8) -> Brought {
        let ready = |file| Ok(Ready::Whole { bytes: vec![number, file], hash: None });
        Brought { number: number.into(), files: (0..files).map(ready).collect(), _permit: None }
    }

    #[test]
    fn files_come_in_order_whoever_brings_them() {
        let (sender, runs) = mpsc::channel();
        for run in [brought(2, 1), brought(0, 3), brought(3, 2), brought(1, 1)] {
            sender.send(run).unwrap();
        }
        drop(sender);
        let mut ahead = Ahead::new(runs);
        let order: Vec<_> = std::iter::from_fn(|| ahead.take())
            .map(|ready| match ready.unwrap() {
                Ready::Whole { bytes, .. } => bytes,
                Ready::Huge { .. } => panic!(),
            })
            .collect();
        assert_eq!(order, [[0, 0], [0, 1], [0, 2], [1, 0], [2, 0], [3, 0], [3, 1]]);
    }

    #[test]
    fn small_files_come_together_and_long_ones_alone() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [1, TOGETHER - 1, 1, HELD, 2, 2];
        for (number, size) in sizes.iter().enumerate() {
            std::fs::write(dir.path().join(number.to_string()), vec![0; *size as usize]).unwrap();
        }
        for number in 0..MOST_TOGETHER {
            std::fs::write(dir.path().join(format!("z{number:03}")), b"").unwrap();
        }
        let tree = scan(dir.path(), &ScanOptions::default()).unwrap();
        let reading = Reading::new(&tree);
        let runs = std::iter::from_fn(|| reading.choose()).map(|chosen| chosen.files.len());
        assert_eq!(runs.collect::<Vec<_>>(), [2, 1, 1, MOST_TOGETHER, 2]);
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
                let Ready::Whole { bytes, .. } = ahead.take().unwrap().unwrap() else { panic!() };
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
