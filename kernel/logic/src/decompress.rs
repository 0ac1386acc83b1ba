//! Decompression, which the image brings: C's zstd in the kernel, another build of it in host tests.

/// The frame is not what it was said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not decompress")]
pub struct BadFrame;

/// A decompressor of zstd frames.
pub trait Decompress {
    /// Decompresses one whole frame into `out`, all of it: exactly `out.len()` bytes.
    ///
    /// # Errors
    /// [`BadFrame`] for anything else, whatever the bytes are; `out` may then hold anything.
    fn decompress(&self, frame: &[u8], out: &mut [u8]) -> Result<(), BadFrame>;
}
