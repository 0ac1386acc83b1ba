//! Where everything of an image will lie, and so how long it must be.
//!
//! Behind the empty directory that a new store begins with come, for each layer, its chunks in one run and its index on a
//! fresh unit; then what the commits write: records, maps and directory together, and the directory once more, for the second
//! superblock copy.

use std::collections::BTreeMap;

use plyos_blockstore::layout::{DATA_START, MIN_STORE_LEN, UNIT};
use plyos_blockstore::{Directory, Extent, LayerMap, Place, usual_reserve};
use plyos_ids::{ChunkId, LayerId};

use crate::Contents;

/// Where a layer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedLayer {
    /// Numbers of the chunks that are written with this layer; they follow one another from `start`.
    pub own: Vec<usize>,
    /// First byte of the first of them.
    pub start: u64,
    /// Where the index goes.
    pub index: Extent,
    /// Where each chunk lies.
    pub map: LayerMap,
}

/// Where everything goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) layers: BTreeMap<LayerId, PlannedLayer>,
    /// First byte behind the last index.
    pub(crate) content_end: u64,
    /// First byte behind what the commits write.
    used: u64,
    unit_count: u64,
    stored: u64,
    chunks: u64,
}

/// Why there is no such image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The size that was asked for is too small.
    #[error("a store of {asked} bytes cannot hold this: at least {least} are needed")]
    TooSmall {
        /// Bytes that were asked for.
        asked: u64,
        /// Bytes that are needed.
        least: u64,
    },
    /// A layer twice, or more than a store can hold.
    #[error("these layers cannot lie in one store: one of them is there twice, or they are too many")]
    Layers,
}

impl Plan {
    /// A plan for an image of `size` bytes, rounded down to whole units; without one, of the least that there must be.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(contents: &Contents, size: Option<u64>) -> Result<Self, PlanError> {
        // The empty directory has the first unit of the data area.
        let mut end = DATA_START + UNIT;
        let (mut places, mut layers) = (BTreeMap::<ChunkId, Place>::new(), BTreeMap::new());
        let mut stored = 0;
        for layer in &contents.layers {
            let start = end;
            let (mut own, mut map) = (Vec::new(), Vec::with_capacity(layer.chunks.len()));
            for (number, chunk) in layer.chunks.iter().enumerate() {
                let place = places.entry(chunk.id).or_insert_with(|| {
                    own.push(number);
                    let place = Place { offset: end, length: chunk.length, codec: chunk.codec, source: 0 };
                    end += u64::from(chunk.length);
                    place
                });
                map.push(Some(*place));
            }
            stored += end - start;
            let index = Extent { offset: end.next_multiple_of(UNIT), len: layer.index_len };
            end = index.end().next_multiple_of(UNIT);
            let map = LayerMap::new(layer.id, layer.page_hashes.clone(), map);
            if layers.insert(layer.id, PlannedLayer { own, start, index, map }).is_some() {
                return Err(PlanError::Layers);
            }
        }
        let directory = Directory::len_of(layers.len(), contents.records.len());
        let records = contents.records.values().map(|bytes| bytes.len() as u64);
        let metadata = records.chain(layers.values().map(|layer| layer.map.emitted_len()));
        // The first commit writes them behind one another at multiples of 8 (`commit`), the second on a fresh unit.
        let first: u64 = metadata.map(|len| len.next_multiple_of(8)).sum::<u64>() + directory;
        let general_end = end + first.next_multiple_of(UNIT) + directory.next_multiple_of(UNIT);
        let least = least_units(general_end / UNIT);
        let unit_count = match size {
            None => least,
            Some(size) if size / UNIT >= least => size / UNIT,
            Some(asked) => return Err(PlanError::TooSmall { asked, least: least * UNIT }),
        };
        Ok(Self {
            layers,
            content_end: end,
            used: general_end,
            unit_count,
            stored,
            chunks: places.len() as u64,
        })
    }

    /// Bytes of the image.
    pub const fn len(&self) -> u64 {
        self.unit_count * UNIT
    }

    /// Bytes at the start of the image behind which there is nothing but zeroes.
    pub const fn used_len(&self) -> u64 {
        self.used
    }

    /// Whether no layer is in it.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Units of the image.
    pub(crate) const fn unit_count(&self) -> u64 {
        self.unit_count
    }

    /// Chunks that are stored, each once.
    pub const fn chunk_count(&self) -> u64 {
        self.chunks
    }

    /// Bytes of those chunks as they are stored.
    pub const fn stored_bytes(&self) -> u64 {
        self.stored
    }
}

/// The fewest units of a store whose general area ends at unit `general_end` or behind it.
fn least_units(general_end: u64) -> u64 {
    let mut units = (general_end + usual_reserve(general_end)).max(MIN_STORE_LEN / UNIT);
    while units - usual_reserve(units) < general_end {
        units += 1;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_store_has_room_and_not_a_unit_more() {
        for general_end in [192, 193, 1000, 6336, 6337, 100_000, 1 << 30] {
            let units = least_units(general_end);
            assert!(units - usual_reserve(units) >= general_end, "{general_end}");
            let fewer = units - 1;
            assert!(fewer < 256 || fewer - usual_reserve(fewer) < general_end, "{general_end}");
        }
    }
}
