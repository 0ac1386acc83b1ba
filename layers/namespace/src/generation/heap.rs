//! The heap of strings behind fixed records: references of eight bytes, strings in the order of first use.

use alloc::vec::Vec;

use plyos_bytemap::Cursor;

/// Longest string: its length is a u16.
pub const MAX_STRING: usize = u16::MAX as usize;

/// Collects strings and hands out references to them.
#[derive(Debug, Default)]
pub struct HeapWriter {
    bytes: Vec<u8>,
}

impl HeapWriter {
    /// Appends a string and returns its reference; an empty one is all zero. The caller has checked that the string has
    /// at most [`MAX_STRING`] bytes and that the heap stays far below 4 GiB.
    pub fn push(&mut self, text: &str) -> [u8; 8] {
        if text.is_empty() {
            return [0; 8];
        }
        let [o0, o1, o2, o3] = (self.bytes.len() as u32).to_le_bytes();
        let [l0, l1] = (text.len() as u16).to_le_bytes();
        self.bytes.extend_from_slice(text.as_bytes());
        [o0, o1, o2, o3, l0, l1, 0, 0]
    }

    /// The heap.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes strings out of a heap in the order in which a writer put them there; any other order is refused.
#[derive(Debug)]
pub struct HeapReader<'a> {
    rest: Cursor<'a>,
}

impl<'a> HeapReader<'a> {
    /// A reader at the start of the heap.
    pub const fn new(heap: &'a [u8]) -> Self {
        Self { rest: Cursor::new(heap) }
    }

    /// The string of a reference, or what is wrong with the reference.
    pub fn take(&mut self, reference: [u8; 8]) -> Result<&'a str, &'static str> {
        if reference == [0; 8] {
            return Ok("");
        }
        let [o0, o1, o2, o3, l0, l1, z0, z1] = reference;
        let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if length == 0 || [z0, z1] != [0; 2] || offset != self.rest.position() {
            return Err("a string is not where its writer put it");
        }
        let bytes = self.rest.take(length).ok_or("a string lies outside of the heap")?;
        core::str::from_utf8(bytes).map_err(|_| "a string is not UTF-8")
    }

    /// Whether every byte of the heap was taken.
    pub const fn is_spent(&self) -> bool {
        self.rest.remaining().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_in_order() {
        let mut writer = HeapWriter::default();
        let references = ["one", "", "zwölf"].map(|text| writer.push(text));
        let heap = writer.finish();
        let mut reader = HeapReader::new(&heap);
        assert_eq!(references.map(|r| reader.take(r).unwrap()), ["one", "", "zwölf"]);
        assert!(reader.is_spent());
    }

    #[test]
    fn other_spellings_are_refused() {
        let mut writer = HeapWriter::default();
        let (one, two) = (writer.push("one"), writer.push("two"));
        let heap = writer.finish();
        assert!(HeapReader::new(&heap).take(two).is_err(), "out of order");
        assert!(HeapReader::new(&heap).take([0, 0, 0, 0, 0, 0, 1, 0]).is_err(), "reserved bits");
        assert!(HeapReader::new(&heap).take([0, 0, 0, 0, 7, 0, 0, 0]).is_err(), "beyond the end");
        assert!(HeapReader::new(&[0xff; 3]).take(one).is_err(), "not UTF-8");
        let mut reader = HeapReader::new(&heap);
        reader.take(one).unwrap();
        assert!(!reader.is_spent());
        assert!(reader.take([3, 0, 0, 0, 0, 0, 0, 0]).is_err(), "an empty string with a place");
    }
}
