//! One of the threads that turn chunks into frames.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use plyos_ids::ChunkId;
use plyos_layer_format::frames::MAX_FRAME;
use zstd::bulk::Compressor;

use super::budget::Permit;

/// A chunk on its way through the pipeline.
#[derive(Debug)]
pub(crate) struct Piece {
    pub bytes: Vec<u8>,
    /// Held until the chunk's frame is written.
    pub _permit: Permit,
}

/// A chunk with its place in the stream's order.
#[derive(Debug)]
pub(crate) struct Job {
    pub ordinal: u64,
    pub piece: Arc<Piece>,
}

/// A chunk's frame, ready to be written when its turn comes.
#[derive(Debug)]
pub(crate) struct Frame {
    pub ordinal: u64,
    pub id: ChunkId,
    /// Bytes as stored.
    pub stored: Vec<u8>,
    pub piece: Arc<Piece>,
}

/// A compressor that writes frames as docs/formats.md, "Blob and footer", has them: content size, no checksum, no dictionary.
/// The window is never larger than the chunk, since each chunk is compressed in one step.
pub(crate) fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.include_contentsize(true)?;
    compressor.include_checksum(false)?;
    compressor.include_dictid(false)?;
    Ok(compressor)
}

/// Takes jobs until there are no more, or until nobody wants the frames.
pub(crate) fn work(jobs: &Receiver<Job>, frames: &Sender<io::Result<Frame>>, level: i32) {
    let mut compressor = match compressor(level) {
        Ok(compressor) => compressor,
        Err(error) => return drop(frames.send(Err(error))),
    };
    let mut buffer = Vec::with_capacity(MAX_FRAME as usize);
    for Job { ordinal, piece } in jobs {
        buffer.clear();
        let frame = compressor.compress_to_buffer(&piece.bytes, &mut buffer).map(|_| Frame {
            ordinal,
            id: ChunkId::from_bytes(*blake3::hash(&piece.bytes).as_bytes()),
            stored: buffer.clone(),
            piece,
        });
        if frames.send(frame).is_err() {
            return;
        }
    }
}
