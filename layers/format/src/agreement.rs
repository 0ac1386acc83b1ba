//! What the tar stream of a layer must say between the contents of its files, so that `tar -x` gives what is mounted.
//!
//! A mount never looks at the stream's headers: it has names, modes and places from the index, and reads contents only. Foreign
//! readers see the headers alone. Because the stream has one spelling, each header follows from the index: [`expectations`]
//! yields, chunk by chunk, the bytes that must stand there, and [`Expected::check`] compares. Chunks that hold nothing but one
//! file's content need not be read at all. The shell that has the chunks is `plyos_layer_build::reader::agree`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::entry::{Entry, EntryKind};
use crate::index::{Chunk, Chunks, Entries, Index, IndexError};
use crate::pages::PageSource;
use crate::stream::{self, END, EntryError};

/// What a piece of the stream is, when it is not content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The pax and ustar headers of an entry.
    Header,
    /// The zeroes after a file's content.
    Padding,
    /// The zeroes that close the stream.
    End,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "its header",
            Self::Padding => "the padding after its content",
            Self::End => "the end of the archive after it",
        })
    }
}

/// Where a stream is not what its index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Entry of the index: the one that the bytes belong to, or stand after.
    pub ordinal: u64,
    /// What differs of it.
    pub part: Part,
    /// Offset in the stream of the first byte that differs.
    pub offset: u64,
}

/// What one chunk must hold beside content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Number of the chunk.
    pub ordinal: u64,
    /// The chunk.
    pub chunk: Chunk,
    start: u64,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Entry it belongs to.
    ordinal: u64,
    part: Part,
    /// Offset in the chunk.
    at: usize,
    bytes: Fixed,
}

/// Bytes that are known before they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fixed {
    Header(Vec<u8>),
    Zeroes(usize),
}

impl Fixed {
    const fn len(&self) -> usize {
        match self {
            Self::Header(bytes) => bytes.len(),
            Self::Zeroes(count) => *count,
        }
    }

    /// How many of the first bytes of `found` are as they must be.
    fn same(&self, found: &[u8]) -> usize {
        let found = found.iter();
        match self {
            Self::Header(bytes) => bytes.iter().zip(found).take_while(|(byte, found)| byte == found).count(),
            Self::Zeroes(count) => found.take(*count).take_while(|found| **found == 0).count(),
        }
    }
}

impl Expected {
    /// Whether the chunk is content of one file and nothing else: then there is nothing to compare.
    pub const fn is_content(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes of headers that this holds in memory: at most those of the chunk.
    pub fn held(&self) -> usize {
        let held = |piece: &Piece| if let Fixed::Header(bytes) = &piece.bytes { bytes.len() } else { 0 };
        self.pieces.iter().map(held).sum()
    }

    /// BLAKE3 of the chunk's identity and of all that must stand in it. Where it is the same, one look is enough.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.chunk.id.as_bytes());
        for piece in &self.pieces {
            hasher.update(&(piece.at as u64).to_le_bytes());
            hasher.update(&(piece.bytes.len() as u64).to_le_bytes());
            match &piece.bytes {
                Fixed::Header(bytes) => hasher.update(bytes),
                Fixed::Zeroes(_) => hasher.update(&[0]),
            };
        }
        *hasher.finalize().as_bytes()
    }

    /// Compares the chunk's bytes, which the caller has verified.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Difference> {
        for piece in &self.pieces {
            let same = piece.bytes.same(bytes.get(piece.at..).unwrap_or_default());
            if same < piece.bytes.len() {
                let offset = self.start + (piece.at + same) as u64;
                return Err(Difference { ordinal: piece.ordinal, part: piece.part, offset });
            }
        }
        Ok(())
    }
}

/// What each chunk of the layer must hold, in order of the stream.
pub fn expectations<S: PageSource>(index: &Index<S>) -> Expectations<'_, S> {
    Expectations {
        entries: index.entries(),
        chunks: index.chunks(),
        begun: 0,
        first_paths: BTreeMap::new(),
        pending: Pending::default(),
        state: State::Entries,
    }
}

/// See [`expectations`]. Holds one page of entries, one of chunks, and the first path of each file with several names.
#[derive(Debug)]
pub struct Expectations<'i, S> {
    entries: Entries<'i, S>,
    chunks: Chunks<'i, S>,
    /// Entries begun.
    begun: u64,
    first_paths: BTreeMap<u64, Vec<u8>>,
    pending: Pending,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Entries,
    /// All entries were begun, and the end.
    End,
    /// Nothing more is yielded.
    Over,
}

