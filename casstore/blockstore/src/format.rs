//! Making a new, empty store.

use plyos_ids::ObjectHash;
use plyos_slots::Slots;

use crate::layout::{DATA_START, MIN_RESERVE_UNITS, SUPERBLOCK_OFFSETS, UNIT};
use crate::{BlockDevice, CopyDefect, Directory, Extent, StoreCopy, StoreView, Superblock};

/// What a new store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatOptions {
    /// Random name of the store.
    pub store_uuid: [u8; 16],
    /// Units of the store, at least [`MIN_STORE_LEN`](crate::layout::MIN_STORE_LEN) bytes of them.
    pub unit_count: u64,
    /// Whether this machine boots from it.
    pub boots: bool,
}

/// Units that a store of `unit_count` units keeps in reserve: one percent.
pub fn usual_reserve(unit_count: u64) -> u64 {
    (unit_count / 100).max(MIN_RESERVE_UNITS)
}

/// Writes an empty store on a device that is long enough. What was there is lost: both superblock places are cleared
/// first, so that no copy of a former store with a higher sequence is left.
pub fn format<D: BlockDevice>(device: &D, options: &FormatOptions) -> Result<StoreView, D::Error> {
    let directory = Directory::default();
    let bytes = directory.emit();
    for offset in SUPERBLOCK_OFFSETS {
        device.write_at(offset, &[0; Superblock::SIZE])?;
    }
    device.write_at(DATA_START, &bytes)?;
    device.flush()?;
    let superblock = Superblock {
        compat: 0,
        store_uuid: options.store_uuid,
        sequence: 1,
        unit_count: options.unit_count,
        boots: options.boots,
        reserve_units: usual_reserve(options.unit_count),
        next_generation: 1,
        time_floor: 0,
        keyring_floor: 0,
        state_version: 0,
        slots: Slots::default(),
        directory: Extent { offset: DATA_START, len: bytes.len() as u64 },
        directory_hash: ObjectHash::from_bytes(*blake3::hash(&bytes).as_bytes()),
    };
    debug_assert!(superblock.reserve_units * UNIT < superblock.store_len());
    device.write_at(SUPERBLOCK_OFFSETS[0], &superblock.emit())?;
    device.flush()?;
    let absent = CopyDefect::Superblock(plyos_bytemap::PreambleError::Magic.into());
    Ok(StoreView { chosen: StoreCopy { number: 0, superblock, directory }, other: Err(absent) })
}
