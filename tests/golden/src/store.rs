//! The objects of a store, each by itself with every field in use. [`crate::image`] has them together.

use anyhow::{Context as _, Result};
use plyos_blockstore::{
    Action, Audit, AuditEntry, BadEntry, BadSets, Directory, Extent, Floors, History, HistoryEntry,
    LayerEntry, LayerMap, LayerState, Place, RecordEntry, RecordType, Superblock,
};
use plyos_ids::{Codec, GenerationId, Kind, LayerId, LayerSetId, ManifestDigest, ObjectHash};
use plyos_layer_format::index::layer_id;
use plyos_layer_format::pages::PageHashes;
use plyos_slots::{BadReason, Slot, SlotName, SlotState, Slots};

use crate::fixed::{NOW, hash};
use crate::layer::paged;
use crate::{Again, Golden, tree};

/// The golden files of this module.
pub const GOLDEN: &[Golden] = &[
    Golden {
        name: "superblock.hex",
        section: "Store",
        what: "a superblock with slot A good and preferred, slot B on trial, a third of its tries used",
        make: || Ok(superblock()?.emit().to_vec()),
        again: Again::Emit(|bytes| Ok(Superblock::parse(bytes)?.emit().to_vec())),
    },
    Golden {
        name: "slots.bin",
        section: "Store",
        what: "a slot of 96 bytes in each state, the bad one with each reason",
        make: || Ok(slots().iter().flat_map(Slot::emit).collect()),
        again: Again::Emit(slots_again),
    },
    Golden {
        name: "directory.bin",
        section: "Store",
        what: "a complete and a partial layer, and a record of each type",
        make: || Ok(directory().emit()),
        again: Again::Emit(|bytes| Ok(Directory::parse(bytes, STORE_LEN)?.emit())),
    },
    Golden {
        name: "layer-map.bin",
        section: "Store",
        what: "the map of layer-index-pages.hex: its page hashes, and places raw, as zstd, in another source and absent",
        make: || Ok(map()?.emit()),
        again: Again::Emit(|bytes| Ok(LayerMap::parse(bytes, STORE_LEN)?.emit())),
    },
    Golden {
        name: "history.bin",
        section: "Records",
        what: "an entry for each action, one of them without a command",
        make: || Ok(history().emit()),
        again: Again::Emit(|bytes| Ok(History::parse(bytes)?.emit())),
    },
    Golden {
        name: "audit.bin",
        section: "Records",
        what: "what was done and what was refused, one entry without a line",
        make: || Ok(audit().emit()),
        again: Again::Emit(|bytes| Ok(Audit::parse(bytes)?.emit())),
    },
    Golden {
        name: "bad-layer-sets.bin",
        section: "Records",
        what: "two bad layer sets",
        make: || Ok(bad_sets().emit()),
        again: Again::Emit(|bytes| Ok(BadSets::parse(bytes)?.emit())),
    },
    Golden {
        name: "floors.bin",
        section: "Records",
        what: "epoch floors of three layers, one with a name of 64 bytes",
        make: || Ok(floors()?.emit()),
        again: Again::Emit(|bytes| Ok(Floors::parse(bytes)?.emit())),
    },
];

/// Bytes of the store in which all these would lie: 1 GiB.
const STORE_LEN: u64 = 1 << 30;

fn slot(state: SlotState, number: u64) -> Slot {
    Slot {
        state,
        number,
        generation: GenerationId::from_bytes(hash(&format!("generation {number}"))),
        layer_set: LayerSetId::from_bytes(hash(&format!("layer set {number}"))),
        changed_at: NOW + number,
    }
}

fn slots() -> Vec<Slot> {
    let states = [
        SlotState::Staged,
        SlotState::Trial { left: 2, granted: 3 },
        SlotState::Good,
        SlotState::Unconfirmed,
        SlotState::Bad(BadReason::HealthCheck),
        SlotState::Bad(BadReason::Panic),
        SlotState::Bad(BadReason::Watchdog),
        SlotState::Bad(BadReason::Damaged),
        SlotState::Bad(BadReason::Operator),
    ];
    let named = (1..).zip(states).map(|(number, state)| slot(state, number));
    std::iter::once(Slot::EMPTY).chain(named).collect()
}

fn slots_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for bytes in bytes.chunks(Slot::SIZE) {
        out.extend_from_slice(&Slot::parse(bytes)?.emit());
    }
    Ok(out)
}

