//! Why an index was refused.

use alloc::string::String;

use plyos_bytemap::PreambleError;

use crate::descriptor::DescriptorError;
use crate::stream::EntryError;

/// Why an index, or what was asked of it, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Its first bytes.
    #[error("cannot read the layer index: {0}")]
    Preamble(PreambleError),
    /// It is not made of pages, or of too many.
    #[error("the layer index has {length} bytes; expected whole pages of 16384, at most {limit} bytes")]
    Length {
        /// Bytes at hand.
        length: u64,
        /// Most that this reader takes.
        limit: u64,
    },
    /// The fixed header.
    #[error("the header of the layer index is malformed ({0}); fetch it again or ask its publisher")]
    Header(&'static str),
    /// The descriptor.
    #[error("the layer index holds a bad descriptor: {0}")]
    Descriptor(DescriptorError),
    /// The list of page hashes.
    #[error("the page hashes are not those of the layer; fetch the layer again, or repair the store")]
    Root,
    /// A page that is not the one of the layer.
    #[error(
        "page {page} of the layer index does not have the hash that the layer's identity asks for; fetch it again, or repair the store"
    )]
    Hash {
        /// Number of the page.
        page: u32,
    },
    /// A page that could not be read.
    #[error("cannot read page {page} of the layer index: {reason}")]
    Read {
        /// Number of the page.
        page: u32,
        /// What the source said.
        reason: String,
    },
    /// A page or its record in the page directory.
    #[error(
        "page {page} of the layer index is malformed ({reason}); ask the layer's publisher for a correct one"
    )]
    Page {
        /// Number of the page.
        page: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// An entry.
    #[error("entry {ordinal} of the layer (`{path}`) is refused: {problem}")]
    Entry {
        /// Number of the entry.
        ordinal: u64,
        /// Its path for people; bytes that do not print are escaped.
        path: String,
        /// What is wrong.
        problem: EntryError,
    },
    /// A chunk.
    #[error(
        "chunk {ordinal} of the layer index is malformed ({reason}); ask the layer's publisher for a correct one"
    )]
    Chunk {
        /// Number of the chunk.
        ordinal: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A number beyond the end.
    #[error("the layer has no {what} {number}; it has {count}")]
    Beyond {
        /// What was asked for.
        what: &'static str,
        /// Which one.
        number: u64,
        /// How many there are.
        count: u64,
    },
    /// What was given to be written does not fit together.
    #[error("cannot write a layer index: {0}")]
    Input(&'static str),
}

impl IndexError {
    /// Whether a newer program wrote it: who knows more than this one may be able to read it. Told of verified bytes alone, so damage
    /// never looks like it.
    pub const fn is_too_new(&self) -> bool {
        match self {
            Self::Preamble(error) => error.is_too_new(),
            Self::Descriptor(error) => matches!(error, DescriptorError::Unknown(_)),
            _ => false,
        }
    }
}

impl IndexError {
    pub(crate) fn entry(ordinal: u64, path: &[u8], problem: EntryError) -> Self {
        Self::Entry { ordinal, path: alloc::format!("{}", path.escape_ascii()), problem }
    }
}
