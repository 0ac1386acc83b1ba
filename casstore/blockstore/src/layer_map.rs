//! A layer's map: where its chunks lie, and the page hashes of its index.

use alloc::vec::Vec;

use plyos_bytemap::{Cursor, Preamble, PreambleError, View, put};
use plyos_ids::LayerId;

use crate::layout::{MAP_MAGIC, MAX_MAP_LEN, layer_map};
use crate::{Place, PlaceError};

/// A layer's map as it was read or is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerMap {
    /// Compatible features; 0 when made here.
    pub compat: u32,
    /// The layer whose map this is.
    pub layer_id: LayerId,
    /// Chaining values of the index's pages; none for an index of one page. Claims until they merge to the layer's id.
    pub page_hashes: Vec<[u8; 32]>,
    /// One place for each chunk in the order of the index; `None`: not yet here.
    pub places: Vec<Option<Place>>,
}

/// Why bytes are not a layer's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The preamble.
    #[error("{0}")]
    Preamble(#[from] PreambleError),
    /// A place.
    #[error("place {ordinal}: {error}")]
    Place {
        /// Chunk ordinal.
        ordinal: u64,
        /// What is wrong with it.
        error: PlaceError,
    },
    /// Counts, lengths or reserved bytes.
    #[error("its counts and its length contradict each other")]
    Malformed,
}

impl LayerMap {
    /// A map as a writer makes it.
    pub fn new(layer_id: LayerId, page_hashes: Vec<[u8; 32]>, places: Vec<Option<Place>>) -> Self {
        Self { compat: 0, layer_id, page_hashes, places }
    }

    /// Reads the head of a map of `map_len` bytes: whose it is, and how many page hashes follow the head.
    pub(crate) fn parse_head(head: &[u8; layer_map::SIZE], map_len: u64) -> Result<(LayerId, u32), MapError> {
        let preamble = Preamble::parse_head(head, &MAP_MAGIC, layer_map::SIZE, 0)?;
        let view = View::new(head, &layer_map::LAYOUT).ok_or(PreambleError::Truncated)?;
        let pages = view.u32(layer_map::PAGE_COUNT);
        if preamble.total_len != map_len || stated_len(&view) != Some(map_len) || pages == 1 {
            return Err(MapError::Malformed);
        }
        Ok((LayerId::from_bytes(view.array(layer_map::LAYER_ID)), pages))
    }

    /// Reads the map of a layer in a store of `store_len` bytes. `bytes` is the whole map and no more.
    pub fn parse(bytes: &[u8], store_len: u64) -> Result<Self, MapError> {
        let (head, object) = Preamble::parse(bytes, &MAP_MAGIC, layer_map::SIZE, 0)?;
        let view = View::new(object, &layer_map::LAYOUT).ok_or(PreambleError::Truncated)?;
        let pages = view.u32(layer_map::PAGE_COUNT);
        let length_fits = stated_len(&view) == Some(bytes.len() as u64) && object.len() == bytes.len();
        if !length_fits
            || bytes.len() as u64 > MAX_MAP_LEN
            || !view.is_zero(layer_map::RESERVED)
            || pages == 1
        {
            return Err(MapError::Malformed);
        }
        let mut cursor = Cursor::new(object);
        cursor.take(layer_map::SIZE).ok_or(PreambleError::Truncated)?;
        let mut page_hashes = Vec::with_capacity(pages as usize);
        for _ in 0..pages {
            page_hashes.push(cursor.array().ok_or(MapError::Malformed)?);
        }
        let mut places = Vec::with_capacity(cursor.remaining().len() / Place::SIZE);
        for (ordinal, chunk) in (0u64..).zip(cursor.remaining().chunks(Place::SIZE)) {
            places.push(Place::parse(chunk, store_len).map_err(|error| MapError::Place { ordinal, error })?);
        }
        let found = Self {
            compat: head.compat,
            layer_id: LayerId::from_bytes(view.array(layer_map::LAYER_ID)),
            page_hashes,
            places,
        };
        if found.present() != view.u64(layer_map::PRESENT) { Err(MapError::Malformed) } else { Ok(found) }
    }

    /// Places that are not absent.
    pub fn present(&self) -> u64 {
        self.places.iter().flatten().count() as u64
    }

    /// Whether no place is absent.
    pub fn is_complete(&self) -> bool {
        self.places.iter().all(Option::is_some)
    }

    /// Bytes of the map.
    pub fn emitted_len(&self) -> u64 {
        (layer_map::SIZE + self.page_hashes.len() * 32 + self.places.len() * Place::SIZE) as u64
    }

