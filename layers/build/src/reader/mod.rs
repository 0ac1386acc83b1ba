//! Reading layers: from blobs and stored bytes to verified indexes and chunks.
//!
//! [`decode_chunk`], [`decode_index`] and [`decode_table`] work on byte ranges that were fetched or read by whatever means; each
//! bounds what it allocates and verifies what it returns. [`Blob`] does the same for a whole blob at hand, and [`StreamReader`]
//! makes slices of the stream out of chunks.

mod blob;
mod decode;
mod stream;

pub use blob::{Blob, Frames, ReadError};
pub use decode::{DecodeError, decode_chunk, decode_index, decode_table};
pub use stream::{ChunkSource, StreamReader};
