//! The canonical stream as something to read slices of, over chunks from wherever they lie.

use std::io;

use plyos_layer_format::index::{Chunk, Index};
use plyos_layer_format::pages::PageSource;

use crate::export::ContentSource;

/// Where verified chunks come from: a blob, a store.
pub trait ChunkSource {
    /// The bytes of chunk number `ordinal` of a layer, which is `chunk`: verified, so exactly its length.
    fn read_chunk(&mut self, ordinal: u64, chunk: &Chunk) -> io::Result<Vec<u8>>;
}

impl<C: ChunkSource + ?Sized> ChunkSource for &mut C {
    fn read_chunk(&mut self, ordinal: u64, chunk: &Chunk) -> io::Result<Vec<u8>> {
        (**self).read_chunk(ordinal, chunk)
    }
}

/// Reads slices of a layer's stream. Holds one chunk, so that reading on in order decodes each chunk once.
#[derive(Debug)]
pub struct StreamReader<'i, S, C> {
    index: &'i Index<S>,
    chunks: C,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    start: u64,
    bytes: Vec<u8>,
}

impl<'i, S: PageSource, C: ChunkSource> StreamReader<'i, S, C> {
    /// A reader of the layer of `index`, whose chunks are had from `chunks`.
    pub const fn new(index: &'i Index<S>, chunks: C) -> Self {
        Self { index, chunks, held: None }
    }

    /// The bytes at hand from `offset` on: at least one.
    fn bytes_at(&mut self, offset: u64) -> io::Result<&[u8]> {
        let held = match self.held.take() {
            Some(held) if rest(&held, offset).is_some() => held,
            _ => {
                let (ordinal, start, chunk) = self.index.chunk_at(offset).map_err(io::Error::other)?;
                Held { start, bytes: self.chunks.read_chunk(ordinal, &chunk)? }
            }
        };
        rest(self.held.insert(held), offset).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a chunk is shorter than the index says")
        })
    }
}

fn rest(held: &Held, offset: u64) -> Option<&[u8]> {
    let skip = usize::try_from(offset.checked_sub(held.start)?).ok()?;
    held.bytes.get(skip..).filter(|rest| !rest.is_empty())
}

impl<S: PageSource, C: ChunkSource> ContentSource for StreamReader<'_, S, C> {
    fn read(&mut self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            let bytes = self.bytes_at(offset)?;
            let count = bytes.len().min(out.len());
            let (now, later) = out.split_at_mut(count);
            now.copy_from_slice(bytes.get(..count).unwrap_or_default());
            out = later;
            offset += count as u64;
        }
        Ok(())
    }
}