fn superblock() -> Result<Superblock> {
    let trial = slot(SlotState::Trial { left: 2, granted: 3 }, 42);
    Ok(Superblock {
        compat: 0,
        store_uuid: *b"golden store 001",
        sequence: 77,
        unit_count: STORE_LEN / 4096,
        boots: true,
        reserve_units: STORE_LEN / 4096 / 100,
        next_generation: 43,
        time_floor: NOW,
        keyring_floor: 7,
        state_version: 6,
        slots: Slots::checked(slot(SlotState::Good, 41), trial, Some(SlotName::A))?,
        directory: Extent { offset: 0x20_3000, len: 0x1234 },
        directory_hash: ObjectHash::from_bytes(hash("directory")),
    })
}

fn directory() -> Directory {
    let mut directory = Directory::default();
    let states = [(LayerState::Complete, true), (LayerState::Partial, false)];
    for (number, (state, has_manifest)) in (0..).zip(states) {
        let id = LayerId::from_bytes(hash(&format!("layer {number}")));
        let entry = LayerEntry {
            id,
            index: Extent { offset: 0x10_0000 * (number + 1), len: 16_384 * 3 },
            state,
            map: Extent { offset: 0x30_0000 + number * 0x1000, len: 240 },
            map_hash: ObjectHash::from_bytes(hash(&format!("map {number}"))),
            manifest: has_manifest.then(|| ManifestDigest::from_bytes(hash("manifest"))),
            added_at: NOW + number,
        };
        directory.layers.insert(id, entry);
    }
    for (number, record_type) in (0..).zip(RecordType::ALL) {
        let key = match record_type {
            RecordType::History
            | RecordType::BadSets
            | RecordType::Floors
            | RecordType::Audit
            | RecordType::Settings => RecordType::ONLY,
            _ => hash(record_type.as_str()),
        };
        let entry = RecordEntry {
            record_type,
            key,
            extent: Extent { offset: 0x40_0000 + number * 0x1000, len: 100 + number },
            hash: ObjectHash::from_bytes(hash(&format!("record {number}"))),
            added_at: NOW,
        };
        directory.records.insert((record_type, key), entry);
    }
    directory
}

/// The map of the layer of several pages.
fn map() -> Result<LayerMap> {
    let index = paged()?.index;
    let chunks = tree::take_apart(&index)?.chunks;
    let mut offset = 0x50_0000;
    let mut places = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let place = match number % 4 {
            0 => Some(Place { offset, length: chunk.length, codec: Codec::Raw, source: 0 }),
            1 => Some(Place { offset, length: chunk.length / 2, codec: Codec::Zstd, source: 0 }),
            2 => Some(Place { offset, length: chunk.length, codec: Codec::Raw, source: 3 }),
            _ => None,
        };
        offset += place.map_or(0, |place| u64::from(place.length));
        places.push(place);
    }
    let hashes = PageHashes::compute(&index).as_list().to_vec();
    places.get(3).context("fewer than four chunks")?;
    Ok(LayerMap::new(layer_id(&index), hashes, places))
}

fn history() -> History {
    let commands = [
        (Action::Install, "pkg install zsh"),
        (Action::Remove, "pkg remove zsh"),
        (Action::Upgrade, "pkg upgrade # caf\u{e9}"),
        (Action::Rollback, "pkg rollback 3"),
        (Action::Promotion, ""),
        (Action::Return, "loader"),
        (Action::Load, "pkg load stick.bundle"),
    ];
    let mut history = History::default();
    for (number, (action, command)) in (1..).zip(commands) {
        let generation = GenerationId::from_bytes(hash(&format!("generation {number}")));
        let at = NOW + number;
        history.push(HistoryEntry {
            number,
            from: number - 1,
            at,
            generation,
            action,
            command: command.into(),
        });
    }
    history
}

fn audit() -> Audit {
    let mut audit = Audit::default();
    for (at, code, command, said) in [
        (1, 0, "pkg hold zsh", ""),
        (2, 5, "pkg install zsh", "zsh 5.9 is refused: caf\u{e9}"),
        (3, 0, "pkg repo remove main", "removed"),
    ] {
        let (command, said) = (command.into(), said.into());
        audit.push(AuditEntry { at: NOW + at, generation: at, code, command, said });
    }
    audit
}

fn bad_sets() -> BadSets {
    let mut bad = BadSets::default();
    for (number, reason) in [(12, BadReason::Panic), (9, BadReason::Operator)] {
        let layer_set = LayerSetId::from_bytes(hash(&format!("layer set {number}")));
        bad.remember(BadEntry { layer_set, number, at: NOW + number, reason });
    }
    bad
}

fn floors() -> Result<Floors> {
    let mut floors = Floors::default();
    floors.raise(Kind::Package, "zsh", 3)?;
    floors.raise(Kind::Kernel, "plyos-kernel", u32::MAX)?;
    floors.raise(Kind::Package, &"n".repeat(64), 1)?;
    Ok(floors)
}
