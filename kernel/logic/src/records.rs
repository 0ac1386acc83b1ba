//! Small records of the store, each with a bound on its length before any of it is read.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use plyos_blockstore::{BadSets, Directory, Floors, History, ReadError, RecordType, read_record};

use crate::store::Device;

/// Longest certificate: 16 signatures of 4,096 bytes with their heads.
pub(crate) const LONGEST_CERTIFICATE: u64 = 128 << 10;

/// Why a record could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The device failed.
    #[error("cannot read the record ({0}): {1}")]
    Device(RecordType, String),
    /// Other bytes than the directory names.
    #[error("the record ({0}) does not match its hash")]
    Hash(RecordType),
    /// Longer than any that is read.
    #[error("the record ({0}) has {1} bytes, more than any such record may have")]
    TooLong(RecordType, u64),
    /// A list that is longer than what this machine reads ([`Limits::lists`](crate::Limits)).
    #[error("the record ({0}) has {1} bytes, and this machine's memory is enough for {2}")]
    Beyond(RecordType, u64, u64),
    /// It matches its hash and makes no sense.
    #[error("the record ({0}): {1}")]
    Malformed(RecordType, String),
}

impl RecordError {
    /// Whether it says something of what the store holds, and not only of the device or of this machine.
    pub const fn is_damage(&self) -> bool {
        !matches!(self, Self::Device(..) | Self::Beyond(..))
    }
}

/// The bytes of a record, verified; `None` when there is none.
pub(crate) fn record<D: Device>(
    device: &D,
    directory: &Directory,
    (record_type, key): (RecordType, [u8; 32]),
    longest: u64,
) -> Result<Option<Vec<u8>>, RecordError> {
    let Some(entry) = directory.records.get(&(record_type, key)) else { return Ok(None) };
    if entry.extent.len > longest {
        return Err(RecordError::TooLong(record_type, entry.extent.len));
    }
    match read_record(device, entry) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(ReadError::Io(error)) => Err(RecordError::Device(record_type, error.to_string())),
        Err(_) => Err(RecordError::Hash(record_type)),
    }
}

/// A list of at most `longest` bytes. It grows for as long as a machine lives, so the machine's memory bounds it; empty when there
/// is none.
fn list<D: Device, T: Default>(
    device: &D,
    directory: &Directory,
    longest: u64,
    record_type: RecordType,
    parse: fn(&[u8]) -> Result<T, plyos_blockstore::ListError>,
) -> Result<T, RecordError> {
    let found =
        record(device, directory, (record_type, RecordType::ONLY), longest).map_err(|error| match error {
            RecordError::TooLong(record_type, length) => RecordError::Beyond(record_type, length, longest),
            other => other,
        })?;
    let malformed =
        |error: plyos_blockstore::ListError| RecordError::Malformed(record_type, error.to_string());
    found.map_or_else(|| Ok(T::default()), |bytes| parse(&bytes).map_err(malformed))
}

/// The epoch floors; none when there are none.
pub(crate) fn floors<D: Device>(
    device: &D,
    directory: &Directory,
    longest: u64,
) -> Result<Floors, RecordError> {
    list(device, directory, longest, RecordType::Floors, Floors::parse)
}

/// What was active, and when.
pub(crate) fn history<D: Device>(
    device: &D,
    directory: &Directory,
    longest: u64,
) -> Result<History, RecordError> {
    list(device, directory, longest, RecordType::History, History::parse)
}

/// The sets of layers that turned out bad.
pub(crate) fn bad_sets<D: Device>(
    device: &D,
    directory: &Directory,
    longest: u64,
) -> Result<BadSets, RecordError> {
    list(device, directory, longest, RecordType::BadSets, BadSets::parse)
}
