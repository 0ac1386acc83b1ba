//! The canonical stream: a layer's tree as a tar archive (pax) with one possible spelling. Stream form 1, frozen.
//!
//! [`header`] writes what stands before an entry's content, [`padding`] what follows it, [`END`] closes the stream.
//! [`header_len`] is the length of a header without writing it, by which an index is checked against the stream it describes.
//! What the form refuses is refused by [`check_name`], [`check_path`] and [`check_entry`].

pub(crate) mod names;
mod pax;
pub(crate) mod rules;
mod ustar;

pub use names::{NameError, check_name, check_path};
pub(crate) use pax::{Shape, xattr_record_len};
pub use rules::{EntryError, check_entry};

use alloc::vec::Vec;

use crate::entry::{Entry, EntryKind};

/// Number of this stream form in an index.
pub const STREAM_FORM: u8 = 1;

/// Bytes of a tar block.
pub const BLOCK: usize = 512;

/// What ends the stream: two zero blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// mtime of everything that has no content: 2020-01-01 00:00 UTC, in seconds since 1970. Frozen.
pub const EPOCH: i64 = 1_577_836_800;

/// mtimes of files under rule 1 lie in this many seconds from [`EPOCH`]. Frozen.
pub const CONTENT_MTIME_SPAN: u64 = 1 << 26;

/// Longest path in bytes, without a directory's final `/`.
pub const MAX_PATH: usize = 4_095;
/// Longest component of a path in bytes.
pub const MAX_COMPONENT: usize = 255;
/// Longest target of a symbolic link in bytes.
pub const MAX_TARGET: usize = 4_095;
/// Longest encoded attributes of an entry in bytes (as in the index).
pub const MAX_XATTRS: usize = 8_000;
/// Most components of a path.
pub const MAX_DEPTH: usize = 255;
/// Most entries of a layer.
pub const MAX_ENTRIES: u64 = u32::MAX as u64;
/// Longest stream in bytes.
pub const MAX_STREAM: u64 = 1 << 56;
/// Greatest mtime: what eleven octal digits hold.
pub const MAX_MTIME: i64 = 0o777_7777_7777;
/// Greatest major or minor device number: what seven octal digits hold.
pub const MAX_DEVICE: u32 = 0o777_7777;

/// The pax and ustar headers of an entry. `link_target` is the first path of a hard link (no leading `/`); it is not used
/// for other kinds. The entry must have passed [`check_entry`].
pub fn header(entry: &Entry, link_target: Option<&[u8]>) -> Vec<u8> {
    let mut name = entry.path.clone();
    if entry.is_directory() {
        name.extend_from_slice(if name.is_empty() { b"./" } else { b"/" });
    }
    let link = link_of(entry, link_target);
    let records = pax::records(entry, &name, link);
    let mut out = Vec::with_capacity(2 * BLOCK + records.len() + padding(records.len() as u64));
    if !records.is_empty() {
        out.extend_from_slice(&ustar::pax_header(records.len() as u64));
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
    }
    out.extend_from_slice(&ustar::entry_header(entry, &name, link));
    out
}

/// Bytes of [`header`], without writing it.
pub fn header_len(entry: &Entry, link_target: Option<&[u8]>) -> u64 {
    let is_utf8 = |bytes: &[u8]| core::str::from_utf8(bytes).is_ok();
    let link = link_of(entry, link_target);
    Shape {
        path_len: entry.path.len(),
        is_directory: entry.is_directory(),
        link_len: link.len(),
        size: entry.size(),
        uid: entry.uid,
        gid: entry.gid,
        is_binary: !(is_utf8(&entry.path)
            && is_utf8(link)
            && entry.xattrs.iter().all(|xattr| is_utf8(&xattr.name))),
        xattr_records: entry
            .xattrs
            .iter()
            .map(|xattr| xattr_record_len(xattr.name.len(), xattr.value.len()))
            .sum(),
    }
    .header_len()
}

/// Zero bytes that follow `size` bytes of content (or of pax records) to the next block.
pub const fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

/// mtime of a file under rule 1, from the BLAKE3 of its content: it changes exactly when the bytes do.
pub fn content_mtime(content_blake3: &[u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *content_blake3;
    let seconds = u64::from_le_bytes([a, b, c, d, e, f, g, h]) % CONTENT_MTIME_SPAN;
    // Below 2^26, so it fits.
    EPOCH + seconds as i64
}

fn link_of<'a>(entry: &'a Entry, link_target: Option<&'a [u8]>) -> &'a [u8] {
    match &entry.kind {
        EntryKind::Symlink { target } => target,
        EntryKind::HardLink { .. } => link_target.unwrap_or_default(),
        _ => &[],
    }
}

#[cfg(test)]
mod oracle_tests;
