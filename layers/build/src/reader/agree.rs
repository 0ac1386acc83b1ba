//! Whether a layer's tar stream says what its index says: the shell of `plyos_layer_format::agreement`.
//!
//! A mount takes names, modes and places from the index; tar, skopeo and their kin take them from the headers in the stream. Both are
//! in one signed blob, so a publisher can make them differ. Whoever vouches for a layer, or wants to know, reads it once
//! through [`agree`]: either both show the same tree, or the first difference is named.

use std::io;

use plyos_layer_format::agreement::{Difference, Expected, Part, expectations};
use plyos_layer_format::index::{Index, IndexError};
use plyos_layer_format::pages::PageSource;

use super::ChunkSource;

/// Why index and tar stream are not known to agree.
#[derive(Debug, thiserror::Error)]
pub enum AgreeError {
    /// They do not.
    #[error(
        "its index and its tar stream differ at `/{path}` ({part}, byte {offset} of the stream): other tools would see another tree; ask its publisher for a correct one"
    )]
    Differ {
        /// The entry, for people.
        path: String,
        /// What of it.
        part: Part,
        /// Where the first byte that differs stands in the stream.
        offset: u64,
    },
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A chunk cannot be had, or is not the one that the index names.
    #[error("cannot read chunk {ordinal}: {source}")]
    Chunk {
        /// Its number.
        ordinal: u64,
        /// What the source said.
        source: io::Error,
    },
}

impl AgreeError {
    /// Names what [`Expected::check`] found.
    pub fn of<S: PageSource>(index: &Index<S>, difference: Difference) -> Self {
        let Difference { ordinal, part, offset } = difference;
        match index.entry(ordinal) {
            Ok(entry) => Self::Differ { path: entry.path.escape_ascii().to_string(), part, offset },
            Err(error) => error.into(),
        }
    }
}

/// Compares the whole stream, header by header. Chunks that hold nothing but content of one file are not asked for. Gives the number of
/// chunks that were read.
pub fn agree<S: PageSource>(index: &Index<S>, chunks: &mut impl ChunkSource) -> Result<u64, AgreeError> {
    let mut read = 0;
    for expected in expectations(index) {
        let expected: Expected = expected?;
        if expected.is_content() {
            continue;
        }
        read += 1;
        let ordinal = expected.ordinal;
        let bytes = chunks
            .read_chunk(ordinal, &expected.chunk)
            .map_err(|source| AgreeError::Chunk { ordinal, source })?;
        expected.check(&bytes).map_err(|difference| AgreeError::of(index, difference))?;
    }
    Ok(read)
}
