//! Why an archive was refused.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use plyos_layer_build::BuildError;
use plyos_layer_format::stream::{MAX_PATH, NameError};

/// Why reading an archive failed. Nothing was made of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The bytes could not be read, or could not be decompressed.
    #[error("cannot read {what}: {source}")]
    Read {
        /// What was being read.
        what: String,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// An entry is refused.
    #[error("{path:?} is refused: {refusal}")]
    Entry {
        /// The entry as the archive names it.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// The archive itself is refused.
    #[error("{what} is refused: {refusal}")]
    Archive {
        /// What was being read.
        what: String,
        /// Why.
        refusal: Refusal,
    },
    /// What was read does not make a tree.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// What is wrong with an entry or an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `..` in a name.
    #[error("it has a component `..`; an archive must stay within itself")]
    Dots,
    /// A leading `/`.
    #[error("its name is absolute; use --strip-root to take the leading `/` off")]
    Absolute,
    /// A NUL byte in a name.
    #[error("its name or link target has a NUL byte, at which some readers stop")]
    Nul,
    /// A name that layers cannot have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A file whose name ends in `/`.
    #[error(
        "it is a file by type and a directory by the `/` at its end; readers take it for one or the other"
    )]
    FileOrDirectory,
    /// The root is not a directory.
    #[error("the root of the archive must be a directory")]
    Root,
    /// An entry below a link of the same archive.
    #[error("it lies below {0:?}, which is a link; extracting it would write through the link")]
    BelowLink(PathBuf),
    /// An entry below something that is no directory.
    #[error("it lies below {0:?}, which is no directory")]
    BelowFile(PathBuf),
    /// Something would replace a directory with content.
    #[error("a directory of that name, which is not empty, stands before it in the archive")]
    DirectoryInTheWay,
    /// A hard link to what does not stand before it.
    #[error("it is a hard link to {0:?}, which is no file that stands before it in the archive")]
    HardLink(PathBuf),
    /// A type of entry that no layer holds.
    #[error("its type {0:?} is not one that can be read")]
    Type(char),
    /// Content where none may be.
    #[error("it is no file and has content; readers disagree on where the next entry begins")]
    ContentOfNoFile,
    /// A header whose sum is wrong.
    #[error("the header at byte {0} is damaged (its checksum is wrong), or this is no tar archive")]
    Checksum(u64),
    /// A number that is none.
    #[error("the {0} in its header is no number")]
    Number(&'static str),
    /// A negative number.
    #[error("the {0} in its header is negative")]
    Negative(&'static str),
    /// A number too great.
    #[error("the {0} in its header is too great")]
    TooGreat(&'static str),
    /// Two places that say one thing.
    #[error("its {0} stands twice; readers take one or the other")]
    SaidTwice(&'static str),
    /// The two sizes of an entry differ.
    #[error(
        "its size is {pax} by its pax header and {ustar} by its tar header; readers would go on at different places"
    )]
    Sizes {
        /// By the pax record.
        pax: u64,
        /// By the header proper.
        ustar: u64,
    },
    /// A pax header that cannot be read.
    #[error("its pax header is malformed ({0})")]
    Pax(&'static str),
    /// A global pax header that would name or size entries.
    #[error("a global pax header sets {0}, which only single entries may have")]
    Global(String),
    /// A sparse map that cannot be.
    #[error("its map of holes is malformed ({0})")]
    Sparse(&'static str),
    /// An access control list that is not understood.
    #[error("its access control list is malformed, or names a user without a number ({0})")]
    Acl(String),
    /// The archive ends early.
    #[error("it ends in the middle; it was cut short, fetch or make it again")]
    Cut,
    /// No end mark.
    #[error("it has no end mark; it was cut short, fetch or make it again")]
    NoEnd,
    /// Something follows the end.
    #[error("it goes on after its end mark; some readers would read on")]
    AfterEnd,
    /// Too many entries.
    #[error("it has more than {0} entries; if that is meant, raise --max-entries")]
    Entries(u64),
    /// Too much data.
    #[error("it expands to more than {0} bytes; if that is meant, raise --max-size")]
    Expansion(u64),
    /// Names and attributes that together are too long.
    #[error("the names and attributes of its entries are longer than {0} bytes")]
    Metadata(u64),
    /// A part that is too long.
    #[error("its {0} is too long (names have at most {MAX_PATH} bytes)")]
    TooLong(&'static str),
    /// A digest that does not fit.
    #[error("its bytes are not those of {0}; fetch it again")]
    Digest(String),
    /// What is missing or wrong in the archive's own description.
    #[error("{0}")]
    Content(String),
}

impl ImportError {
    /// A failure to read `what`. A [`Refusal`] that came through a reader comes out as what it is.
    pub(crate) fn read(what: &str, source: io::Error) -> Self {
        match source.downcast::<Refusal>() {
            Ok(refusal) => Self::Archive { what: what.to_owned(), refusal },
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Archive { what: what.to_owned(), refusal: Refusal::Cut }
            }
            Err(source) => Self::Read { what: what.to_owned(), source },
        }
    }

    /// A refusal of what the archive calls `path`.
    pub(crate) fn entry(path: &[u8], refusal: impl Into<Refusal>) -> Self {
        Self::Entry { path: shown(path), refusal: refusal.into() }
    }

    /// A refusal of a whole archive.
    pub(crate) fn archive(what: &str, refusal: Refusal) -> Self {
        Self::Archive { what: what.to_owned(), refusal }
    }
}

/// A name of an archive as it is shown.
pub(crate) fn shown(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(if path.is_empty() { b"." } else { path }))
}
