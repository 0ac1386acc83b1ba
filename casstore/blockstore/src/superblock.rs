//! The superblock: the one pointer, with the slots and the floors.

use plyos_bytemap::{Preamble, PreambleError, View, put};
use plyos_ids::{HashAlgorithm, ObjectHash};
use plyos_slots::{Slot, SlotError, Slots, SlotsError};

use crate::Extent;
use crate::layout::{DATA_START, MAX_DIRECTORY_LEN, SUPERBLOCK_MAGIC, UNIT, superblock};

const FLAG_BOOTS: u32 = 1;

/// One copy of the superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Compatible features. A writer that does not know one of them must not write.
    pub compat: u32,
    /// Random name of the store.
    pub store_uuid: [u8; 16],
    /// Number of this copy; the higher valid one counts.
    pub sequence: u64,
    /// Units of 4,096 bytes of the store.
    pub unit_count: u64,
    /// Whether this machine boots from the store.
    pub boots: bool,
    /// Units at the end of the store that are kept for flips, clean-up and audit.
    pub reserve_units: u64,
    /// Next generation number to be given, at least 1.
    pub next_generation: u64,
    /// Newest signed time seen, seconds since 1970-01-01 UTC.
    pub time_floor: u64,
    /// Version of the newest keyring seen.
    pub keyring_floor: u64,
    /// Version of the machine's state.
    pub state_version: u32,
    /// Both slots.
    pub slots: Slots,
    /// Where the directory lies.
    pub directory: Extent,
    /// BLAKE3 of the directory.
    pub directory_hash: ObjectHash,
}

