//! The numbers of cut rule 1. Another number is another rule: two layers share chunks only when they were cut alike.

/// Least size in bytes of a file whose content is a run of its own. Part of cut rule 1.
pub const LARGE_FILE: u64 = 65_536;

/// What a run of the stream consists of; the two are cut to different sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Run {
    /// The content of one file of [`LARGE_FILE`] bytes or more, without its padding. Cut finely, so that a change inside
    /// a large file costs little.
    File,
    /// All that stands between large files: headers, padding, smaller files, the end of the stream. Cut coarsely, so that
    /// small files compress together.
    Small,
}

/// Chunk sizes in bytes. Every chunk of a run but its last has at least `minimum`, every chunk at most `maximum`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// No cut is looked for before.
    pub minimum: usize,
    /// The size that cuts are normalised to.
    pub average: usize,
    /// A chunk is cut here if the content gave no cut before.
    pub maximum: usize,
}

impl Run {
    /// The sizes that cut rule 1 gives to this run.
    pub const fn sizes(self) -> Sizes {
        match self {
            Self::File => Sizes { minimum: 16 << 10, average: 64 << 10, maximum: 256 << 10 },
            Self::Small => Sizes { minimum: 64 << 10, average: 256 << 10, maximum: 1 << 20 },
        }
    }
}
