//! The attribute list of an entry record: repeated u16 name length, u16 value length, name, value.

use alloc::vec::Vec;

use plyos_bytemap::Cursor;

use crate::entry::Xattr;

/// Walks over an encoded list without copying; each item is a name and its value.
pub(crate) struct XattrList<'a>(Cursor<'a>);

impl<'a> XattrList<'a> {
    pub(crate) const fn new(encoded: &'a [u8]) -> Self {
        Self(Cursor::new(encoded))
    }
}

/// The list ended inside an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut;

impl<'a> Iterator for XattrList<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.remaining().is_empty() {
            return None;
        }
        let item = (|| {
            let (name, value) = (self.0.u16()?, self.0.u16()?);
            Some((self.0.take(name.into())?, self.0.take(value.into())?))
        })();
        if item.is_none() {
            self.0 = Cursor::new(&[]);
        }
        Some(item.ok_or(Cut))
    }
}

/// Bytes of the encoded list.
pub(crate) fn encoded_len(xattrs: &[Xattr]) -> usize {
    xattrs.iter().map(|xattr| 4 + xattr.name.len() + xattr.value.len()).sum()
}

/// Appends the encoded list. Lengths were checked to fit ([`crate::stream::check_entry`]).
pub(crate) fn emit(xattrs: &[Xattr], out: &mut Vec<u8>) {
    for xattr in xattrs {
        out.extend_from_slice(&(xattr.name.len() as u16).to_le_bytes());
        out.extend_from_slice(&(xattr.value.len() as u16).to_le_bytes());
        out.extend_from_slice(&xattr.name);
        out.extend_from_slice(&xattr.value);
    }
}
