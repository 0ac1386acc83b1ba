//! The commit: append, flush, flip, flush.
//!
//! The caller holds the commit lock. The superblock is read again here, so that what others changed since stays; the
//! new directory, records and maps go where neither valid copy reaches; after a flush the other copy (lower sequence or
//! damaged) is replaced, never the one that counts. So at each moment one whole state is on the medium.

use alloc::vec::Vec;
use core::fmt;

use plyos_ids::{GenerationId, ObjectHash};
use plyos_slots::Slots;

use crate::format::usual_reserve;
use crate::layout::{MAX_MAP_LEN, MAX_RECORD_LEN, SUPERBLOCK_OFFSETS, UNIT};
use crate::{
    BlockDevice, CopyDefect, Directory, Extent, FreeSpace, LayerEntry, LayerState, OpenError, RecordEntry,
    RecordType, StoreCopy, StoreView, Superblock, Transaction, UsedMap, general_area, open_within,
    reserve_area,
};

/// Records, maps and the directory begin at multiples of this within their batch.
const METADATA_ALIGN: u64 = 8;

/// What must be active for a commit to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything: the change does not depend on it.
    Anything,
    /// This generation in the preferred slot, or none.
    Active(Option<GenerationId>),
}

/// Where a commit puts directory, records and maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataArea {
    /// Among the chunks, and in the reserve when that is full. Needs the writer lock.
    GeneralThenReserve,
    /// In the reserve only: the commit lock is enough, whatever a writer is appending.
    Reserve,
}

/// What a commit needs to know besides the transaction.
#[derive(Debug, Clone, Copy)]
pub struct CommitPlan<'a> {
    /// What must be active.
    pub expect: Expect,
    /// Where directory, records and maps go.
    pub area: MetadataArea,
    /// Indexes and chunks: what both copies reach and what was appended since. Empty when only the reserve is used,
    /// for it holds none.
    pub content: &'a [&'a UsedMap],
    /// Longest directory that is read again, in bytes: [`MAX_DIRECTORY_LEN`](crate::layout::MAX_DIRECTORY_LEN), or less where
    /// memory is short.
    pub longest_directory: u64,
}

/// Why nothing was committed (after [`CommitError::Flip`]: it is not known whether it was).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitError<E> {
    /// The store could not be read again.
    Open(OpenError<E>),
    /// Writing new data failed; the store is as it was.
    Append(E),
    /// Writing the superblock failed; after the next open it is the old or the new one.
    Flip(E),
    /// The device could not read one copy: the store can be read, but a commit might roll back what that copy holds.
    Unreadable,
    /// Compatible features in the superblock that are not known here: it may be read, not written.
    ReadOnly(u32),
    /// Another generation is active than the plan was made from.
    ActiveChanged(Option<GenerationId>),
    /// The slots are not those that the plan was made from.
    SlotsChanged,
    /// A record to be replaced or removed is not the one that the plan was made from.
    RecordChanged(RecordType),
    /// A slot would name a generation that has no record.
    MissingGeneration(u64),
    /// The slots contradict each other.
    BadSlots,
    /// More layers or records than a directory may have, or a record or map that is empty or too long.
    Limits,
    /// A store never shrinks, and is never longer than what it lies on.
    Size {
        /// Units that were asked for.
        asked: u64,
        /// Units of the store.
        now: u64,
        /// Whole units of the device.
        device: u64,
    },
    /// No gap is large enough.
    Full {
        /// Bytes that were needed together.
        needed: u64,
        /// Bytes that are free in all.
        free: u64,
    },
}

