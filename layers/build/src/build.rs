//! From a scanned tree to a layer: blob, index and all that a manifest says of them.

use std::io::Write;

use plyos_ids::{BlobDigest, Codec, LayerId, ObjectHash};
use plyos_layer_format::annotations::{IndexPlace, TablePlace};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::footer::Footer;
use plyos_layer_format::frames::{Form, FrameTable};
use plyos_layer_format::index::{self, IndexInput};

use crate::blob_writer::BlobWriter;
use crate::error::BuildError;
use crate::pipeline::{self, Outcome, compressor};
use crate::produce::{self, Produced};
use crate::tree::Tree;

/// Least and greatest level at which index and frame table are compressed; between them it is that of the chunks. Everyone who
/// looks at a layer reads them, but 19 takes twenty times as long as 9 and saves 3 percent of an index.
const TABLES_LEVELS: (i32, i32) = (9, 19);
/// Tables from this many bytes on are compressed at the least level: one thread would be busy for seconds.
const LONG_TABLE: usize = 8 << 20;

/// How to build. What it changes is the blob, never the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildOptions {
    /// zstd level of the chunks, 1 to 22: 3 is quick, 9 usual, 19 for a release.
    pub level: i32,
    /// Threads that compress; 0: one for each core.
    pub threads: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { level: 9, threads: 0 }
    }
}

/// How far a build has come. Reported on the thread that called [`build`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the canonical stream that are in the blob.
    pub stream_done: u64,
    /// Bytes of the canonical stream.
    pub stream_len: u64,
    /// Bytes of the blob so far.
    pub blob_len: u64,
}

/// A layer that was built and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its identity: BLAKE3 of the index.
    pub layer: LayerId,
    /// The index, uncompressed.
    pub index: Vec<u8>,
    /// Where the stored index lies in the blob.
    pub index_place: IndexPlace,
    /// Where the stored frame table lies in the blob.
    pub table_place: TablePlace,
    /// Bytes of the blob.
    pub blob_len: u64,
    /// SHA-256 of the blob.
    pub blob_sha256: BlobDigest,
    /// SHA-256 of the canonical stream: the layer's `diff_id` in an image config.
    pub diff_sha256: BlobDigest,
    /// Bytes of the canonical stream.
    pub stream_len: u64,
    /// Chunks of the stream, repetitions included.
    pub chunks: u64,
    /// Entries of the tree, the root included.
    pub entries: u64,
    /// Bytes of all files' content, each inode once.
    pub content_len: u64,
    /// `.pyc` files that Python will not use because the layer's times are not those they were compiled for.
    pub stale_pyc: u64,
}

/// Reads the tree's files and writes the layer's blob to `out`. The same tree and descriptor give the same layer anywhere; with the
/// same level and zstd version also the same blob, whatever the number of threads.
pub fn build(
    tree: &Tree,
    descriptor: &Descriptor,
    options: &BuildOptions,
    out: &mut impl Write,
    progress: &dyn Fn(Progress),
) -> Result<Built, BuildError> {
    if !(1..=22).contains(&options.level) {
        return Err(BuildError::Level { level: options.level });
    }
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let mut out = BlobWriter::new(out);
    let stream_len = produce::stream_len(&tree.entries);
    let outcome = pipeline::run(tree, options.level, threads, &mut out, |stream_done, out| {
        progress(Progress { stream_done, stream_len, blob_len: out.len() });
    })?;
    let Outcome { produced, chunks, frame_lengths, diff_sha256 } = outcome;
    let Produced { entries, header_offsets, stream_len, stale_pyc } = produced;
    let (entry_count, chunk_count) = (entries.len() as u64, chunks.len() as u64);
    let index = index::emit(&IndexInput {
        descriptor: descriptor.clone(),
        entries,
        header_offsets,
        chunks,
        stream_len,
        mtime_rule: tree.mtime_rule,
    })?;
    let layer = index::layer_id(&index);
    let table = FrameTable {
        layer_id: layer,
        form: Form::Zstd,
        encoder: options.level as u32,
        lengths: frame_lengths,
    };
    let Tables { index_place, table_place } =
        write_tables(&mut out, &index, &table, stream_len, options.level)?;
    let (blob_len, blob_sha256) = out.finish()?;
    Ok(Built {
        layer,
        index,
        index_place,
        table_place,
        blob_len,
        blob_sha256,
        diff_sha256: BlobDigest::from_bytes(diff_sha256),
        stream_len,
        chunks: chunk_count,
        entries: entry_count,
        content_len: tree.content_len(),
        stale_pyc,
    })
}

struct Tables {
    index_place: IndexPlace,
    table_place: TablePlace,
}

/// Writes what follows the frames: index, frame table, footer.
fn write_tables<W: Write>(
    out: &mut BlobWriter<'_, W>,
    index: &[u8],
    table: &FrameTable,
    stream_len: u64,
    level: i32,
) -> Result<Tables, BuildError> {
    let (stored, codec) = store(index, level)?;
    let index_place = IndexPlace {
        offset: out.write_skippable(&stored)?,
        stored: stored.len() as u64,
        length: index.len() as u64,
        codec,
    };
    let bytes = table.emit()?;
    let (stored, codec) = store(&bytes, level)?;
    let table_place = TablePlace {
        offset: out.write_skippable(&stored)?,
        stored: stored.len() as u64,
        length: bytes.len() as u64,
        codec,
        hash: ObjectHash::from_bytes(*blake3::hash(&bytes).as_bytes()),
    };
    let footer = Footer {
        index: index_place,
        table: table_place,
        layer_id: table.layer_id,
        stream_len,
        form: table.form,
    };
    out.write(&footer.emit())?;
    Ok(Tables { index_place, table_place })
}

/// One zstd frame, or the bytes as they are where that is not shorter.
fn store(bytes: &[u8], level: i32) -> Result<(Vec<u8>, Codec), BuildError> {
    let (least, greatest) = TABLES_LEVELS;
    let level = if bytes.len() < LONG_TABLE { level.clamp(least, greatest) } else { least };
    let compress = || compressor(level)?.compress(bytes);
    let stored = compress().map_err(BuildError::Compress)?;
    if stored.len() < bytes.len() { Ok((stored, Codec::Zstd)) } else { Ok((bytes.to_vec(), Codec::Raw)) }
}
