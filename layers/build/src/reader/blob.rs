//! A layer's blob on something that can seek: a file, or ranges made to look like one.

use std::io::{self, Read, Seek, SeekFrom};

use plyos_ids::LayerId;
use plyos_layer_format::footer::{FOOTER_SIZE, Footer, FooterError};
use plyos_layer_format::frames::{Form, FrameTable};
use plyos_layer_format::gzip_members;
use plyos_layer_format::index::{self, Chunk, Index, IndexError, Limits};
use plyos_layer_format::pages::{PageHashes, SlicePages};

use super::decode::{DecodeError, decode_chunk, decode_index, decode_table};
use super::stream::ChunkSource;

/// Why a blob could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system said no, or the blob ends too early.
    #[error("cannot read the layer's blob: {0}")]
    Io(#[from] io::Error),
    /// Its end.
    #[error(transparent)]
    Footer(#[from] FooterError),
    /// What is stored in it.
    #[error("cannot decode the layer's blob: {0}")]
    Decode(#[from] DecodeError),
    /// Its index breaks a rule.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Index and footer do not belong together.
    #[error("the blob's footer and index differ ({0}); fetch the blob again or ask its publisher")]
    Mismatch(&'static str),
    /// A chunk that the layer does not have.
    #[error("the layer has no chunk {ordinal}")]
    NoChunk {
        /// What was asked for.
        ordinal: u64,
    },
}

/// An open blob: footer, index and frame table are read, verified against each other and checked. Whether it is the *right* layer is for the
/// caller to say, by [`Blob::layer`].
#[derive(Debug)]
pub struct Blob<R> {
    footer: Footer,
    index: Vec<u8>,
    hashes: PageHashes,
    frames: Frames<R>,
}

/// The part of a blob that holds the chunks.
#[derive(Debug)]
pub struct Frames<R> {
    source: R,
    table: FrameTable,
    /// Blob offset of each frame.
    offsets: Vec<u64>,
}

impl<R: Read + Seek> Blob<R> {
    /// Reads and checks what stands at the end of the blob. Takes memory for the index and the frame table, at most what
    /// `limits` allow of the first.
    pub fn open(mut source: R, limits: &Limits) -> Result<Self, ReadError> {
        let len = source.seek(SeekFrom::End(0))?;
        let footer = read_footer(&mut source, len)?;
        footer.check_blob(len)?;
        if footer.index.length > limits.index_bytes || footer.index.stored > limits.index_bytes {
            let length = footer.index.length.max(footer.index.stored);
            return Err(IndexError::Length { length, limit: limits.index_bytes }.into());
        }
        let stored = read_at(&mut source, footer.index.offset, footer.index.stored)?;
        let index = decode_index(&footer.index, &stored, &footer.layer_id)?;
        let checked = index::check(&index, limits)?;
        if checked.header().stream_len != footer.stream_len {
            return Err(ReadError::Mismatch("length of the stream"));
        }
        let stored = read_at(&mut source, footer.table.offset, footer.table.stored)?;
        let table = decode_table(&footer.table, &stored, &footer.layer_id, checked.chunk_count())?;
        if table.form != footer.form || table.frames_len() > footer.index.offset {
            return Err(ReadError::Mismatch("form or length of the frames"));
        }
        let hashes = checked.hashes().clone();
        let offsets = table.places().map(|(offset, _)| offset).collect();
        Ok(Self { footer, index, hashes, frames: Frames { source, table, offsets } })
    }
}

impl<R: Read + Seek> Frames<R> {
    /// The stored bytes of frame `ordinal`: a claim, until [`decode_chunk`] has checked them.
    pub fn frame(&mut self, ordinal: u64) -> Result<Vec<u8>, ReadError> {
        let at = usize::try_from(ordinal).ok();
        let place = at.and_then(|at| Some((*self.offsets.get(at)?, *self.table.lengths.get(at)?)));
        let (offset, length) = place.ok_or(ReadError::NoChunk { ordinal })?;
        Ok(read_at(&mut self.source, offset, u64::from(length))?)
    }

    /// Chunk number `ordinal`, verified to be `chunk`.
    pub fn chunk(&mut self, ordinal: u64, chunk: &Chunk) -> Result<Vec<u8>, ReadError> {
        let codec = self.table.form.codec();
        Ok(decode_chunk(codec, &self.frame(ordinal)?, chunk)?)
    }
}

impl<R> Blob<R> {
    /// The layer's identity, as computed from the index.
    pub const fn layer(&self) -> LayerId {
        self.footer.layer_id
    }

    /// What the end of the blob says.
    pub const fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The index's bytes, verified and checked.
    pub fn index_bytes(&self) -> &[u8] {
        &self.index
    }

    /// Where the frames lie.
    pub const fn table(&self) -> &FrameTable {
        &self.frames.table
    }

    /// The index, to be read, and what yields the chunks that it names.
    pub fn parts(&mut self) -> Result<(Index<SlicePages<'_>>, &mut Frames<R>), IndexError> {
        let index = Index::open(self.footer.layer_id, self.hashes.clone(), SlicePages(&self.index))?;
        Ok((index, &mut self.frames))
    }
}

impl<R: Read + Seek> ChunkSource for Frames<R> {
    fn read_chunk(&mut self, ordinal: u64, chunk: &Chunk) -> io::Result<Vec<u8>> {
        self.chunk(ordinal, chunk).map_err(io::Error::other)
    }
}

/// The footer at the end of a blob of either form.
fn read_footer(source: &mut (impl Read + Seek), len: u64) -> Result<Footer, ReadError> {
    let mut last = |bytes: usize| match len.checked_sub(bytes as u64) {
        Some(start) => read_at(source, start, bytes as u64).map_err(ReadError::Io),
        None => Err(FooterError::Absent.into()),
    };
    let (footer, form) = match Footer::parse(&last(FOOTER_SIZE)?) {
        Err(FooterError::Absent) => {
            (gzip_members::parse_footer(&last(gzip_members::FOOTER_SIZE)?)?, Form::Gzip)
        }
        footer => (footer?, Form::Zstd),
    };
    if footer.form == form { Ok(footer) } else { Err(ReadError::Mismatch("form of the footer")) }
}

/// Exactly `len` bytes at `offset`. Lengths were bounded by the formats' limits and, by [`Footer::check_blob`], by the blob itself.
fn read_at(source: &mut (impl Read + Seek), offset: u64, len: u64) -> io::Result<Vec<u8>> {
    source.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    // Grows with what is there, not with what was promised.
    source.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