/// What is left of the entry begun last, in order of the stream.
#[derive(Debug, Default)]
struct Pending {
    header: Vec<u8>,
    /// Bytes of the header that earlier chunks hold.
    header_done: usize,
    content: u64,
    padding: usize,
    end: usize,
}

impl Pending {
    const fn is_done(&self) -> bool {
        self.header_done == self.header.len() && self.content == 0 && self.padding == 0 && self.end == 0
    }

    /// The next run of bytes, at most `most` of them.
    fn next(&mut self, most: usize) -> Run {
        let header = self.header.get(self.header_done..).unwrap_or_default();
        if !header.is_empty() {
            let bytes: Vec<u8> = header.iter().take(most).copied().collect();
            self.header_done += bytes.len();
            return Run::Fixed(Part::Header, Fixed::Header(bytes));
        }
        if self.content > 0 {
            let taken = self.content.min(most as u64);
            self.content -= taken;
            return Run::Content(taken);
        }
        let (left, part) = match self.padding {
            0 => (&mut self.end, Part::End),
            _ => (&mut self.padding, Part::Padding),
        };
        let taken = most.min(*left);
        *left -= taken;
        Run::Fixed(part, Fixed::Zeroes(taken))
    }
}

enum Run {
    Content(u64),
    Fixed(Part, Fixed),
}

impl<S: PageSource> Expectations<'_, S> {
    fn step(&mut self) -> Result<Option<Expected>, IndexError> {
        let Some(placed) = self.chunks.next_placed() else { return self.finish() };
        let (ordinal, start, chunk) = placed?;
        let length = chunk.length as usize;
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < length {
            if self.pending.is_done() {
                self.begin(start + at as u64)?;
            }
            match self.pending.next(length - at) {
                Run::Content(taken) => at += taken as usize,
                Run::Fixed(part, bytes) => {
                    let taken = bytes.len();
                    pieces.push(Piece { ordinal: self.begun.saturating_sub(1), part, at, bytes });
                    at += taken;
                }
            }
        }
        Ok(Some(Expected { ordinal, chunk, start, pieces }))
    }

    /// Makes the next entry, or the end, pending. `here` is the stream offset at which it starts.
    fn begin(&mut self, here: u64) -> Result<(), IndexError> {
        let Some(entry) = self.entries.next() else {
            if self.state == State::End {
                return Err(IndexError::Header("its stream is longer than its entries"));
            }
            self.state = State::End;
            self.pending = Pending { end: END.len(), ..Pending::default() };
            return Ok(());
        };
        let entry = entry?;
        let ordinal = self.begun;
        self.begun += 1;
        self.pending = self.pending_of(ordinal, &entry, here)?;
        Ok(())
    }

    fn pending_of(&mut self, ordinal: u64, entry: &Entry, here: u64) -> Result<Pending, IndexError> {
        let refuse = |problem| IndexError::entry(ordinal, &entry.path, problem);
        let first_path = match entry.kind {
            EntryKind::HardLink { target } => {
                Some(self.first_paths.get(&target).ok_or_else(|| refuse(EntryError::HardLinkTarget))?)
            }
            _ => None,
        };
        let header = stream::header(entry, first_path.map(Vec::as_slice));
        if let EntryKind::File { data_offset, links, .. } = entry.kind {
            // Else the mount would read other bytes than tar takes for the content.
            if here.checked_add(header.len() as u64) != Some(data_offset) {
                return Err(refuse(EntryError::Slice));
            }
            if links > 1 {
                self.first_paths.insert(ordinal, entry.path.clone());
            }
        }
        let size = entry.size();
        Ok(Pending { header, header_done: 0, content: size, padding: stream::padding(size), end: 0 })
    }

    /// The chunks are over: so must be the entries and the end.
    fn finish(&mut self) -> Result<Option<Expected>, IndexError> {
        if self.state != State::Entries && self.pending.is_done() {
            self.state = State::Over;
            Ok(None)
        } else {
            Err(IndexError::Header("its stream is shorter than its entries"))
        }
    }
}

impl<S: PageSource> Iterator for Expectations<'_, S> {
    type Item = Result<Expected, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.state = State::Over;
        }
        step.transpose()
    }
}

#[cfg(test)]
mod tests;
