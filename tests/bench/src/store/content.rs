//! Which stored chunks a store holds, and what space is left between them.

use anyhow::{Context, Result};
use plyos_blockstore::layout::UNIT;
use plyos_blockstore::{Extent, UsedMap, general_area};
use plyos_ids::LayerId;
use plyos_layer_format::index::{Chunk, Index};
use plyos_layer_format::pages::{PAGE_SIZE, PageHashes, PageSource};
use plyos_storefile::{MountedLayer, Place, Store, StoreError};
use std::collections::BTreeMap;

/// The pages of a stored layer's index.
pub struct Pages<'a>(pub &'a MountedLayer);

impl PageSource for Pages<'_> {
    type Error = StoreError;

    fn read_page(&self, page: u32, out: &mut [u8; PAGE_SIZE]) -> Result<(), StoreError> {
        self.0.read_page_into(page, out)
    }
}

/// Opens the index of a layer.
pub fn index(layer: &MountedLayer) -> Result<Index<Pages<'_>>> {
    let pages = u32::try_from(layer.index_len.div_ceil(PAGE_SIZE as u64))?;
    let hashes = PageHashes::from_list(layer.page_hashes().to_vec(), pages)?;
    Ok(Index::open(layer.id, hashes, Pages(layer))?)
}

/// Every stored chunk once, by its first byte.
pub fn chunks(store: &Store) -> Result<BTreeMap<u64, (Place, Chunk)>> {
    let mut found = BTreeMap::new();
    for id in ids(store) {
        let layer = store.layer(&id)?.context("a layer is missing")?;
        for (chunk, place) in index(&layer)?.chunks().zip(layer.places()) {
            if let Some(place) = place {
                found.insert(place.offset, (*place, chunk?));
            }
        }
    }
    Ok(found)
}

/// Identities of all layers.
pub fn ids(store: &Store) -> Vec<LayerId> {
    store.layers().map(|entry| entry.id).collect()
}

/// Chunks that lie behind each other on the device are one run: first byte and length of each, in the order of the layer.
pub fn runs(places: &[Option<Place>]) -> Vec<Extent> {
    let mut runs: Vec<Extent> = Vec::new();
    for extent in places.iter().flatten().filter_map(Place::extent) {
        match runs.last_mut() {
            Some(last) if last.end() == extent.offset => last.len += extent.len,
            _ => runs.push(extent),
        }
    }
    runs
}

/// Bytes of each gap between what both superblock copies reach, in the area of chunks and indexes.
pub fn gaps(store: &Store) -> Result<Vec<u64>> {
    let (mut used, _) = UsedMap::content(store.device(), store.view())?;
    for (start, end) in UsedMap::metadata(store.view()).runs() {
        used.insert(Extent { offset: start * UNIT, len: (end - start) * UNIT });
    }
    let area = general_area(store.superblock());
    let (mut gaps, mut at) = (Vec::new(), area.start);
    for (start, end) in used.runs().chain([(area.end, area.end)]) {
        let start = start.min(area.end);
        if start > at {
            gaps.push((start - at) * UNIT);
        }
        at = at.max(end);
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_ids::Codec;
    use plyos_storefile::CreateOptions;

    #[test]
    fn adjacent_chunks_are_one_run() {
        let place = |offset, length| Some(Place { offset, length, codec: Codec::Raw, source: 0 });
        let places = [place(100, 10), place(110, 5), None, place(200, 1), place(90, 10), place(100, 10)];
        let extent = |offset, len| Extent { offset, len };
        assert_eq!(runs(&places), [extent(100, 15), extent(200, 1), extent(90, 20)]);
    }

    #[test]
    fn an_empty_store_has_one_gap_behind_its_directory() {
        let folder = tempfile::tempdir().unwrap();
        let options = CreateOptions { size: 8 << 20, boots: false };
        let store = Store::create(folder.path().join("store"), &options).unwrap();
        let gaps = gaps(&store).unwrap();
        let area = general_area(store.superblock());
        assert!(gaps.iter().sum::<u64>() <= (area.end - area.start) * UNIT);
        assert!(gaps.len() == 1 && gaps[0] > 7 << 20, "{gaps:?}");
        assert!(chunks(&store).unwrap().is_empty());
    }
}
