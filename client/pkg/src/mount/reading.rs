//! Content of files: slices of chunks, each verified on its way into the cache. What is damaged is EIO, and a line that
//! names it.

use super::caches::Caches;
use super::log::Log;
use super::nodes::File;
use plyos_layer_format::entry::EntryKind;
use std::ops::Range;

/// Bytes of a file from `offset`, fewer at its end; `None`, and a line, when they cannot be read.
pub fn read(file: &File, caches: &Caches, log: &Log, offset: u64, size: u32) -> Option<Vec<u8>> {
    let EntryKind::File { size: length, .. } = file.entry.kind else { return None };
    let start = offset.min(length);
    let end = start.saturating_add(u64::from(size)).min(length);
    match bytes(file, caches, start..end) {
        Ok(bytes) => Some(bytes),
        Err(reason) => {
            let (mounted, layer) = file.place();
            let path = String::from_utf8_lossy(&file.path);
            log.line(&format!("cannot read /{path} of {}: {reason}", mounted.name_of(layer)));
            None
        }
    }
}

fn bytes(file: &File, caches: &Caches, range: Range<u64>) -> Result<Vec<u8>, String> {
    let (mounted, layer) = file.place();
    let wanted = range.end - range.start;
    let mut out = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
    let slices = mounted.namespace.slices_in(layer, &file.entry, range).map_err(|error| error.to_string())?;
    for slice in slices {
        let slice = slice.map_err(|error| error.to_string())?;
        let load = || mounted.chunk(layer, slice.ordinal, &slice.chunk);
        let chunk = caches.chunk(&slice.chunk.id, load).map_err(|error| error.to_string())?;
        let part = chunk.get(slice.range.start as usize..slice.range.end as usize);
        // A verified chunk has its length; a cache that gave another one would be a defect.
        out.extend_from_slice(part.ok_or("a chunk is shorter than its index says")?);
    }
    if out.len() as u64 == wanted { Ok(out) } else { Err(String::from("its index ends too early")) }
}
