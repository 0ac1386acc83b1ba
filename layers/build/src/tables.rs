//! What follows the frames in a blob: index, frame table and footer, in skippable frames (zstd form) or in the extra fields of empty
//! members (gzip form), so that tools which only decompress pass over them.

use plyos_ids::{Codec, ObjectHash};
use plyos_layer_format::annotations::{IndexPlace, TablePlace};
use plyos_layer_format::footer::Footer;
use plyos_layer_format::frames::{Form, FrameTable};
use plyos_layer_format::gzip_members;

use crate::blob_writer::BlobWriter;
use crate::error::BuildError;
use crate::pipeline::compressor;
use crate::sink::Sink;

/// Least and greatest level at which index and frame table are compressed; between them it is that of the chunks. Everyone who
/// looks at a layer reads them, but 19 takes twenty times as long as 9 and saves 3 percent of an index.
const LEVELS: (i32, i32) = (9, 19);
/// Tables from this many bytes on are compressed at the least level: one thread would be busy for seconds.
const LONG_TABLE: usize = 8 << 20;

/// Where index and frame table lie.
pub(crate) struct Tables {
    pub index_place: IndexPlace,
    pub table_place: TablePlace,
}

/// Writes index, frame table and footer.
pub(crate) fn write<S: Sink>(
    out: &mut BlobWriter<'_, S>,
    index: &[u8],
    table: &FrameTable,
    stream_len: u64,
    level: i32,
) -> Result<Tables, BuildError> {
    let form = table.form;
    let (offset, stored, codec) = write_one(out, index, form, level)?;
    let index_place = IndexPlace { offset, stored, length: index.len() as u64, codec };
    let bytes = table.emit()?;
    let (offset, stored, codec) = write_one(out, &bytes, form, level)?;
    let table_place = TablePlace {
        offset,
        stored,
        length: bytes.len() as u64,
        codec,
        hash: ObjectHash::from_bytes(*blake3::hash(&bytes).as_bytes()),
    };
    let footer =
        Footer { index: index_place, table: table_place, layer_id: table.layer_id, stream_len, form };
    match form {
        Form::Zstd => out.write(&footer.emit())?,
        Form::Gzip => out.write(&gzip_members::emit_footer(&footer))?,
    }
    Ok(Tables { index_place, table_place })
}

/// Writes one of the two; its offset, its stored bytes and their codec. In the gzip form the stored bytes are the members, and what is in
/// them is always a zstd frame.
fn write_one<S: Sink>(
    out: &mut BlobWriter<'_, S>,
    bytes: &[u8],
    form: Form,
    level: i32,
) -> Result<(u64, u64, Codec), BuildError> {
    let (least, greatest) = LEVELS;
    let level = if bytes.len() < LONG_TABLE { level.clamp(least, greatest) } else { least };
    let compress = || compressor(level)?.compress(bytes);
    let compressed = compress().map_err(BuildError::Compress)?;
    match form {
        Form::Gzip => {
            let members = gzip_members::wrap(&compressed);
            let offset = out.len();
            out.write(&members)?;
            Ok((offset, members.len() as u64, Codec::Zstd))
        }
        Form::Zstd if compressed.len() < bytes.len() => {
            Ok((out.write_skippable(&compressed)?, compressed.len() as u64, Codec::Zstd))
        }
        Form::Zstd => Ok((out.write_skippable(bytes)?, bytes.len() as u64, Codec::Raw)),
    }
}
