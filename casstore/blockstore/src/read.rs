//! Reading what a directory names, verified against its hash.

use alloc::vec;
use alloc::vec::Vec;

use crate::layout::layer_map;
use crate::{BlockDevice, Extent, LayerEntry, LayerMap, LayerState, MapError, RecordEntry};

/// Why a record or map could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E> {
    /// The device.
    #[error("{0}")]
    Io(E),
    /// Its bytes do not match its hash.
    #[error("its bytes do not match their hash")]
    Hash,
    /// It matches its hash and is not a map.
    #[error("map: {0}")]
    Map(MapError),
    /// The map is of another layer, or says otherwise how much of it there is.
    #[error("the map contradicts the directory")]
    Contradiction,
}

/// Reads an extent whole. Extents were checked against the store's length and their limit when they were parsed, so the
/// buffer is never larger than what is there.
pub fn read_extent<D: BlockDevice>(device: &D, extent: Extent) -> Result<Vec<u8>, D::Error> {
    let mut bytes = vec![0; extent.len as usize];
    device.read_at(extent.offset, &mut bytes)?;
    Ok(bytes)
}

/// Reads a record and verifies it.
pub fn read_record<D: BlockDevice>(device: &D, entry: &RecordEntry) -> Result<Vec<u8>, ReadError<D::Error>> {
    let bytes = read_extent(device, entry.extent).map_err(ReadError::Io)?;
    if blake3::hash(&bytes).as_bytes() == entry.hash.as_bytes() { Ok(bytes) } else { Err(ReadError::Hash) }
}

/// Reads the map of a layer in a store of `store_len` bytes and verifies it.
pub fn read_map<D: BlockDevice>(
    device: &D,
    entry: &LayerEntry,
    store_len: u64,
) -> Result<LayerMap, ReadError<D::Error>> {
    let bytes = read_extent(device, entry.map).map_err(ReadError::Io)?;
    if blake3::hash(&bytes).as_bytes() != entry.map_hash.as_bytes() {
        return Err(ReadError::Hash);
    }
    let map = LayerMap::parse(&bytes, store_len).map_err(ReadError::Map)?;
    let complete = entry.state == LayerState::Complete;
    if map.layer_id != entry.id || (complete && !map.is_complete()) {
        return Err(ReadError::Contradiction);
    }
    Ok(map)
}

/// Reads what a mount needs of a layer's map: the chaining values of its index's pages, and no place, so that the cost does not
/// grow with the layer's chunks. They are claims until they merge to the layer's identity, so the map's own hash, which would
/// need the whole map, is not asked. `index_pages` is how many pages the index has; a map that states another number of hashes
/// contradicts it, and nothing is read for it.
pub fn read_page_hashes<D: BlockDevice>(
    device: &D,
    entry: &LayerEntry,
    index_pages: u32,
) -> Result<Vec<[u8; 32]>, ReadError<D::Error>> {
    let mut head = [0; layer_map::SIZE];
    if entry.map.len < head.len() as u64 {
        return Err(ReadError::Map(MapError::Malformed));
    }
    device.read_at(entry.map.offset, &mut head).map_err(ReadError::Io)?;
    let (layer_id, pages) = LayerMap::parse_head(&head, entry.map.len).map_err(ReadError::Map)?;
    // An index of one page needs no list: its identity is the page's hash.
    let expected = if index_pages == 1 { 0 } else { index_pages };
    if layer_id != entry.id || pages != expected {
        return Err(ReadError::Contradiction);
    }
    // The head agrees with the map's length, which was checked against the store's: the hashes lie inside both.
    let list = Extent { offset: entry.map.offset + head.len() as u64, len: u64::from(pages) * 32 };
    let bytes = read_extent(device, list).map_err(ReadError::Io)?;
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.to_vec())
}

/// Where the places of a layer's map lie, 16 bytes for each chunk ([`Place::parse`](crate::Place::parse)), when
/// [`read_page_hashes`] gave `page_hashes` of them; `None` when the map is too short for that. For who does not read the map
/// as a whole: each place is then a claim, and what is read from it must hash to its chunk.
pub fn places_of(entry: &LayerEntry, page_hashes: usize) -> Option<Extent> {
    let before = (page_hashes as u64).checked_mul(32)?.checked_add(layer_map::SIZE as u64)?;
    let len = entry.map.len.checked_sub(before)?;
    Some(Extent { offset: entry.map.offset.checked_add(before)?, len })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use plyos_ids::{LayerId, ObjectHash};

    use super::*;

    /// Bytes that are only read, and how many were at most at once.
    struct Counted {
        bytes: Vec<u8>,
        longest: Cell<usize>,
    }

    impl BlockDevice for Counted {
        type Error = ();

        fn len(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), ()> {
            self.longest.set(self.longest.get().max(out.len()));
            let bytes = self.bytes.get(offset as usize..).and_then(|bytes| bytes.get(..out.len()));
            out.copy_from_slice(bytes.ok_or(())?);
            Ok(())
        }

        fn write_at(&self, _: u64, _: &[u8]) -> Result<(), ()> {
            Err(())
        }

        fn flush(&self) -> Result<(), ()> {
            Ok(())
        }
    }

    #[test]
    fn a_map_that_states_another_number_of_pages_is_not_read() {
        let id = LayerId::from_bytes([7; 32]);
        let hashes = vec![[1; 32]; 5000];
        let bytes = LayerMap::new(id, hashes.clone(), Vec::new()).emit();
        let entry = LayerEntry {
            id,
            index: Extent { offset: 0, len: 0 },
            state: LayerState::Complete,
            map: Extent { offset: 0, len: bytes.len() as u64 },
            map_hash: ObjectHash::default(),
            manifest: None,
            added_at: 0,
        };
        let device = Counted { bytes, longest: Cell::new(0) };
        for pages in [0, 1, 2, 4999, 5001] {
            let refused = read_page_hashes(&device, &entry, pages);
            assert_eq!(refused, Err(ReadError::Contradiction), "{pages}");
        }
        assert_eq!(device.longest.get(), layer_map::SIZE);
        assert_eq!(read_page_hashes(&device, &entry, 5000), Ok(hashes));
    }
}
