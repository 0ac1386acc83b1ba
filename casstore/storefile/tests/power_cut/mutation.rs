//! The harness is shown to see: six mistakes that the store's code could make, one in two forms. Each is made by a device that does with
//! reads, writes, flushes and locks what the mistaken code would have done, so that the code under test stays as it is
//! and one run of `cargo test` makes them all.

use std::sync::Arc;

use plyos_blockstore::Superblock;
use plyos_blockstore::layout::SUPERBLOCK_OFFSETS;

use crate::device::{Image, Operation};

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The flush before the superblock is not made.
    NoFlushBeforeFlip,
    /// The flush after the superblock is not made.
    NoFlushAfterFlip,
    /// The superblock is written and flushed before what it points to.
    OrderSwapped,
    /// What only the older copy reaches is taken for free: it is not seen.
    ReusedEarly,
    /// The new superblock has the sequence number of the one before.
    SequenceKept,
    /// A superblock counts whatever its checksum says: it is made to match as it is read.
    ChecksumUnchecked,
    /// Clean-up finds that nobody holds a lease.
    LeaseIgnored,
}

impl Mutation {
    pub const ALL: [Self; 7] = [
        Self::NoFlushBeforeFlip,
        Self::NoFlushAfterFlip,
        Self::OrderSwapped,
        Self::ReusedEarly,
        Self::SequenceKept,
        Self::ChecksumUnchecked,
        Self::LeaseIgnored,
    ];

    /// The checks that may see it first.
    pub const fn seen_by(self) -> &'static [&'static str] {
        match self {
            Self::NoFlushBeforeFlip => &["[older copy]", "[whole]", "[opens]"],
            Self::NoFlushAfterFlip => &["[opens]", "[old or new]"],
            Self::OrderSwapped => &["[visible]"],
            Self::ReusedEarly => &["[older copy]"],
            Self::SequenceKept => &["[visible]"],
            Self::ChecksumUnchecked => &["[old or new]", "[older copy]", "[completes]"],
            Self::LeaseIgnored => &["[lease]"],
        }
    }

    /// What of it holds for the harness itself when it reads a store: only what changes how a store is read.
    pub fn of_reader(mutation: Option<Self>) -> Option<Self> {
        mutation.filter(|mutation| *mutation == Self::ChecksumUnchecked)
    }
}

/// Through which a program sees the medium. Without a mutation it changes nothing.
pub struct Lens {
    mutation: Option<Mutation>,
    /// A superblock was written and not flushed.
    flipped: bool,
    /// What is written after the superblock, in swapped order.
    held: Vec<Operation>,
}

impl Lens {
    pub const fn new(mutation: Option<Mutation>) -> Self {
        Self { mutation, flipped: false, held: Vec::new() }
    }

    /// Changes what a program reads.
    pub fn read(&mut self, offset: u64, out: &mut [u8], image: &Image) {
        let Some(mutation) = self.mutation else { return };
        if !SUPERBLOCK_OFFSETS.contains(&offset) || out.len() != Superblock::SIZE {
            return;
        }
        match mutation {
            Mutation::ReusedEarly => {
                let mut other = [0; Superblock::SIZE];
                image.read((65_536 - offset) as usize, &mut other);
                if let (Ok(this), Ok(other)) = (Superblock::parse(out), Superblock::parse(&other))
                    && this.sequence < other.sequence
                {
                    out.fill(0);
                }
            }
            Mutation::ChecksumUnchecked if out.starts_with(b"PLYSTORE") => seal(out),
            _ => {}
        }
    }

    /// Changes what a program writes.
    pub fn write(&mut self, write: &mut Operation) {
        if !write.is_flip() {
            return;
        }
        let Operation::Write { bytes, .. } = write else { return };
        let Ok(found) = Superblock::parse(bytes) else { return };
        if self.mutation == Some(Mutation::SequenceKept) && found.sequence > 1 {
            *bytes = Arc::from(&Superblock { sequence: found.sequence - 1, ..found }.emit()[..]);
        }
    }

    /// Does an operation: what reaches the log, and in which order.
    pub fn log(&mut self, operation: Operation, log: &mut Vec<Operation>) {
        let flush = matches!(operation, Operation::Flush);
        let before = self.flipped;
        self.flipped = !flush && (before || operation.is_flip());
        match self.mutation {
            Some(Mutation::NoFlushBeforeFlip) if flush && !before => {}
            Some(Mutation::NoFlushAfterFlip) if flush && before => {}
            Some(Mutation::OrderSwapped) if flush && !before => {}
            Some(Mutation::OrderSwapped) if flush => {
                log.push(Operation::Flush);
                log.append(&mut self.held);
                log.push(Operation::Flush);
            }
            Some(Mutation::OrderSwapped) if !operation.is_flip() => self.held.push(operation),
            _ => log.push(operation),
        }
    }
}

/// Makes the checksum of a superblock match.
fn seal(bytes: &mut [u8]) {
    let covered = Superblock::SIZE - 32;
    let checksum = *blake3::hash(&bytes[..covered]).as_bytes();
    bytes[covered..].copy_from_slice(&checksum);
}
