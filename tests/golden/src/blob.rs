//! The blob of the small layer with its tables, and the OCI image around it.
//!
//! Its frames hold their chunks in raw blocks, which RFC 8878 allows and every decoder reads, so the bytes depend on no
//! compressor. What a compressor makes of a layer is checked in [`crate::built`] after decompression.

use std::io::Cursor;

use anyhow::{Context as _, Result, bail};
use plyos_ids::{BlobDigest, Codec, LayerId, ObjectHash};
use plyos_layer_build::reader::Blob;
use plyos_layer_build::{Built, oci};
use plyos_layer_format::annotations::{IndexPlace, LAYER_FRAMES, LAYER_ID, LAYER_INDEX, TablePlace};
use plyos_layer_format::footer::{Footer, skippable};
use plyos_layer_format::frames::{Form, FrameTable};
use plyos_layer_format::index::{Limits, layer_id};
use sha2::{Digest as _, Sha256};

use crate::layer::{descriptor, small};
use crate::{Again, Golden};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "frame-table.bin",
        section: "Frame table",
        what: "the frame table of blob.hex",
        make: || table(&frames()?)?.emit().context("frame table"),
        again: Again::Emit(|bytes| Ok(FrameTable::parse(bytes)?.emit()?)),
    },
    Golden {
        name: "frame-table-gzip.bin",
        section: "Frame table",
        what: "a table of the gzip form, with the shortest and the longest frame",
        make: || Ok(gzip_table().emit()?),
        again: Again::Emit(|bytes| Ok(FrameTable::parse(bytes)?.emit()?)),
    },
    Golden {
        name: "footer.bin",
        section: "Blob and footer",
        what: "the last 192 bytes of blob.hex",
        make: || Ok(parts()?.footer.emit().to_vec()),
        again: Again::Emit(|bytes| Ok(Footer::parse(bytes)?.emit().to_vec())),
    },
    Golden {
        name: "blob.hex",
        section: "Blob and footer",
        what: "the small layer's blob: zstd frames of raw blocks, index and table stored raw",
        make: || Ok(parts()?.blob),
        again: Again::Emit(blob_again),
    },
    Golden {
        name: "annotations.txt",
        section: "OCI manifest and annotations",
        what: "the places of index and frame table in blob.hex, as annotations say them",
        make: || Ok(annotations(&parts()?).into_bytes()),
        again: Again::Emit(annotations_again),
    },
    Golden {
        name: "oci-config.json",
        section: "OCI manifest and annotations",
        what: "the image config of the small layer",
        make: || Ok(image()?.config),
        again: Again::Unread,
    },
    Golden {
        name: "oci-manifest.json",
        section: "OCI manifest and annotations",
        what: "the image manifest of blob.hex and oci-config.json",
        make: || Ok(image()?.manifest),
        again: Again::Unread,
    },
];

/// A blob with what its end says.
struct Parts {
    blob: Vec<u8>,
    footer: Footer,
}

/// A zstd frame of raw blocks with its content size (RFC 8878, 3.1.1): single segment, four bytes of size.
fn frame(bytes: &[u8]) -> Vec<u8> {
    const MAGIC: u32 = 0xFD2F_B528;
    const SINGLE_SEGMENT_AND_U32_SIZE: u8 = 0b1010_0000;
    const LONGEST_BLOCK: usize = 128 << 10;
    let mut out = MAGIC.to_le_bytes().to_vec();
    out.push(SINGLE_SEGMENT_AND_U32_SIZE);
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    let blocks = bytes.len().div_ceil(LONGEST_BLOCK);
    for (number, block) in (1..).zip(bytes.chunks(LONGEST_BLOCK)) {
        let head = (block.len() as u32) << 3 | u32::from(number == blocks);
        out.extend(head.to_le_bytes().into_iter().take(3));
        out.extend_from_slice(block);
    }
    out
}

fn frames() -> Result<Vec<Vec<u8>>> {
    let layer = small()?;
    let mut rest = &layer.stream[..];
    let mut frames = Vec::new();
    for chunk in &layer.chunks {
        let (bytes, later) = rest.split_at_checked(chunk.length as usize).context("a chunk outside")?;
        frames.push(frame(bytes));
        rest = later;
    }
    Ok(frames)
}

fn table(frames: &[Vec<u8>]) -> Result<FrameTable> {
    let lengths = frames.iter().map(|frame| frame.len() as u32).collect();
    Ok(FrameTable { layer_id: layer_id(&small()?.index), form: Form::Zstd, encoder: 0, lengths })
}

