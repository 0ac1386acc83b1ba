//! The directory: every layer and record of a store, with where it lies and what it hashes to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use plyos_bytemap::{Cursor, Preamble, PreambleError, View, put};
use plyos_ids::{LayerId, ManifestDigest, ObjectHash};

use crate::layout::{
    DIRECTORY_MAGIC, MAX_DIRECTORY_LEN, MAX_INDEX_LEN, MAX_LAYERS, MAX_MAP_LEN, MAX_RECORD_LEN, MAX_RECORDS,
    directory, directory_layer, directory_record,
};
use crate::{Extent, RecordType};

/// Whether all of a layer's chunks are in the store. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LayerState {
    /// A download is going on, or was cut.
    Partial = 1,
    /// Every chunk has a place.
    Complete = 2,
}

/// A layer of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerEntry {
    /// Which layer.
    pub id: LayerId,
    /// Its index, uncompressed; hashes to `id`.
    pub index: Extent,
    /// Whether all chunks are here.
    pub state: LayerState,
    /// Its [`LayerMap`](crate::LayerMap).
    pub map: Extent,
    /// BLAKE3 of the map.
    pub map_hash: ObjectHash,
    /// The OCI manifest by which it came; `None` for a local layer.
    pub manifest: Option<ManifestDigest>,
    /// When it was first added, seconds since 1970-01-01 UTC.
    pub added_at: u64,
}

/// A record of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordEntry {
    /// What it is.
    pub record_type: RecordType,
    /// Its key among the records of its type.
    pub key: [u8; 32],
    /// Where it lies.
    pub extent: Extent,
    /// BLAKE3 of its bytes.
    pub hash: ObjectHash,
    /// When it was written, seconds since 1970-01-01 UTC.
    pub added_at: u64,
}

/// All layers and records of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Compatible features; 0 when made here.
    pub compat: u32,
    /// Layers by identity.
    pub layers: BTreeMap<LayerId, LayerEntry>,
    /// Records by type and key.
    pub records: BTreeMap<(RecordType, [u8; 32]), RecordEntry>,
}

/// Why bytes are not a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The preamble.
    #[error("{0}")]
    Preamble(#[from] PreambleError),
    /// A record type or layer state that is not known here.
    #[error("it holds a record type or layer state {0} that is not known here; update this program")]
    Unknown(u16),
    /// More layers or records than a store may have.
    #[error("it states {layers} layers and {records} records, more than allowed")]
    TooMany {
        /// Stated layers.
        layers: u32,
        /// Stated records.
        records: u32,
    },
    /// Not sorted, or something twice.
    #[error("its entries are not sorted")]
    Order,
    /// An extent outside the store or over its limit, reserved bytes in use, or a length that does not fit the counts.
    #[error("its entries or its length are malformed")]
    Malformed,
}

impl DirectoryError {
    /// Whether a newer program wrote it. Such a store must be left alone, where a damaged copy may be replaced.
    pub const fn is_too_new(&self) -> bool {
        matches!(
            self,
            Self::Unknown(_) | Self::Preamble(PreambleError::Version(_) | PreambleError::Features(_))
        )
    }
}

