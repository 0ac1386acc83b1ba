//! The 512-byte ustar header (POSIX.1-1988), in the one spelling of the canonical stream.

use super::BLOCK;
use super::pax::{FIELD, MAX_USTAR_ID, MAX_USTAR_SIZE};
use crate::entry::{Entry, EntryKind};

/// Name of every pax header's own header.
const PAX_NAME: &[u8] = b"PaxHeaders/entry";

struct Fields<'a> {
    name: &'a [u8],
    mode: u16,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: u64,
    typeflag: u8,
    link: &'a [u8],
    device: (u32, u32),
}

/// Header of an entry; `name` is its path as in tar, `link` its link target or empty.
pub(super) fn entry_header(entry: &Entry, name: &[u8], link: &[u8]) -> [u8; BLOCK] {
    let (typeflag, device) = match entry.kind {
        EntryKind::File { .. } => (b'0', (0, 0)),
        EntryKind::HardLink { .. } => (b'1', (0, 0)),
        EntryKind::Symlink { .. } => (b'2', (0, 0)),
        EntryKind::CharDevice { major, minor } => (b'3', (major, minor)),
        EntryKind::BlockDevice { major, minor } => (b'4', (major, minor)),
        EntryKind::Directory { .. } => (b'5', (0, 0)),
        EntryKind::Fifo => (b'6', (0, 0)),
    };
    let small_id = |id: u32| if id > MAX_USTAR_ID { 0 } else { id };
    emit(&Fields {
        name,
        mode: entry.mode,
        uid: small_id(entry.uid),
        gid: small_id(entry.gid),
        size: if entry.size() > MAX_USTAR_SIZE { 0 } else { entry.size() },
        mtime: entry.mtime.unsigned_abs(),
        typeflag,
        link,
        device,
    })
}

/// Header of `size` bytes of pax records.
pub(super) fn pax_header(size: u64) -> [u8; BLOCK] {
    emit(&Fields {
        name: PAX_NAME,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size,
        mtime: 0,
        typeflag: b'x',
        link: &[],
        device: (0, 0),
    })
}

fn emit(fields: &Fields<'_>) -> [u8; BLOCK] {
    let mut block = [0u8; BLOCK];
    text(&mut block, 0, FIELD, fields.name);
    octal(&mut block, 100, 8, fields.mode.into());
    octal(&mut block, 108, 8, fields.uid.into());
    octal(&mut block, 116, 8, fields.gid.into());
    octal(&mut block, 124, 12, fields.size);
    octal(&mut block, 136, 12, fields.mtime);
    text(&mut block, 148, 8, b"        ");
    text(&mut block, 156, 1, &[fields.typeflag]);
    text(&mut block, 157, FIELD, fields.link);
    text(&mut block, 257, 8, b"ustar\x0000");
    octal(&mut block, 329, 8, fields.device.0.into());
    octal(&mut block, 337, 8, fields.device.1.into());
    // Checksum: the sum of all bytes with spaces in its own field; six digits, NUL, and the space that is there already.
    let sum = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block, 148, 7, sum);
    block
}

/// Writes as much of `value` as fits into `size` bytes at `offset`.
fn text(block: &mut [u8; BLOCK], offset: usize, size: usize, value: &[u8]) {
    let places = block.iter_mut().skip(offset).take(size);
    places.zip(value).for_each(|(place, byte)| *place = *byte);
}

/// Writes `value` as octal digits that fill the field but for a final NUL.
fn octal(block: &mut [u8; BLOCK], offset: usize, size: usize, mut value: u64) {
    for place in block.iter_mut().skip(offset).take(size - 1).rev() {
        *place = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    text(block, offset + size - 1, 1, &[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_header_byte_for_byte() {
        let block = pax_header(21);
        let mut expected = [0u8; BLOCK];
        let mut put = |at: usize, value: &[u8]| expected[at..at + value.len()].copy_from_slice(value);
        put(0, b"PaxHeaders/entry");
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, b"00000000025\0");
        put(136, b"00000000000\0");
        put(156, b"x");
        put(257, b"ustar\0");
        put(263, b"00");
        put(329, b"0000000\0");
        put(337, b"0000000\0");
        put(148, b"        ");
        let sum: u32 = expected.iter().map(|byte| u32::from(*byte)).sum();
        expected[148..156].copy_from_slice(alloc::format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(block, expected);
    }
}
