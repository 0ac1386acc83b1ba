//! Opening: which of the two superblock copies counts.
//!
//! The copy with the higher sequence counts when its directory verifies too, else the other one. What a newer program
//! wrote on purpose (its checksum matches) is never taken for damage: such a store is refused whole, for replacing the
//! copy would destroy what that program did.

use core::fmt;

use plyos_bytemap::PreambleError;

use crate::layout::{MAX_DIRECTORY_LEN, SUPERBLOCK_OFFSETS, UNIT};
use crate::{BlockDevice, Directory, DirectoryError, Superblock, SuperblockError, read_extent};

/// A superblock copy whose directory verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCopy {
    /// Which copy: 0 or 1.
    pub number: usize,
    /// The superblock.
    pub superblock: Superblock,
    /// Its directory.
    pub directory: Directory,
}

/// A store as it was when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreView {
    /// The copy that counts.
    pub chosen: StoreCopy,
    /// The other copy, or why it is not valid. A commit replaces it.
    pub other: Result<StoreCopy, CopyDefect>,
}

impl StoreView {
    /// The valid copies, the one that counts first.
    pub fn copies(&self) -> impl Iterator<Item = &StoreCopy> {
        core::iter::once(&self.chosen).chain(&self.other)
    }
}

/// Why a superblock copy does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyDefect {
    /// The device could not read it or its directory.
    #[error("it could not be read")]
    Unreadable,
    /// The superblock is torn, damaged or absent.
    #[error("superblock: {0}")]
    Superblock(#[from] SuperblockError),
    /// The directory does not hash to what the superblock says.
    #[error("its directory does not match its hash")]
    DirectoryHash,
    /// The directory hashes to it, and is not one.
    #[error("directory: {0}")]
    Directory(#[from] DirectoryError),
}

impl CopyDefect {
    /// Whether a newer program wrote it.
    pub const fn is_too_new(&self) -> bool {
        match self {
            Self::Superblock(error) => error.is_too_new(),
            Self::Directory(error) => error.is_too_new(),
            Self::Unreadable | Self::DirectoryHash => false,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError<E> {
    /// The device failed where no valid copy was left.
    Io(E),
    /// A newer program wrote it.
    TooNew(CopyDefect),
    /// Neither copy is valid.
    NoValidCopy([CopyDefect; 2]),
    /// The device is shorter than the store on it.
    Truncated {
        /// Bytes that the superblock states.
        expected: u64,
        /// Bytes of the device.
        found: u64,
    },
    /// The directory of one of the copies is longer than what was to be read.
    DirectoryTooLong {
        /// Its length in bytes.
        length: u64,
        /// Bytes that were to be read at most.
        longest: u64,
    },
}

impl<E: fmt::Display> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooNew(defect) => write!(f, "a newer program wrote this store ({defect})"),
            Self::NoValidCopy([first, second]) => {
                write!(f, "neither superblock is valid (first: {first}; second: {second})")
            }
            Self::Truncated { expected, found } => {
                write!(f, "the store has {expected} bytes and only {found} of them are there")
            }
            Self::DirectoryTooLong { length, longest } => {
                write!(
                    f,
                    "its directory has {length} bytes, and this machine's memory is enough for {longest}"
                )
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for OpenError<E> {}

/// A copy, or its defect; with the device's error when it is unreadable.
type Loaded<E> = Result<StoreCopy, (CopyDefect, Option<E>)>;

/// Reads both superblock copies with their directories and chooses the one that counts.
pub fn open<D: BlockDevice>(device: &D) -> Result<StoreView, OpenError<D::Error>> {
    open_within(device, MAX_DIRECTORY_LEN)
}

/// The same where memory is short: no directory of more than `longest` bytes is read, and a store that has one is refused
/// whole, for the older copy may be the one that is longer.
pub fn open_within<D: BlockDevice>(device: &D, longest: u64) -> Result<StoreView, OpenError<D::Error>> {
    let first = load(device, 0, longest)?;
    let second = load(device, 1, longest)?;
    let defects = [&first, &second].map(|copy| copy.as_ref().err().map(|(defect, _)| *defect));
    if let Some(defect) = defects.into_iter().flatten().find(CopyDefect::is_too_new) {
        return Err(OpenError::TooNew(defect));
    }
    let without_error = |(defect, _)| defect;
    let view = match (first, second) {
        (Ok(a), Ok(b)) if b.superblock.sequence > a.superblock.sequence => {
            StoreView { chosen: b, other: Ok(a) }
        }
        (Ok(chosen), other) | (other, Ok(chosen)) => {
            StoreView { chosen, other: other.map_err(without_error) }
        }
        (Err((_, Some(error))), _) | (_, Err((_, Some(error)))) => return Err(OpenError::Io(error)),
        (Err((a, None)), Err((b, None))) => return Err(OpenError::NoValidCopy([a, b])),
    };
    let (expected, found) = (view.chosen.superblock.store_len(), device.len());
    if expected > found { Err(OpenError::Truncated { expected, found }) } else { Ok(view) }
}

/// Loads a copy, by one read of its superblock: what was checked is what is used.
///
/// # Errors
/// [`OpenError::DirectoryTooLong`] and nothing else; what is wrong with the copy is in the answer.
fn load<D: BlockDevice>(
    device: &D,
    number: usize,
    longest: u64,
) -> Result<Loaded<D::Error>, OpenError<D::Error>> {
    let superblock = match load_superblock(device, number) {
        Ok(superblock) => superblock,
        Err(defect) => return Ok(Err(defect)),
    };
    let length = superblock.directory.len;
    if length > longest {
        return Err(OpenError::DirectoryTooLong { length, longest });
    }
    Ok(load_directory(device, &superblock).map(|directory| StoreCopy { number, superblock, directory }))
}

fn load_superblock<D: BlockDevice>(
    device: &D,
    number: usize,
) -> Result<Superblock, (CopyDefect, Option<D::Error>)> {
    let damaged = |defect: CopyDefect| (defect, None);
    let offset = SUPERBLOCK_OFFSETS.get(number).copied().unwrap_or_default();
    if offset + UNIT > device.len() {
        return Err(damaged(CopyDefect::Superblock(PreambleError::Truncated.into())));
    }
    let mut bytes = [0; Superblock::SIZE];
    device.read_at(offset, &mut bytes).map_err(|error| (CopyDefect::Unreadable, Some(error)))?;
    Superblock::parse(&bytes).map_err(|error| damaged(error.into()))
}

fn load_directory<D: BlockDevice>(
    device: &D,
    superblock: &Superblock,
) -> Result<Directory, (CopyDefect, Option<D::Error>)> {
    let damaged = |defect: CopyDefect| (defect, None);
    if superblock.directory.end() > device.len() {
        return Err(damaged(CopyDefect::DirectoryHash));
    }
    let bytes =
        read_extent(device, superblock.directory).map_err(|error| (CopyDefect::Unreadable, Some(error)))?;
    if blake3::hash(&bytes).as_bytes() != superblock.directory_hash.as_bytes() {
        return Err(damaged(CopyDefect::DirectoryHash));
    }
    Directory::parse(&bytes, superblock.store_len()).map_err(|error| damaged(error.into()))
}
