//! One of the threads that turn chunks into frames.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use plyos_ids::ChunkId;

use super::budget::Permit;
use super::encoder::{Coding, Encoder};
use crate::frame_cache::{FrameCache, Key};

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

/// Takes jobs until there are no more, or until nobody wants the frames. What the cache has is not encoded again.
pub(crate) fn work(
    jobs: &Receiver<Job>,
    frames: &Sender<io::Result<Frame>>,
    coding: Coding,
    cache: Option<&FrameCache>,
) {
    let mut encoder = match Encoder::new(coding) {
        Ok(encoder) => encoder,
        Err(error) => return drop(frames.send(Err(error))),
    };
    for Job { ordinal, piece } in jobs {
        let id = ChunkId::from_bytes(*blake3::hash(&piece.bytes).as_bytes());
        let key = Key { chunk: id, coding: coding.number() };
        let stored = match cache.and_then(|cache| cache.get(&key)) {
            Some(stored) => Ok(stored),
            None => encoder.encode(&piece.bytes).map(|frame| {
                if let Some(cache) = cache
                    && worth_keeping(coding, piece.bytes.len(), frame.len())
                {
                    cache.put(&key, frame);
                }
                frame.to_vec()
            }),
        };
        if frames.send(stored.map(|stored| Frame { ordinal, id, stored, piece })).is_err() {
            return;
        }
    }
}

/// Whether reading a frame back is much cheaper than making it again. A quick level gives up on bytes that do not compress about as
/// fast as they can be read and checked.
fn worth_keeping(coding: Coding, chunk: usize, frame: usize) -> bool {
    const QUICK: i32 = 4;
    coding.level > QUICK || frame < chunk / 8 * 7
}