impl Directory {
    /// Reads the directory of a store of `store_len` bytes. `bytes` is the whole directory and no more.
    pub fn parse(bytes: &[u8], store_len: u64) -> Result<Self, DirectoryError> {
        let (head, object) = Preamble::parse(bytes, &DIRECTORY_MAGIC, directory::SIZE, 0)?;
        let view = View::new(object, &directory::LAYOUT).ok_or(PreambleError::Truncated)?;
        let (layers, records) = (view.u32(directory::LAYER_COUNT), view.u32(directory::RECORD_COUNT));
        if layers > MAX_LAYERS || records > MAX_RECORDS {
            return Err(DirectoryError::TooMany { layers, records });
        }
        let expected = Self::len_of(layers as usize, records as usize);
        let length_fits = expected == bytes.len() as u64 && object.len() == bytes.len();
        if !length_fits || expected > MAX_DIRECTORY_LEN || !view.is_zero(directory::RESERVED) {
            return Err(DirectoryError::Malformed);
        }
        let mut cursor = Cursor::new(object);
        cursor.take(directory::SIZE).ok_or(PreambleError::Truncated)?;
        let mut found = Self { compat: head.compat, ..Self::default() };
        for _ in 0..layers {
            let entry = LayerEntry::parse(cursor.take(directory_layer::SIZE), store_len)?;
            if found.layers.last_key_value().is_some_and(|(last, _)| *last >= entry.id) {
                return Err(DirectoryError::Order);
            }
            found.layers.insert(entry.id, entry);
        }
        for _ in 0..records {
            let entry = RecordEntry::parse(cursor.take(directory_record::SIZE), store_len)?;
            let key = (entry.record_type, entry.key);
            if found.records.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(DirectoryError::Order);
            }
            found.records.insert(key, entry);
        }
        Ok(found)
    }

    /// Bytes of a directory of so many layers and records.
    pub const fn len_of(layers: usize, records: usize) -> u64 {
        (directory::SIZE + layers * directory_layer::SIZE + records * directory_record::SIZE) as u64
    }

    /// Bytes of the directory.
    pub fn emitted_len(&self) -> u64 {
        Self::len_of(self.layers.len(), self.records.len())
    }

    /// Whether it is within the limits of a reader.
    pub fn within_limits(&self) -> bool {
        self.layers.len() <= MAX_LAYERS as usize
            && self.records.len() <= MAX_RECORDS as usize
            && self.emitted_len() <= MAX_DIRECTORY_LEN
    }

    /// The bytes of the directory.
    pub fn emit(&self) -> Vec<u8> {
        let total = self.emitted_len();
        let mut out = Vec::with_capacity(total as usize);
        out.resize(directory::SIZE, 0);
        Preamble { compat: self.compat, ..Preamble::v1(DIRECTORY_MAGIC, directory::SIZE, total) }
            .emit(&mut out);
        put(&mut out, directory::LAYER_COUNT, &(self.layers.len() as u32).to_le_bytes());
        put(&mut out, directory::RECORD_COUNT, &(self.records.len() as u32).to_le_bytes());
        self.layers.values().for_each(|entry| out.extend_from_slice(&entry.emit()));
        self.records.values().for_each(|entry| out.extend_from_slice(&entry.emit()));
        out
    }
}

impl LayerEntry {
    fn parse(bytes: Option<&[u8]>, store_len: u64) -> Result<Self, DirectoryError> {
        use directory_layer as field;
        let view =
            bytes.and_then(|bytes| View::new(bytes, &field::LAYOUT)).ok_or(PreambleError::Truncated)?;
        let state = match view.u8(field::STATE) {
            1 => LayerState::Partial,
            2 => LayerState::Complete,
            other => return Err(DirectoryError::Unknown(u16::from(other))),
        };
        let extent = |offset, len, limit| {
            Extent::checked(view.u64(offset), u64::from(view.u32(len)), limit, store_len)
                .ok_or(DirectoryError::Malformed)
        };
        if ![field::RESERVED, field::RESERVED2, field::RESERVED3].into_iter().all(|at| view.is_zero(at)) {
            return Err(DirectoryError::Malformed);
        }
        Ok(Self {
            id: LayerId::from_bytes(view.array(field::LAYER_ID)),
            index: extent(field::INDEX_OFFSET, field::INDEX_LEN, MAX_INDEX_LEN)?,
            state,
            map: extent(field::MAP_OFFSET, field::MAP_LEN, MAX_MAP_LEN)?,
            map_hash: ObjectHash::from_bytes(view.array(field::MAP_HASH)),
            manifest: (!view.is_zero(field::MANIFEST))
                .then(|| ManifestDigest::from_bytes(view.array(field::MANIFEST))),
            added_at: view.u64(field::ADDED_AT),
        })
    }