fn gzip_table() -> FrameTable {
    let lengths = vec![1, plyos_layer_format::frames::MAX_FRAME, 4_096];
    FrameTable { layer_id: LayerId::from_bytes([7; 32]), form: Form::Gzip, encoder: 9, lengths }
}

fn parts() -> Result<Parts> {
    let (layer, frames) = (small()?, frames()?);
    assemble(&frames, &layer.index, &table(&frames)?, layer.stream.len() as u64)
}

fn assemble(frames: &[Vec<u8>], index: &[u8], table: &FrameTable, stream_len: u64) -> Result<Parts> {
    let mut blob = frames.concat();
    let mut append = |bytes: &[u8]| {
        blob.extend_from_slice(&skippable(bytes.len() as u32));
        let offset = blob.len() as u64;
        blob.extend_from_slice(bytes);
        offset
    };
    let bytes = table.emit()?;
    let (index_len, table_len) = (index.len() as u64, bytes.len() as u64);
    let (index_offset, table_offset) = (append(index), append(&bytes));
    let hash = ObjectHash::from_bytes(*blake3::hash(&bytes).as_bytes());
    let codec = Codec::Raw;
    let footer = Footer {
        index: IndexPlace { offset: index_offset, stored: index_len, length: index_len, codec },
        table: TablePlace { offset: table_offset, stored: table_len, length: table_len, codec, hash },
        layer_id: table.layer_id,
        stream_len,
        form: table.form,
    };
    blob.extend_from_slice(&footer.emit());
    Ok(Parts { blob, footer })
}

/// The blob written again of what the library's reader finds in it, every chunk decoded and verified.
fn blob_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut blob = Blob::open(Cursor::new(bytes), &Limits::default())?;
    let (index, table) = (blob.index_bytes().to_vec(), blob.table().clone());
    let stream_len = blob.footer().stream_len;
    let (opened, source) = blob.parts()?;
    let mut frames = Vec::new();
    for (ordinal, chunk) in (0..).zip(opened.chunks()) {
        frames.push(frame(&source.chunk(ordinal, &chunk?)?));
    }
    Ok(assemble(&frames, &index, &table, stream_len)?.blob)
}

fn annotations(parts: &Parts) -> String {
    let Footer { index, table, layer_id, .. } = parts.footer;
    format!("{LAYER_ID} {layer_id}\n{LAYER_INDEX} {index}\n{LAYER_FRAMES} {table}\n")
}

fn annotations_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = String::new();
    for line in std::str::from_utf8(bytes)?.lines() {
        let (key, value) = line.split_once(' ').context("no value")?;
        let value = match key {
            LAYER_ID => LayerId::parse(value)?.to_string(),
            LAYER_INDEX => IndexPlace::parse(value)?.to_string(),
            LAYER_FRAMES => TablePlace::parse(value)?.to_string(),
            _ => bail!("unknown annotation {key}"),
        };
        out += &format!("{key} {value}\n");
    }
    Ok(out.into_bytes())
}

/// The OCI image of the small layer.
pub fn image() -> Result<oci::Image> {
    let (layer, parts) = (small()?, parts()?);
    let digest = |bytes: &[u8]| BlobDigest::from_bytes(Sha256::digest(bytes).into());
    let built = Built {
        layer: layer_id(&layer.index),
        index_place: parts.footer.index,
        table_place: parts.footer.table,
        blob_len: parts.blob.len() as u64,
        blob_sha256: digest(&parts.blob),
        diff_sha256: digest(&layer.stream),
        ..nothing_built()
    };
    Ok(oci::image(&built, &descriptor()?)?)
}

/// Fields of a build that an image does not mention.
fn nothing_built() -> Built {
    let place = IndexPlace { offset: 0, stored: 0, length: 0, codec: Codec::Raw };
    let hash = ObjectHash::default();
    Built {
        layer: LayerId::default(),
        index: Vec::new(),
        index_place: place,
        table_place: TablePlace { offset: 0, stored: 0, length: 0, codec: Codec::Raw, hash },
        blob_len: 0,
        form: Form::Zstd,
        blob_sha256: BlobDigest::default(),
        diff_sha256: BlobDigest::default(),
        stream_len: 0,
        chunks: 0,
        entries: 0,
        content_len: 0,
        stale_pyc: 0,
    }
}

/// The canonical stream inside a blob, by the library's reader.
pub fn stream_of(blob: &[u8]) -> Result<Vec<u8>> {
    let mut blob = Blob::open(Cursor::new(blob), &Limits::default())?;
    let (opened, source) = blob.parts()?;
    let mut out = Vec::new();
    for (ordinal, chunk) in (0..).zip(opened.chunks()) {
        out.extend_from_slice(&source.chunk(ordinal, &chunk?)?);
    }
    Ok(out)
}
