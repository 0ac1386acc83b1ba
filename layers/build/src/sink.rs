//! Where a blob goes while it is made.

use std::io::{self, Write};

use plyos_ids::ChunkId;

/// Takes a blob from its start to its end. Anything that is [`Write`] is one.
pub trait Sink {
    /// Takes the next bytes.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Takes the frame of a chunk: the next bytes as well, but such as may be there already, in an earlier version's blob.
    fn frame(&mut self, chunk: &ChunkId, stored: &[u8]) -> io::Result<()>;

    /// Called once, after the last byte.
    fn flush(&mut self) -> io::Result<()>;
}

impl<W: Write> Sink for W {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn frame(&mut self, _: &ChunkId, stored: &[u8]) -> io::Result<()> {
        self.write_all(stored)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }
}