    fn emit(&self) -> [u8; directory_layer::SIZE] {
        use directory_layer as field;
        let mut out = [0; directory_layer::SIZE];
        put(&mut out, field::LAYER_ID, self.id.as_bytes());
        put(&mut out, field::INDEX_OFFSET, &self.index.offset.to_le_bytes());
        put(&mut out, field::INDEX_LEN, &(self.index.len as u32).to_le_bytes());
        put(&mut out, field::STATE, &[self.state as u8]);
        put(&mut out, field::MAP_OFFSET, &self.map.offset.to_le_bytes());
        put(&mut out, field::MAP_LEN, &(self.map.len as u32).to_le_bytes());
        put(&mut out, field::MAP_HASH, self.map_hash.as_bytes());
        put(&mut out, field::MANIFEST, self.manifest.unwrap_or_default().as_bytes());
        put(&mut out, field::ADDED_AT, &self.added_at.to_le_bytes());
        out
    }
}

impl RecordEntry {
    fn parse(bytes: Option<&[u8]>, store_len: u64) -> Result<Self, DirectoryError> {
        use directory_record as field;
        let view =
            bytes.and_then(|bytes| View::new(bytes, &field::LAYOUT)).ok_or(PreambleError::Truncated)?;
        let number = view.u16(field::RECORD_TYPE);
        let record_type = RecordType::from_number(number).ok_or(DirectoryError::Unknown(number))?;
        let (offset, len) = (view.u64(field::OFFSET), u64::from(view.u32(field::LENGTH)));
        let extent =
            Extent::checked(offset, len, MAX_RECORD_LEN, store_len).ok_or(DirectoryError::Malformed)?;
        if !view.is_zero(field::RESERVED) || !view.is_zero(field::RESERVED2) {
            return Err(DirectoryError::Malformed);
        }
        Ok(Self {
            record_type,
            key: view.array(field::KEY),
            extent,
            hash: ObjectHash::from_bytes(view.array(field::HASH)),
            added_at: view.u64(field::ADDED_AT),
        })
    }