impl<E: fmt::Display> fmt::Display for CommitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Append(error) => write!(f, "writing new data failed, nothing has changed: {error}"),
            Self::Flip(error) => {
                write!(f, "writing the superblock failed, look before trying again: {error}")
            }
            Self::Unreadable => {
                f.write_str("one superblock copy cannot be read; check the device before writing to it")
            }
            Self::ReadOnly(bits) => {
                write!(
                    f,
                    "the store has features {bits:#010x} that are not known here; it may be read, to write it update this program"
                )
            }
            Self::ActiveChanged(Some(found)) => {
                write!(f, "generation {found} became active meanwhile; plan again")
            }
            Self::ActiveChanged(None) => f.write_str("no generation is active any more; plan again"),
            Self::SlotsChanged => f.write_str("the slots changed meanwhile; plan again"),
            Self::RecordChanged(record_type) => {
                write!(f, "the record ({record_type}) changed meanwhile; plan again")
            }
            Self::MissingGeneration(number) => {
                write!(f, "a slot would name generation {number}, which has no record")
            }
            Self::BadSlots => f.write_str("the new slots contradict each other"),
            Self::Limits => {
                f.write_str("more layers or records, or a longer one, than a store may hold; remove some")
            }
            Self::Size { asked, now, device } => {
                write!(
                    f,
                    "a store of {now} units on {device} cannot have {asked}: it never shrinks, nor goes beyond its device"
                )
            }
            Self::Full { needed, free } => {
                write!(
                    f,
                    "{needed} bytes are needed and {free} are free; remove something or enlarge the store"
                )
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for CommitError<E> {}

/// Commits a transaction. The caller holds the commit lock, and for [`MetadataArea::GeneralThenReserve`] the writer lock
/// too. The answer is the store as it is now.
pub fn commit<D: BlockDevice>(
    device: &D,
    transaction: &Transaction,
    plan: &CommitPlan<'_>,
) -> Result<StoreView, CommitError<D::Error>> {
    // 1. Read again, and refuse what the change was not made for.
    let view = open_within(device, plan.longest_directory).map_err(CommitError::Open)?;
    let slots = check(&view, transaction, plan.expect)?;
    if transaction.is_empty() {
        return Ok(view);
    }
    let (unit_count, reserve_units) = next_size(&view.chosen.superblock, transaction, device.len())?;
    // A copy that was torn may lack only a few sectors, and the flip may be torn too: together they could make a superblock
    // of the commit that was cut, whose data is written over below. So its first sector goes first; the flush of step 3
    // comes before the flip.
    let number = 1 - view.chosen.number.min(1);
    let offset = SUPERBLOCK_OFFSETS.get(number).copied().unwrap_or_default();
    if view.other.is_err() {
        device.write_at(offset, &[0; 512]).map_err(CommitError::Append)?;
    }
    // 2. Write everything new where neither copy reaches.
    let mut batch = Batch::new(device, &view, plan);
    let directory = next_directory(&view.chosen.directory, transaction, &mut batch)?;
    for slot in [&slots.a, &slots.b] {
        let key = (RecordType::Generation, *slot.generation.as_bytes());
        if slot.state.is_live() && !directory.records.contains_key(&key) {
            return Err(CommitError::MissingGeneration(slot.number));
        }
    }
    if !directory.within_limits() {
        return Err(CommitError::Limits);
    }
    let (directory_extent, directory_hash) = batch.write(&directory.emit())?;
    // 3. Flush: what the new superblock will point to is there before it is.
    device.flush().map_err(CommitError::Append)?;
    // 4. Flip: replace the other copy.
    let old = &view.chosen.superblock;
    let superblock = Superblock {
        sequence: old.sequence.checked_add(1).ok_or(CommitError::Limits)?,
        unit_count,
        reserve_units,
        next_generation: [transaction.next_generation, slots.a.number + 1, slots.b.number + 1]
            .into_iter()
            .fold(old.next_generation, u64::max),
        time_floor: old.time_floor.max(transaction.time_floor),
        keyring_floor: old.keyring_floor.max(transaction.keyring_floor),
        state_version: transaction.state_version.unwrap_or(old.state_version),
        slots,
        directory: directory_extent,
        directory_hash,
        ..*old
    };
    device.write_at(offset, &superblock.emit()).map_err(CommitError::Flip)?;
    // 5. Flush: when this returns, the change has happened.
    device.flush().map_err(CommitError::Flip)?;
    Ok(StoreView { chosen: StoreCopy { number, superblock, directory }, other: Ok(view.chosen) })
}

/// Whether the store is one that this transaction may change; the slots that it will have.
fn check<E>(view: &StoreView, transaction: &Transaction, expect: Expect) -> Result<Slots, CommitError<E>> {
    if view.other == Err(CopyDefect::Unreadable) {
        return Err(CommitError::Unreadable);
    }
    let features = view.copies().fold(0, |bits, copy| bits | copy.superblock.compat);
    if features != 0 {
        return Err(CommitError::ReadOnly(features));
    }
    let current = view.chosen.superblock.slots;
    let active = current.active().map(|slot| slot.generation);
    if let Expect::Active(expected) = expect
        && expected != active
    {
        return Err(CommitError::ActiveChanged(active));
    }
    // Slots may have gone there and back and look untouched; what was recorded on the way must not be written over.
    for (key, change) in &transaction.records {
        let found = view.chosen.directory.records.get(key).map(|entry| entry.hash);
        if found != change.seen {
            return Err(CommitError::RecordChanged(key.0));
        }
    }
    let Some(change) = transaction.slots else { return Ok(current) };
    if change.seen != current {
        return Err(CommitError::SlotsChanged);
    }
    let numbers_fit = [&change.new.a, &change.new.b].into_iter().all(|slot| slot.number < u64::MAX);
    if change.new.check().is_err() || !numbers_fit {
        return Err(CommitError::BadSlots);
    }
    Ok(change.new)
}

/// Units of the store and of its reserve after the transaction.
///
/// The reserve may hold no chunk, for who commits under the commit lock alone looks for none there. So it may begin
/// later than before, over what is new or was reserve, and never earlier: the general area keeps every unit.
fn next_size<E>(
    old: &Superblock,
    transaction: &Transaction,
    device: u64,
) -> Result<(u64, u64), CommitError<E>> {
    let (asked, now, device) = (transaction.unit_count, old.unit_count, device / UNIT);
    if asked == 0 {
        return Ok((now, old.reserve_units));
    }
    if asked < now || asked > device {
        return Err(CommitError::Size { asked, now, device });
    }
    let reserve =
        usual_reserve(asked).max(old.reserve_units).min(old.reserve_units.saturating_add(asked - now));
    Ok((asked, reserve))
}

/// The directory after the transaction. Its records and maps are written on the way.
fn next_directory<D: BlockDevice>(
    old: &Directory,
    transaction: &Transaction,
    batch: &mut Batch<'_, D>,
) -> Result<Directory, CommitError<D::Error>> {
    // What this program does not know of compatible features it has not kept up, so their bits go.
    let mut next = Directory { compat: 0, ..old.clone() };
    for (key, change) in &transaction.records {
        let Some(bytes) = &change.bytes else {
            next.records.remove(key);
            continue;
        };
        if bytes.is_empty() || bytes.len() as u64 > MAX_RECORD_LEN {
            return Err(CommitError::Limits);
        }
        let (extent, hash) = batch.write(bytes)?;
        let entry = RecordEntry { record_type: key.0, key: key.1, extent, hash, added_at: change.at };
        next.records.insert(*key, entry);
    }
    for (id, change) in &transaction.layers {
        let Some(change) = change else {
            next.layers.remove(id);
            continue;
        };
        if change.map.emitted_len() > MAX_MAP_LEN {
            return Err(CommitError::Limits);
        }
        let (map, map_hash) = batch.write(&change.map.emit())?;
        let state = if change.map.is_complete() { LayerState::Complete } else { LayerState::Partial };
        let entry = LayerEntry {
            id: *id,
            index: change.index,
            state,
            map,
            map_hash,
            manifest: change.manifest,
            added_at: old.layers.get(id).map_or(change.at, |before| before.added_at),
        };
        next.layers.insert(*id, entry);
    }
    Ok(next)
}

/// Writes metadata into free space, area after area.
struct Batch<'a, D> {
    device: &'a D,
    areas: Vec<FreeSpace>,
}

impl<'a, D: BlockDevice> Batch<'a, D> {
    fn new(device: &'a D, view: &StoreView, plan: &CommitPlan<'_>) -> Self {
        let metadata = UsedMap::metadata(view);
        let mut used = Vec::from(plan.content);
        used.push(&metadata);
        let superblock = &view.chosen.superblock;
        let reserve = FreeSpace::new(reserve_area(superblock), &used);
        let areas = match plan.area {
            MetadataArea::Reserve => [reserve].into(),
            MetadataArea::GeneralThenReserve => {
                [FreeSpace::new(general_area(superblock), &used), reserve].into()
            }
        };
        Self { device, areas }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(Extent, ObjectHash), CommitError<D::Error>> {
        let len = bytes.len() as u64;
        let offset = self.areas.iter_mut().find_map(|area| area.take(len, METADATA_ALIGN));
        let free = || self.areas.iter().map(FreeSpace::free_bytes).sum();
        let offset = offset.ok_or_else(|| CommitError::Full { needed: len, free: free() })?;
        self.device.write_at(offset, bytes).map_err(CommitError::Append)?;
        Ok((Extent { offset, len }, ObjectHash::from_bytes(*blake3::hash(bytes).as_bytes())))
    }
}