/// Why 4,096 bytes are not a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// Not a superblock at all, or of a version or with features that are not known here.
    #[error("{0}")]
    Preamble(#[from] PreambleError),
    /// Torn or damaged.
    #[error("its checksum does not match")]
    Checksum,
    /// A slot.
    #[error("slot {0}")]
    Slot(#[from] SlotError),
    /// The slots together.
    #[error("{0}")]
    Slots(#[from] SlotsError),
    /// A flag, unit size or hash algorithm that is not known here.
    #[error("it uses a flag, unit size or hash algorithm that is not known here; update this program")]
    Unknown,
    /// Fields that contradict each other, or reserved bytes in use.
    #[error("its fields are malformed")]
    Malformed,
}

impl SuperblockError {
    /// Whether a newer program wrote it (its checksum matches). Such a store must be left alone, where a damaged copy
    /// may be replaced.
    pub const fn is_too_new(&self) -> bool {
        match self {
            Self::Preamble(error) => error.is_too_new(),
            Self::Unknown | Self::Slot(SlotError::Unknown(..)) | Self::Slots(SlotsError::UnknownName(_)) => {
                true
            }
            _ => false,
        }
    }
}

impl Superblock {
    /// Bytes of a copy.
    pub const SIZE: usize = superblock::SIZE;

    /// A time (seconds since 1970-01-01 UTC), but none before what this store has seen: for machines whose clock is wrong or missing.
    pub fn not_before(&self, at: u64) -> u64 {
        [self.time_floor, self.slots.a.changed_at, self.slots.b.changed_at].into_iter().fold(at, u64::max)
    }

    /// Bytes of the store.
    pub const fn store_len(&self) -> u64 {
        self.unit_count.saturating_mul(UNIT)
    }

    /// Reads one copy. Magic and checksum come first, so that everything after them was written on purpose.
    pub fn parse(bytes: &[u8]) -> Result<Self, SuperblockError> {
        let view = View::new(bytes, &superblock::LAYOUT).ok_or(PreambleError::Truncated)?;
        if bytes.get(..8) != Some(&SUPERBLOCK_MAGIC) {
            return Err(PreambleError::Magic.into());
        }
        let covered = bytes.get(..superblock::CHECKSUM.offset).unwrap_or(&[]);
        if blake3::hash(covered).as_bytes() != &view.array(superblock::CHECKSUM) {
            return Err(SuperblockError::Checksum);
        }
        let (head, object) = Preamble::parse(bytes, &SUPERBLOCK_MAGIC, superblock::SIZE, 0)?;
        let flags = view.u32(superblock::FLAGS);
        if flags & !FLAG_BOOTS != 0
            || u64::from(view.u32(superblock::UNIT_SIZE)) != UNIT
            || HashAlgorithm::from_number(view.u8(superblock::HASH_ALGORITHM)).is_none()
        {
            return Err(SuperblockError::Unknown);
        }
        let reserved = [superblock::RESERVED, superblock::RESERVED2, superblock::RESERVED3];
        if object.len() != superblock::SIZE || !reserved.into_iter().all(|field| view.is_zero(field)) {
            return Err(SuperblockError::Malformed);
        }
        let a = Slot::parse(view.bytes(superblock::SLOT_A))?;
        let b = Slot::parse(view.bytes(superblock::SLOT_B))?;
        let slots = Slots::checked(a, b, Slots::preferred_of_number(view.u8(superblock::PREFERRED))?)?;
        let unit_count = view.u64(superblock::UNIT_COUNT);
        let store_len = unit_count.checked_mul(UNIT).ok_or(SuperblockError::Malformed)?;
        let directory = Extent::checked(
            view.u64(superblock::DIRECTORY_OFFSET),
            u64::from(view.u32(superblock::DIRECTORY_LEN)),
            MAX_DIRECTORY_LEN,
            store_len,
        )
        .ok_or(SuperblockError::Malformed)?;
        let found = Self {
            compat: head.compat,
            store_uuid: view.array(superblock::STORE_UUID),
            sequence: view.u64(superblock::SEQUENCE),
            unit_count,
            boots: flags & FLAG_BOOTS != 0,
            reserve_units: view.u64(superblock::RESERVE_UNITS),
            next_generation: view.u64(superblock::NEXT_GENERATION),
            time_floor: view.u64(superblock::TIME_FLOOR),
            keyring_floor: view.u64(superblock::KEYRING_FLOOR),
            state_version: view.u32(superblock::STATE_VERSION),
            slots,
            directory,
            directory_hash: ObjectHash::from_bytes(view.array(superblock::DIRECTORY_HASH)),
        };
        let numbers_fit = [&slots.a, &slots.b].into_iter().all(|slot| slot.number < found.next_generation);
        let reserve_fits = found.reserve_units <= unit_count.saturating_sub(DATA_START / UNIT);
        if numbers_fit && reserve_fits { Ok(found) } else { Err(SuperblockError::Malformed) }
    }

    /// The 4,096 bytes of the copy.
    pub fn emit(&self) -> [u8; superblock::SIZE] {
        let mut out = [0; superblock::SIZE];
        let size = superblock::SIZE;
        Preamble { compat: self.compat, ..Preamble::v1(SUPERBLOCK_MAGIC, size, size as u64) }.emit(&mut out);
        let flags = if self.boots { FLAG_BOOTS } else { 0 };
        let fields: [(plyos_bytemap::Field, &[u8]); 17] = [
            (superblock::STORE_UUID, &self.store_uuid),
            (superblock::SEQUENCE, &self.sequence.to_le_bytes()),
            (superblock::UNIT_COUNT, &self.unit_count.to_le_bytes()),
            (superblock::UNIT_SIZE, &(UNIT as u32).to_le_bytes()),
            (superblock::FLAGS, &flags.to_le_bytes()),
            (superblock::RESERVE_UNITS, &self.reserve_units.to_le_bytes()),
            (superblock::NEXT_GENERATION, &self.next_generation.to_le_bytes()),
            (superblock::TIME_FLOOR, &self.time_floor.to_le_bytes()),
            (superblock::KEYRING_FLOOR, &self.keyring_floor.to_le_bytes()),
            (superblock::STATE_VERSION, &self.state_version.to_le_bytes()),
            (superblock::PREFERRED, &[self.slots.preferred_number()]),
            (superblock::HASH_ALGORITHM, &[HashAlgorithm::Blake3 as u8]),
            (superblock::DIRECTORY_OFFSET, &self.directory.offset.to_le_bytes()),
            (superblock::DIRECTORY_LEN, &(self.directory.len as u32).to_le_bytes()),
            (superblock::DIRECTORY_HASH, self.directory_hash.as_bytes()),
            (superblock::SLOT_A, &self.slots.a.emit()),
            (superblock::SLOT_B, &self.slots.b.emit()),
        ];
        for (field, value) in fields {
            put(&mut out, field, value);
        }
        let covered = out.get(..superblock::CHECKSUM.offset).unwrap_or(&[]);
        let checksum = blake3::hash(covered);
        put(&mut out, superblock::CHECKSUM, checksum.as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_ids::{GenerationId, LayerSetId};
    use plyos_slots::{Candidate, Event};
    use proptest::prelude::*;

    fn candidate(number: u64) -> Candidate {
        let id = [number as u8; 32];
        Candidate { number, generation: GenerationId::from_bytes(id), layer_set: LayerSetId::from_bytes(id) }
    }

    fn sample() -> Superblock {
        let slots = Slots::default().apply(Event::Activate(candidate(1)), 5).unwrap();
        Superblock {
            compat: 0,
            store_uuid: [7; 16],
            sequence: 9,
            unit_count: 1 << 20,
            boots: true,
            reserve_units: 1 << 13,
            next_generation: 3,
            time_floor: 1,
            keyring_floor: 2,
            state_version: 4,
            slots: slots.apply(Event::ActivateTrial(candidate(2), 3), 6).unwrap(),
            directory: Extent { offset: DATA_START, len: 64 },
            directory_hash: ObjectHash::from_bytes([3; 32]),
        }
    }

    /// The copy with one field changed and a checksum that fits again.
    fn with(field: plyos_bytemap::Field, value: &[u8]) -> Result<Superblock, SuperblockError> {
        let mut bytes = sample().emit();
        put(&mut bytes, field, value);
        seal(&mut bytes);
        Superblock::parse(&bytes)
    }

    fn seal(bytes: &mut [u8; superblock::SIZE]) {
        let checksum = blake3::hash(&bytes[..superblock::CHECKSUM.offset]);
        put(bytes, superblock::CHECKSUM, checksum.as_bytes());
    }

    proptest! {
        #[test]
        fn value_round_trip(
            uuid: [u8; 16], numbers: [u64; 4], boots: bool, state_version: u32, compat: u32, offset in DATA_START..1 << 30
        ) {
            let [sequence, next, time_floor, keyring_floor] = numbers;
            let directory = Extent { offset, len: 640 };
            let next_generation = next.max(3);
            let block = Superblock {
                compat, store_uuid: uuid, sequence, boots, next_generation, time_floor, keyring_floor, state_version,
                directory, ..sample()
            };
            prop_assert_eq!(Superblock::parse(&block.emit()), Ok(block));
        }

        #[test]
        fn any_changed_byte_is_seen(at in 0usize..4096, bit in 0u8..8) {
            let mut bytes = sample().emit();
            bytes[at] ^= 1 << bit;
            prop_assert!(Superblock::parse(&bytes).is_err());
        }

        #[test]
        fn mutated_and_sealed_bytes_are_refused_or_round_trip(at in 0usize..352, value: u8) {
            let mut bytes = sample().emit();
            bytes[at] = value;
            seal(&mut bytes);
            if let Ok(found) = Superblock::parse(&bytes) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert!(Superblock::parse(&bytes).is_err());
        }
    }

    #[test]
    fn newer_stores_are_told_from_damaged_ones() {
        let too_new = |result: Result<Superblock, SuperblockError>| result.unwrap_err().is_too_new();
        assert!(too_new(with(superblock::FLAGS, &2u32.to_le_bytes())));
        assert!(too_new(with(superblock::UNIT_SIZE, &8192u32.to_le_bytes())));
        assert!(too_new(with(superblock::HASH_ALGORITHM, &[2])));
        assert!(too_new(with(superblock::PREFERRED, &[3])));
        assert!(!too_new(with(superblock::RESERVED3, &[1; 3712])));
        assert!(!too_new(with(superblock::PREFERRED, &[2])), "a trial is not preferred");
        let mut bytes = sample().emit();
        bytes[8] = 2;
        assert_eq!(Superblock::parse(&bytes), Err(SuperblockError::Checksum), "damage comes first");
        seal(&mut bytes);
        assert!(Superblock::parse(&bytes).unwrap_err().is_too_new(), "version 2");
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(with(superblock::NEXT_GENERATION, &2u64.to_le_bytes()), Err(SuperblockError::Malformed));
        assert_eq!(with(superblock::DIRECTORY_LEN, &0u32.to_le_bytes()), Err(SuperblockError::Malformed));
        assert_eq!(with(superblock::DIRECTORY_LEN, &u32::MAX.to_le_bytes()), Err(SuperblockError::Malformed));
        assert_eq!(with(superblock::DIRECTORY_OFFSET, &0u64.to_le_bytes()), Err(SuperblockError::Malformed));
        assert_eq!(with(superblock::UNIT_COUNT, &u64::MAX.to_le_bytes()), Err(SuperblockError::Malformed));
        assert_eq!(
            with(superblock::RESERVE_UNITS, &(1u64 << 20).to_le_bytes()),
            Err(SuperblockError::Malformed)
        );
    }
}