    fn emit(&self) -> [u8; directory_record::SIZE] {
        use directory_record as field;
        let mut out = [0; directory_record::SIZE];
        put(&mut out, field::RECORD_TYPE, &(self.record_type as u16).to_le_bytes());
        put(&mut out, field::LENGTH, &(self.extent.len as u32).to_le_bytes());
        put(&mut out, field::KEY, &self.key);
        put(&mut out, field::OFFSET, &self.extent.offset.to_le_bytes());
        put(&mut out, field::HASH, self.hash.as_bytes());
        put(&mut out, field::ADDED_AT, &self.added_at.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::DATA_START;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const STORE: u64 = 1 << 40;

    fn extents(limit: u64) -> impl Strategy<Value = Extent> {
        (DATA_START..STORE / 2, 1..=limit).prop_map(|(offset, len)| Extent { offset, len })
    }

    fn layers() -> impl Strategy<Value = LayerEntry> {
        let manifest = proptest::option::of(any::<[u8; 32]>().prop_filter("none", |id| id != &[0; 32]));
        let ids = (any::<[u8; 32]>(), any::<[u8; 32]>(), manifest);
        (ids, extents(MAX_INDEX_LEN), extents(MAX_MAP_LEN), any::<bool>(), any::<u64>()).prop_map(
            |((id, hash, manifest), index, map, complete, added_at)| LayerEntry {
                id: LayerId::from_bytes(id),
                index,
                state: if complete { LayerState::Complete } else { LayerState::Partial },
                map,
                map_hash: ObjectHash::from_bytes(hash),
                manifest: manifest.map(ManifestDigest::from_bytes),
                added_at,
            },
        )
    }

    fn records() -> impl Strategy<Value = RecordEntry> {
        (1u16..=13, any::<[u8; 32]>(), extents(MAX_RECORD_LEN), any::<[u8; 32]>(), any::<u64>()).prop_map(
            |(number, key, extent, hash, added_at)| RecordEntry {
                record_type: RecordType::from_number(number).unwrap(),
                key,
                extent,
                hash: ObjectHash::from_bytes(hash),
                added_at,
            },
        )
    }

    fn directories() -> impl Strategy<Value = Directory> {
        (vec(layers(), 0..6), vec(records(), 0..6)).prop_map(|(layers, records)| Directory {
            compat: 0,
            layers: layers.into_iter().map(|entry| (entry.id, entry)).collect(),
            records: records.into_iter().map(|entry| ((entry.record_type, entry.key), entry)).collect(),
        })
    }

    proptest! {
        #[test]
        fn value_round_trip(directory in directories()) {
            let bytes = directory.emit();
            prop_assert_eq!(bytes.len() as u64, directory.emitted_len());
            prop_assert_eq!(Directory::parse(&bytes, STORE), Ok(directory));
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(
            directory in directories(), at in any::<prop::sample::Index>(), value: u8
        ) {
            let mut bytes = directory.emit();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(found) = Directory::parse(&bytes, STORE) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn truncated_and_padded_bytes_are_refused(directory in directories(), cut in any::<prop::sample::Index>()) {
            let mut bytes = directory.emit();
            prop_assert!(Directory::parse(&bytes[..cut.index(bytes.len())], STORE).is_err());
            bytes.push(0);
            prop_assert!(Directory::parse(&bytes, STORE).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..400)) {
            let _ = Directory::parse(&bytes, STORE);
        }
    }

    fn layer(first: u8) -> LayerEntry {
        LayerEntry {
            id: LayerId::from_bytes([first; 32]),
            index: Extent { offset: DATA_START, len: 1 },
            state: LayerState::Complete,
            map: Extent { offset: DATA_START, len: 96 },
            map_hash: ObjectHash::default(),
            manifest: None,
            added_at: 0,
        }
    }

    fn two_layers() -> Vec<u8> {
        let layers = [layer(1), layer(2)].map(|entry| (entry.id, entry)).into();
        Directory { layers, ..Directory::default() }.emit()
    }

    #[test]
    fn layer_named_twice_and_layers_out_of_order_are_refused() {
        let mut bytes = two_layers();
        bytes[64 + 144..64 + 144 + 32].fill(1);
        assert_eq!(Directory::parse(&bytes, STORE), Err(DirectoryError::Order));
        bytes[64 + 144] = 0;
        assert_eq!(Directory::parse(&bytes, STORE), Err(DirectoryError::Order));
    }

    #[test]
    fn layer_state_of_a_newer_program_is_too_new_and_not_damage() {
        let mut bytes = two_layers();
        bytes[64 + 44] = 3;
        let error = Directory::parse(&bytes, STORE).unwrap_err();
        assert!(error.is_too_new(), "{error}");
    }

    #[test]
    fn extent_in_the_superblock_area_or_past_the_end_is_refused() {
        let mut bytes = two_layers();
        put(&mut bytes[64..], directory_layer::INDEX_OFFSET, &65_536u64.to_le_bytes());
        assert_eq!(Directory::parse(&bytes, STORE), Err(DirectoryError::Malformed));
        put(&mut bytes[64..], directory_layer::INDEX_OFFSET, &STORE.to_le_bytes());
        assert_eq!(Directory::parse(&bytes, STORE), Err(DirectoryError::Malformed));
    }

    #[test]
    fn counts_over_the_limit_are_refused_before_allocation() {
        let mut bytes = two_layers();
        put(&mut bytes, directory::LAYER_COUNT, &u32::MAX.to_le_bytes());
        assert!(matches!(Directory::parse(&bytes, STORE), Err(DirectoryError::TooMany { .. })));
    }
}
