//! From stored bytes to verified ones, never more of them than were stated.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read;

use flate2::bufread::GzDecoder;
use plyos_ids::{ChunkId, Codec, LayerId};
use plyos_layer_format::annotations::{IndexPlace, TablePlace};
use plyos_layer_format::chunks::MAX_CHUNK;
use plyos_layer_format::frames::{FrameTable, FrameTableError, MAX_FRAME, MAX_TABLE};
use plyos_layer_format::gzip_members;
use plyos_layer_format::index::{Chunk, MAX_INDEX};
use zstd::bulk::Decompressor;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

thread_local! {
    /// Each thread's decompressor: making one for each chunk would cost more than many a chunk.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Why stored bytes did not become what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than a reader takes.
    #[error(
        "{stored} stored bytes for {length} are more than a reader takes; fetch it again or ask its publisher"
    )]
    Limit {
        /// Bytes as stored.
        stored: u64,
        /// Bytes stated.
        length: u64,
    },
    /// The stored bytes are not what was asked for: cut off, not one zstd frame or gzip member, or of another length.
    #[error("the stored bytes are damaged ({0}); fetch them again, or repair the store")]
    Damaged(&'static str),
    /// They decode to other bytes.
    #[error("chunk {expected} has the hash {found} once decoded; fetch it again, or repair the store")]
    Chunk {
        /// What was asked for.
        expected: ChunkId,
        /// What was there.
        found: ChunkId,
    },
    /// They decode to another index.
    #[error("the index of layer {expected} has the hash {found}; fetch it again or ask its publisher")]
    Index {
        /// What was asked for.
        expected: LayerId,
        /// What was there.
        found: LayerId,
    },
    /// They decode to another frame table.
    #[error(
        "the layer's frame table does not have the hash that its manifest or footer states; fetch it again"
    )]
    TableHash,
    /// The frame table does not parse.
    #[error(transparent)]
    Table(#[from] FrameTableError),
}

/// Decodes the stored bytes of one chunk and checks them against its identity. Allocates the chunk's stated length, which
/// may be at most 1 MiB.
pub fn decode_chunk(codec: Codec, stored: &[u8], chunk: &Chunk) -> Result<Vec<u8>, DecodeError> {
    let limits = (u64::from(MAX_FRAME), u64::from(MAX_CHUNK));
    let bytes = decode(codec, stored, u64::from(chunk.length), limits)?;
    let found = ChunkId::from_bytes(*blake3::hash(&bytes).as_bytes());
    if found == chunk.id { Ok(bytes) } else { Err(DecodeError::Chunk { expected: chunk.id, found }) }
}

/// Decodes the stored index of layer `id` and checks it against that identity. What is in it must still be checked
/// ([`plyos_layer_format::index::check`]).
pub fn decode_index(place: &IndexPlace, stored: &[u8], id: &LayerId) -> Result<Vec<u8>, DecodeError> {
    let bytes = decode_stored_table(place.codec, stored, place.length, MAX_INDEX)?;
    let found = plyos_layer_format::index::layer_id(&bytes);
    if found == *id { Ok(bytes) } else { Err(DecodeError::Index { expected: *id, found }) }
}

/// Decodes the stored frame table and checks its hash, its form, and that it is that of layer `id` with `chunks` chunks.
pub fn decode_table(
    place: &TablePlace,
    stored: &[u8],
    id: &LayerId,
    chunks: u64,
) -> Result<FrameTable, DecodeError> {
    let bytes = decode_stored_table(place.codec, stored, place.length, MAX_TABLE)?;
    if blake3::hash(&bytes).as_bytes() != place.hash.as_bytes() {
        return Err(DecodeError::TableHash);
    }
    let table = FrameTable::parse(&bytes)?;
    table.check_layer(*id, chunks)?;
    Ok(table)
}

/// Decodes an index or a frame table, which lies in empty gzip members where the blob has that form.
fn decode_stored_table(codec: Codec, stored: &[u8], length: u64, limit: u64) -> Result<Vec<u8>, DecodeError> {
    let stored = if gzip_members::is_wrapped(stored) {
        let payload = gzip_members::unwrap(stored);
        Cow::Owned(payload.ok_or(DecodeError::Damaged("they are no run of empty gzip members"))?)
    } else {
        Cow::Borrowed(stored)
    };
    decode(codec, &stored, length, (limit, limit))
}

/// Decodes to exactly `length` bytes. `limits` are the most stored bytes and the most decoded ones.
fn decode(codec: Codec, stored: &[u8], length: u64, limits: (u64, u64)) -> Result<Vec<u8>, DecodeError> {
    let (stored_limit, length_limit) = limits;
    let too_long = DecodeError::Limit { stored: stored.len() as u64, length };
    if stored.len() as u64 > stored_limit || length > length_limit {
        return Err(too_long);
    }
    let length = usize::try_from(length).map_err(|_| too_long)?;
    match codec {
        Codec::Raw if stored.len() == length => Ok(stored.to_vec()),
        Codec::Raw => Err(DecodeError::Damaged("they have another length")),
        Codec::Zstd => decompress(stored, length),
        Codec::Gzip => inflate(stored, length),
    }
}

/// One zstd frame that states `length` as its content size, and nothing after it.
fn decompress(stored: &[u8], length: usize) -> Result<Vec<u8>, DecodeError> {
    if find_frame_compressed_size(stored) != Ok(stored.len()) {
        return Err(DecodeError::Damaged("they are not one whole zstd frame"));
    }
    if !matches!(get_frame_content_size(stored), Ok(Some(size)) if size == length as u64) {
        return Err(DecodeError::Damaged("their zstd frame states another length"));
    }
    let mut out = Vec::new();
    // zstd writes no further than the capacity, which is the length.
    if out.try_reserve_exact(length).is_err() {
        return Err(DecodeError::Limit { stored: stored.len() as u64, length: length as u64 });
    }
    let damaged = DecodeError::Damaged("zstd cannot decode them");
    let written = DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().ok()?),
        };
        decompressor.decompress_to_buffer(stored, &mut out).ok()
    });
    if written == Some(length) { Ok(out) } else { Err(damaged) }
}

/// One gzip member that holds `length` bytes, and nothing after it.
fn inflate(stored: &[u8], length: usize) -> Result<Vec<u8>, DecodeError> {
    let mut member = GzDecoder::new(stored);
    let mut out = Vec::with_capacity(length);
    // One byte more than there should be tells of any more, and lets the member end be checked.
    let read = member.by_ref().take(length as u64 + 1).read_to_end(&mut out);
    if read.is_err() || out.len() != length {
        return Err(DecodeError::Damaged("they are not one gzip member of the right length"));
    }
    if member.into_inner().is_empty() {
        Ok(out)
    } else {
        Err(DecodeError::Damaged("something follows their gzip member"))
    }
}
