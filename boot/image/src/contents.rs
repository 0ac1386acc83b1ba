//! What goes into an image.

use std::collections::BTreeMap;

use plyos_blockstore::RecordType;
use plyos_ids::{ChunkId, Codec, LayerId, ManifestDigest};
use plyos_slots::Slots;

/// A chunk as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredChunk {
    /// Its identity.
    pub id: ChunkId,
    /// Stored bytes.
    pub length: u32,
    /// Raw or zstd.
    pub codec: Codec,
}

/// A layer that goes in whole.
#[derive(Debug, Clone)]
pub struct ImageLayer {
    /// Which layer.
    pub id: LayerId,
    /// Bytes of its index.
    pub index_len: u64,
    /// Chaining values of the index's pages; none for an index of one page.
    pub page_hashes: Vec<[u8; 32]>,
    /// Its chunks in the order of the index. One that an earlier layer, or this one before, has is stored once.
    pub chunks: Vec<StoredChunk>,
    /// The OCI manifest by which it came.
    pub manifest: Option<ManifestDigest>,
}

/// What goes into an image. Layers are written in this order.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The layers, none twice.
    pub layers: Vec<ImageLayer>,
    /// The records, with the generations that the slots name.
    pub records: BTreeMap<(RecordType, [u8; 32]), Vec<u8>>,
    /// Both slots.
    pub slots: Slots,
    /// What the store says wherever it says when, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Newest signed time that was seen, seconds since 1970-01-01 UTC.
    pub time_floor: u64,
    /// Version of the newest keyring that was seen.
    pub keyring_floor: u64,
    /// Version of the machine's state.
    pub state_version: u32,
}

impl Contents {
    /// The name of the store: a digest of all that it is to be, for a random one would make each image another.
    pub fn store_uuid(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("plyos 2026-11-21 name of a store image");
        for slot in [&self.slots.a, &self.slots.b] {
            hasher.update(&slot.emit());
        }
        let floors = [self.time_floor, self.keyring_floor, u64::from(self.state_version), self.at];
        hasher.update(&[self.slots.preferred_number()]);
        floors.iter().for_each(|number| _ = hasher.update(&number.to_le_bytes()));
        for ((record_type, key), bytes) in &self.records {
            hasher.update(&(*record_type as u16).to_le_bytes());
            hasher.update(key);
            hasher.update(blake3::hash(bytes).as_bytes());
        }
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        name
    }
}

/// Who has the bytes of the layers. What it gives is verified already.
pub trait Source {
    /// What goes wrong.
    type Error;

    /// The whole index of a layer, by its number in [`Contents::layers`].
    fn index(&self, layer: usize) -> Result<Vec<u8>, Self::Error>;

    /// The stored bytes of a chunk, by its layer's number and its own in [`ImageLayer::chunks`].
    fn chunk(&self, layer: usize, ordinal: usize) -> Result<Vec<u8>, Self::Error>;
}
