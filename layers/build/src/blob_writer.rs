//! The blob as it is written: bytes are counted and hashed on their way out.

use plyos_ids::{BlobDigest, ChunkId};
use plyos_layer_format::footer::skippable;
use sha2::{Digest, Sha256};

use crate::error::BuildError;
use crate::sink::Sink;

/// Writes a blob from its start to its end.
pub(crate) struct BlobWriter<'a, S> {
    out: &'a mut S,
    hasher: Sha256,
    len: u64,
}

impl<'a, S: Sink> BlobWriter<'a, S> {
    pub(crate) fn new(out: &'a mut S) -> Self {
        Self { out, hasher: Sha256::new(), len: 0 }
    }

    /// Bytes written so far.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.out.bytes(bytes).map_err(BuildError::Write)?;
        self.count(bytes);
        Ok(())
    }

    /// Writes the frame of a chunk.
    pub(crate) fn write_frame(&mut self, chunk: &ChunkId, stored: &[u8]) -> Result<(), BuildError> {
        self.out.frame(chunk, stored).map_err(BuildError::Write)?;
        self.count(stored);
        Ok(())
    }

    fn count(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Writes a skippable frame of the zstd form and returns the offset of its payload. The payload is shorter than 4 GiB: what is stored
    /// there has limits far below.
    pub(crate) fn write_skippable(&mut self, payload: &[u8]) -> Result<u64, BuildError> {
        self.write(&skippable(payload.len() as u32))?;
        let offset = self.len;
        self.write(payload)?;
        Ok(offset)
    }

    /// Flushes, and returns length and digest.
    pub(crate) fn finish(self) -> Result<(u64, BlobDigest), BuildError> {
        self.out.flush().map_err(BuildError::Write)?;
        Ok((self.len, BlobDigest::from_bytes(self.hasher.finalize().into())))
    }
}
