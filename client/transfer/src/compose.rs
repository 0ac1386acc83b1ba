//! Sending only what a registry lacks: the body of an upload as instructions, of which some say "copy these bytes of that blob".
//!
//! Registries that understand it say so when a session begins ([`Session::composes`](crate::upload::Session::composes)); the bytes of
//! the instructions stand in `docs/formats.md`. A frame of the same chunk and the same length is taken to be the same frame. Should it be
//! another (made by another encoder), the blob's digest is wrong in the end, and the blob is sent whole.

use crate::layer::LayerManifest;
use crate::upload::BodyWriter;
use plyos_ids::{BlobDigest, ChunkId};
use plyos_layer_format::frames::FrameTable;
use std::collections::HashMap;
use std::io::{self, Write};

/// Media type of a body of instructions.
pub const MEDIA_TYPE: &str = "application/vnd.plyos.compose.v1";
/// "Copy": what follows is digest, offset and length.
const COPY: u8 = 1;
/// "Bytes": what follows is a length and so many bytes.
const BYTES: u8 = 2;
/// SHA-256, as an instruction names it.
const SHA256: u8 = 1;
/// Bytes of one instruction.
const MOST_BYTES: usize = 1 << 20;

/// A blob that the registry has, and where the frames of its chunks lie in it.
#[derive(Debug)]
pub struct Base {
    blob: BlobDigest,
    frames: HashMap<ChunkId, (u64, u32)>,
}

impl Base {
    /// The blob of `manifest` with its checked frame table, `chunks` being those of its index in order.
    pub fn new(manifest: &LayerManifest, table: &FrameTable, chunks: impl Iterator<Item = ChunkId>) -> Self {
        Self { blob: manifest.blob, frames: chunks.zip(table.places()).collect() }
    }

    /// Where the frame of a chunk lies, if it has `length` bytes.
    fn find(&self, chunk: &ChunkId, length: usize) -> Option<u64> {
        let (offset, stored) = self.frames.get(chunk)?;
        (*stored as usize == length).then_some(*offset)
    }
}

/// Writes the instructions that make a blob.
#[derive(Debug)]
pub struct Composer<'a> {
    body: &'a mut BodyWriter,
    base: &'a Base,
    /// A copy that may still grow.
    copy: Option<(u64, u64)>,
    copied: u64,
}

impl<'a> Composer<'a> {
    /// Writes to `body`, and copies from `base`.
    pub fn new(body: &'a mut BodyWriter, base: &'a Base) -> Self {
        Self { body, base, copy: None, copied: 0 }
    }

    /// The next bytes of the blob.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.end_copy()?;
        for piece in bytes.chunks(MOST_BYTES) {
            self.body.write_all(&[BYTES])?;
            self.body.write_all(&(piece.len() as u32).to_le_bytes())?;
            self.body.write_all(piece)?;
        }
        Ok(())
    }

    /// The next bytes of the blob, the frame of `chunk`.
    pub fn frame(&mut self, chunk: &ChunkId, stored: &[u8]) -> io::Result<()> {
        let Some(offset) = self.base.find(chunk, stored.len()) else { return self.bytes(stored) };
        let length = stored.len() as u64;
        self.copied += length;
        match &mut self.copy {
            Some((start, copied)) if *start + *copied == offset => *copied += length,
            _ => {
                self.end_copy()?;
                self.copy = Some((offset, length));
            }
        }
        Ok(())
    }

    /// Writes what is held back; how many bytes of the blob were copied.
    pub fn finish(&mut self) -> io::Result<u64> {
        self.end_copy()?;
        Ok(self.copied)
    }

    fn end_copy(&mut self) -> io::Result<()> {
        let Some((offset, length)) = self.copy.take() else { return Ok(()) };
        self.body.write_all(&[COPY, SHA256])?;
        self.body.write_all(self.base.blob.as_bytes())?;
        self.body.write_all(&offset.to_le_bytes())?;
        self.body.write_all(&length.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    const A: ChunkId = ChunkId::from_bytes([1; 32]);
    const B: ChunkId = ChunkId::from_bytes([2; 32]);
    const C: ChunkId = ChunkId::from_bytes([3; 32]);

    fn composed(work: impl FnOnce(&mut Composer<'_>) -> io::Result<u64> + Send + 'static) -> (u64, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut writer, reader) = crate::upload::channel();
            let written = tokio::task::spawn_blocking(move || {
                let frames = HashMap::from([(A, (0, 3)), (B, (3, 4)), (C, (9, 2))]);
                let base = Base { blob: BlobDigest::from_bytes([7; 32]), frames };
                let copied = work(&mut Composer::new(&mut writer, &base)).unwrap();
                writer.finish().unwrap();
                copied
            });
            let pieces: Vec<_> = reader.map(Result::unwrap).collect().await;
            (written.await.unwrap(), pieces.concat())
        })
    }

    fn copy(offset: u64, length: u64) -> Vec<u8> {
        [&[1, 1][..], &[7; 32], &offset.to_le_bytes(), &length.to_le_bytes()].concat()
    }

    #[test]
    fn neighbours_are_copied_together() {
        let (copied, body) = composed(|composer| {
            composer.frame(&A, b"aaa")?;
            composer.frame(&B, b"bbbb")?;
            composer.frame(&C, b"cc")?;
            composer.frame(&A, b"aaa")?;
            composer.finish()
        });
        assert_eq!(copied, 12);
        assert_eq!(body, [copy(0, 7), copy(9, 2), copy(0, 3)].concat());
    }

    #[test]
    fn another_length_is_another_frame() {
        let (copied, body) = composed(|composer| {
            composer.frame(&A, b"aaa")?;
            composer.frame(&B, b"bbbbb")?;
            composer.frame(&ChunkId::from_bytes([9; 32]), b"d")?;
            composer.bytes(b"table")?;
            composer.finish()
        });
        assert_eq!(copied, 3);
        let bytes = b"\x02\x05\0\0\0bbbbb\x02\x01\0\0\0d\x02\x05\0\0\0table".to_vec();
        assert_eq!(body, [copy(0, 3), bytes].concat());
    }
}
