//! Reading layers: from blobs and stored bytes to verified indexes and chunks.
//!
//! [`decode_chunk`], [`decode_index`] and [`decode_table`] work on byte ranges that were fetched or read by whatever means; each
//! bounds what it allocates and verifies what it returns. [`Blob`] does the same for a whole blob at hand, and [`StreamReader`]
//! makes slices of the stream out of chunks. [`kept`] says what a store keeps of a fetched frame. [`agree`] tells whether the stream, as a tar archive, shows the tree of the index.

mod agree;
mod blob;
mod decode;
mod keep;
mod stream;

pub use agree::{AgreeError, agree};
pub use blob::{Blob, Frames, ReadError};
pub use decode::{DecodeError, decode_chunk, decode_index, decode_table};
pub use keep::{Kept, kept};
pub use stream::{ChunkSource, StreamReader};
