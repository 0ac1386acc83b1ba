//! From a scanned tree to a layer: blob, index and all that a manifest says of them.

use plyos_ids::{BlobDigest, LayerId};
use plyos_layer_format::annotations::{IndexPlace, TablePlace};
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_format::frames::{Form, FrameTable};
use plyos_layer_format::index::{self, IndexInput};

use crate::blob_writer::BlobWriter;
use crate::error::BuildError;
use crate::frame_cache::FrameCache;
use crate::pipeline::{self, Coding, Outcome};
use crate::produce::{self, Produced};
use crate::sink::Sink;
use crate::tables::{self, Tables};
use crate::tree::Tree;

/// How to build. What it changes is the blob, never the layer.
#[derive(Debug, Clone, Copy)]
pub struct BuildOptions<'a> {
    /// zstd level of the chunks, 1 to 22: 3 is quick, 9 usual, 19 for a release. Of gzip there are 9; greater ones mean 9.
    pub level: i32,
    /// Threads that compress; 0: one for each core.
    pub threads: usize,
    /// zstd frames, or gzip members for tools that know no zstd.
    pub form: Form,
    /// Where frames of chunks that were built before are taken from, and new ones kept. The blob is the same without.
    pub cache: Option<&'a FrameCache>,
}

impl Default for BuildOptions<'_> {
    fn default() -> Self {
        Self { level: 9, threads: 0, form: Form::Zstd, cache: None }
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
    /// How the blob's frames are coded.
    pub form: Form,
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
/// same form, level and zstd version also the same blob, whatever the number of threads and with or without a cache.
pub fn build(
    tree: &Tree,
    descriptor: &Descriptor,
    options: &BuildOptions<'_>,
    out: &mut impl Sink,
    progress: &dyn Fn(Progress),
) -> Result<Built, BuildError> {
    if !(1..=22).contains(&options.level) {
        return Err(BuildError::Level { level: options.level });
    }
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let coding = Coding { form: options.form, level: options.level };
    let mut out = BlobWriter::new(out);
    let stream_len = produce::stream_len(&tree.entries);
    let outcome = pipeline::run(tree, coding, options.cache, threads, &mut out, |stream_done, out| {
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
        form: options.form,
        encoder: options.level as u32,
        lengths: frame_lengths,
    };
    let Tables { index_place, table_place } =
        tables::write(&mut out, &index, &table, stream_len, options.level)?;
    let (blob_len, blob_sha256) = out.finish()?;
    Ok(Built {
        layer,
        index,
        index_place,
        table_place,
        blob_len,
        form: options.form,
        blob_sha256,
        diff_sha256: BlobDigest::from_bytes(diff_sha256),
        stream_len,
        chunks: chunk_count,
        entries: entry_count,
        content_len: tree.content_len(),
        stale_pyc,
    })
}