    /// The bytes of the map.
    pub fn emit(&self) -> Vec<u8> {
        let total = self.emitted_len();
        let mut out = Vec::with_capacity(total as usize);
        out.resize(layer_map::SIZE, 0);
        Preamble { compat: self.compat, ..Preamble::v1(MAP_MAGIC, layer_map::SIZE, total) }.emit(&mut out);
        put(&mut out, layer_map::LAYER_ID, self.layer_id.as_bytes());
        put(&mut out, layer_map::CHUNK_COUNT, &(self.places.len() as u64).to_le_bytes());
        put(&mut out, layer_map::PRESENT, &self.present().to_le_bytes());
        put(&mut out, layer_map::PAGE_COUNT, &(self.page_hashes.len() as u32).to_le_bytes());
        self.page_hashes.iter().for_each(|hash| out.extend_from_slice(hash));
        self.places.iter().for_each(|place| out.extend_from_slice(&Place::emit(place.as_ref())));
        out
    }
}

/// Bytes of a map by the counts in its head.
fn stated_len(head: &View<'_>) -> Option<u64> {
    let places = head.u64(layer_map::CHUNK_COUNT).checked_mul(Place::SIZE as u64)?;
    places.checked_add(u64::from(head.u32(layer_map::PAGE_COUNT)) * 32 + layer_map::SIZE as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::DATA_START;
    use plyos_ids::Codec;
    use proptest::prelude::*;

    const STORE: u64 = 1 << 30;

    fn maps() -> impl Strategy<Value = LayerMap> {
        let place =
            (DATA_START..STORE / 2, 1u32..1_000_000, any::<bool>()).prop_map(|(offset, length, zstd)| {
                Place { offset, length, codec: if zstd { Codec::Zstd } else { Codec::Raw }, source: 0 }
            });
        let pages = prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<[u8; 32]>(), 2..5)];
        (any::<[u8; 32]>(), pages, proptest::collection::vec(proptest::option::of(place), 0..20))
            .prop_map(|(id, pages, places)| LayerMap::new(LayerId::from_bytes(id), pages, places))
    }

    proptest! {
        #[test]
        fn value_round_trip(map in maps()) {
            let bytes = map.emit();
            prop_assert_eq!(bytes.len() as u64, map.emitted_len());
            prop_assert_eq!(LayerMap::parse(&bytes, STORE), Ok(map));
        }

        #[test]
        fn the_head_alone_says_whose_map_it_is_and_refuses_another_length(
            map in maps(), at in 0..layer_map::SIZE, value: u8
        ) {
            let len = map.emitted_len();
            let mut head: [u8; layer_map::SIZE] = map.emit()[..layer_map::SIZE].try_into().unwrap();
            let pages = map.page_hashes.len() as u32;
            prop_assert_eq!(LayerMap::parse_head(&head, len), Ok((map.layer_id, pages)));
            prop_assert!(LayerMap::parse_head(&head, len + 16).is_err());
            head[at] = value;
            if let Ok((_, pages)) = LayerMap::parse_head(&head, len) {
                prop_assert!(layer_map::SIZE as u64 + u64::from(pages) * 32 <= len);
            }
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(map in maps(), at in any::<prop::sample::Index>(), value: u8) {
            let mut bytes = map.emit();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(found) = LayerMap::parse(&bytes, STORE) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn truncated_and_padded_bytes_are_refused(map in maps(), cut in any::<prop::sample::Index>()) {
            let mut bytes = map.emit();
            prop_assert!(LayerMap::parse(&bytes[..cut.index(bytes.len())], STORE).is_err());
            bytes.push(0);
            prop_assert!(LayerMap::parse(&bytes, STORE).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = LayerMap::parse(&bytes, STORE);
        }
    }

    #[test]
    fn map_that_promises_more_chunks_than_it_has_is_refused_before_allocation() {
        let mut bytes = LayerMap::new(LayerId::default(), Vec::new(), Vec::new()).emit();
        put(&mut bytes, layer_map::CHUNK_COUNT, &(u64::MAX / 16).to_le_bytes());
        assert_eq!(LayerMap::parse(&bytes, STORE), Err(MapError::Malformed));
        put(&mut bytes, layer_map::CHUNK_COUNT, &(1u64 << 60).to_le_bytes());
        assert_eq!(LayerMap::parse(&bytes, STORE), Err(MapError::Malformed));
    }

    #[test]
    fn map_with_a_wrong_count_of_present_chunks_is_refused() {
        let mut bytes = LayerMap::new(LayerId::default(), Vec::new(), [None, None].to_vec()).emit();
        put(&mut bytes, layer_map::PRESENT, &1u64.to_le_bytes());
        assert_eq!(LayerMap::parse(&bytes, STORE), Err(MapError::Malformed));
    }
}
