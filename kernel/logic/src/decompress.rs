//! Decompression, which the image brings: C's zstd in the kernel, another build of it in host tests.

use alloc::vec::Vec;

/// The frame is not what it was said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not decompress")]
pub struct BadFrame;

/// A decompressor of zstd frames.
pub trait Decompress {
    /// Decompresses one whole frame to exactly `length` bytes. The bytes are made, not passed in: clearing a buffer that is then
    /// written over would cost a twentieth of a verified read.
    ///
    /// # Errors
    /// [`BadFrame`] for anything else, whatever the bytes are.
    fn decompress(&self, frame: &[u8], length: usize) -> Result<Vec<u8>, BadFrame>;
}
