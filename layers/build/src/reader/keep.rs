//! From a frame as it was fetched to what a store keeps of it: stores hold no gzip.

use plyos_ids::Codec;
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::Chunk;

use super::decode::{DecodeError, decode_chunk};
use crate::pipeline::compressor;

/// zstd level at which chunks of the gzip form are kept: about as small as they came, at the speed at which they come.
const LEVEL: i32 = 3;

/// What a store keeps of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The frame as it came, which is zstd.
    AsItCame,
    /// These bytes instead, of this codec. At most the chunk's length.
    Instead(Codec, Vec<u8>),
}

/// Verifies a fetched frame against its chunk, and says what a store keeps of it.
pub fn kept(form: Form, frame: &[u8], chunk: &Chunk) -> Result<Kept, DecodeError> {
    let bytes = decode_chunk(form.codec(), frame, chunk)?;
    match form {
        Form::Zstd => Ok(Kept::AsItCame),
        Form::Gzip => Ok(match compressor(LEVEL).and_then(|mut compressor| compressor.compress(&bytes)) {
            Ok(compressed) if compressed.len() < bytes.len() => Kept::Instead(Codec::Zstd, compressed),
            // Without memory for a compressor it is kept as well, only larger.
            _ => Kept::Instead(Codec::Raw, bytes),
        }),
    }
}
