//! Pax extended header records (POSIX.1-2001): `LENGTH KEYWORD=VALUE\n`, where LENGTH counts itself.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{BLOCK, padding};
use crate::entry::Entry;

/// Longest path or link target that the ustar field holds.
pub(super) const FIELD: usize = 100;
/// Greatest size that the ustar field holds (eleven octal digits).
pub(super) const MAX_USTAR_SIZE: u64 = 0o777_7777_7777;
/// Greatest uid or gid that the ustar field holds (seven octal digits).
pub(super) const MAX_USTAR_ID: u32 = 0o777_7777;

const XATTR: &[u8] = b"SCHILY.xattr.";
const BINARY: (&[u8], &[u8]) = (b"hdrcharset", b"BINARY");

/// The records of an entry, empty when it needs none. `name` is its path as in tar, `link` its link target or empty.
pub(super) fn records(entry: &Entry, name: &[u8], link: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let names = [name, link].into_iter().chain(entry.xattrs.iter().map(|xattr| xattr.name.as_slice()));
    if names.into_iter().any(|name| core::str::from_utf8(name).is_err()) {
        record(&mut out, &[BINARY.0], BINARY.1);
    }
    // Sorted by keyword: upper case stands before lower case, and the attributes are sorted by name.
    for xattr in &entry.xattrs {
        record(&mut out, &[XATTR, &xattr.name], &xattr.value);
    }
    if entry.gid > MAX_USTAR_ID {
        record(&mut out, &[b"gid"], entry.gid.to_string().as_bytes());
    }
    if link.len() > FIELD {
        record(&mut out, &[b"linkpath"], link);
    }
    if name.len() > FIELD {
        record(&mut out, &[b"path"], name);
    }
    if entry.size() > MAX_USTAR_SIZE {
        record(&mut out, &[b"size"], entry.size().to_string().as_bytes());
    }
    if entry.uid > MAX_USTAR_ID {
        record(&mut out, &[b"uid"], entry.uid.to_string().as_bytes());
    }
    out
}

fn record(out: &mut Vec<u8>, keyword: &[&[u8]], value: &[u8]) {
    let keyword_len = keyword.iter().map(|part| part.len()).sum();
    out.extend_from_slice(record_len(keyword_len, value.len()).to_string().as_bytes());
    out.push(b' ');
    keyword.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Bytes of a record, the digits of that very number included.
const fn record_len(keyword_len: usize, value_len: usize) -> usize {
    let rest = keyword_len + value_len + 3;
    let with = rest + digits(rest as u64);
    // One more digit may be needed for the digits themselves.
    rest + digits(with as u64)
}

const fn digits(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(power) => power as usize + 1,
        None => 1,
    }
}

/// Bytes of the record of an attribute.
pub(crate) const fn xattr_record_len(name_len: usize, value_len: usize) -> usize {
    record_len(XATTR.len() + name_len, value_len)
}

/// All that the length of an entry's header depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of the path, without a directory's final `/`.
    pub path_len: usize,
    pub is_directory: bool,
    /// Bytes of the link target, 0 when there is none.
    pub link_len: usize,
    /// Bytes of content.
    pub size: u64,
    pub uid: u32,
    pub gid: u32,
    /// Whether path, link target or an attribute's name are not UTF-8.
    pub is_binary: bool,
    /// Sum of [`xattr_record_len`] over the attributes.
    pub xattr_records: usize,
}

impl Shape {
    /// Bytes of the pax header (when one is needed) and the ustar header.
    pub(crate) const fn header_len(&self) -> u64 {
        let mut records = self.xattr_records;
        if self.is_binary {
            records += record_len(BINARY.0.len(), BINARY.1.len());
        }
        if self.gid > MAX_USTAR_ID {
            records += record_len("gid".len(), digits(self.gid as u64));
        }
        if self.link_len > FIELD {
            records += record_len("linkpath".len(), self.link_len);
        }
        let name_len = match self.path_len {
            0 => "./".len(),
            length => length + self.is_directory as usize,
        };
        if name_len > FIELD {
            records += record_len("path".len(), name_len);
        }
        if self.size > MAX_USTAR_SIZE {
            records += record_len("size".len(), digits(self.size));
        }
        if self.uid > MAX_USTAR_ID {
            records += record_len("uid".len(), digits(self.uid as u64));
        }
        let pax = if records == 0 { 0 } else { BLOCK + records + padding(records as u64) };
        (pax + BLOCK) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_their_own_digits() {
        for value_len in [0, 1, 80, 86, 87, 88, 89, 90, 984, 985, 986, 987, 988, 9_980, 9_990] {
            let mut out = Vec::new();
            record(&mut out, &[b"path"], &[b'x'; 10_000][..value_len]);
            let text = core::str::from_utf8(&out).unwrap();
            let stated: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(stated, out.len(), "{value_len}");
            assert_eq!(record_len(4, value_len), out.len());
        }
    }

    #[test]
    fn records_are_sorted_by_keyword_after_the_character_set() {
        let long = [b'n'; 101];
        let raw = crate::entry::Xattr { name: b"user.\xff".to_vec(), value: Vec::new() };
        let entry = Entry {
            uid: 3_000_000,
            gid: 4_000_000,
            xattrs: alloc::vec![
                crate::samples::xattr("user.a", b"1"),
                crate::samples::xattr("user.b", b"2"),
                raw
            ],
            ..crate::samples::file("not used", 1 << 33)
        };
        let expected = [
            b"21 hdrcharset=BINARY\n25 SCHILY.xattr.user.a=1\n25 SCHILY.xattr.user.b=2\n".as_slice(),
            b"24 SCHILY.xattr.user.\xff=\n15 gid=4000000\n115 linkpath=",
            &long,
            b"\n111 path=",
            &long,
            b"\n19 size=8589934592\n15 uid=3000000\n",
        ];
        assert_eq!(records(&entry, &long, &long), expected.concat());
    }

    #[test]
    fn a_known_record() {
        let mut out = Vec::new();
        record(&mut out, &[b"hdrcharset"], b"BINARY");
        assert_eq!(out, b"21 hdrcharset=BINARY\n");
    }
}
