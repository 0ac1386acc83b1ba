//! The byte maps of the store, its fixed places and its limits. `docs/formats.md`, "Store" and "Records", describes
//! them; a test compares the two.

use plyos_bytemap::{Layout, byte_map};

/// Bytes of a unit, in which space is given out. Frozen.
pub const UNIT: u64 = 4096;
/// Where the two superblock copies lie. Frozen: a loader looks there before it knows anything else.
pub const SUPERBLOCK_OFFSETS: [u64; 2] = [0, 65_536];
/// First byte of data. Frozen.
pub const DATA_START: u64 = 131_072;
/// Shortest store that can be made: both superblocks, the reserve and a little data.
pub const MIN_STORE_LEN: u64 = 1 << 20;
/// Fewest units that a new store keeps in reserve; one percent of a small store would not hold a directory.
pub const MIN_RESERVE_UNITS: u64 = 64;

/// Longest directory that is read: 64 MiB.
pub const MAX_DIRECTORY_LEN: u64 = 64 << 20;
/// Most layers in a directory.
pub const MAX_LAYERS: u32 = 65_536;
/// Most records in a directory.
pub const MAX_RECORDS: u32 = 262_144;
/// Longest record: 64 MiB.
pub const MAX_RECORD_LEN: u64 = 64 << 20;
/// Longest index: 1 GiB.
pub const MAX_INDEX_LEN: u64 = 1 << 30;
/// Longest layer map: what an index of 1 GiB can ask for (a place of 16 bytes for each 36-byte chunk record, a hash of
/// 32 bytes for each 16 KiB page), rounded up.
pub const MAX_MAP_LEN: u64 = 512 << 20;
/// Longest chunk, uncompressed: 1 MiB. Frozen for readers.
pub const MAX_CHUNK_LEN: u32 = 1 << 20;
/// Longest stored chunk: one that does not compress, with its frame. Frozen for readers.
pub const MAX_STORED_LEN: u32 = 1_052_672;

/// Magic of the superblock.
pub const SUPERBLOCK_MAGIC: [u8; 8] = *b"PLYSTORE";
/// Magic of the directory.
pub const DIRECTORY_MAGIC: [u8; 8] = *b"PLYSTDIR";
/// Magic of a layer's map.
pub const MAP_MAGIC: [u8; 8] = *b"PLYLRMAP";
/// Magic of the history.
pub const HISTORY_MAGIC: [u8; 8] = *b"PLYHISTO";
/// Magic of the audit.
pub const AUDIT_MAGIC: [u8; 8] = *b"PLYAUDIT";
/// Magic of the list of bad layer sets.
pub const BAD_SETS_MAGIC: [u8; 8] = *b"PLYBADLS";
/// Magic of the epoch floors.
pub const FLOORS_MAGIC: [u8; 8] = *b"PLYFLOOR";

byte_map! {
    /// One copy of the superblock.
    pub mod superblock = "superblock", 4096 {
        PREAMBLE: 0, 32;
        STORE_UUID: 32, 16;
        SEQUENCE: 48, 8;
        UNIT_COUNT: 56, 8;
        UNIT_SIZE: 64, 4;
        FLAGS: 68, 4;
        RESERVE_UNITS: 72, 8;
        NEXT_GENERATION: 80, 8;
        TIME_FLOOR: 88, 8;
        KEYRING_FLOOR: 96, 8;
        STATE_VERSION: 104, 4;
        PREFERRED: 108, 1;
        HASH_ALGORITHM: 109, 1;
        RESERVED: 110, 2;
        DIRECTORY_OFFSET: 112, 8;
        DIRECTORY_LEN: 120, 4;
        RESERVED2: 124, 4;
        DIRECTORY_HASH: 128, 32;
        SLOT_A: 160, 96;
        SLOT_B: 256, 96;
        RESERVED3: 352, 3712;
        CHECKSUM: 4064, 32;
    }
}

byte_map! {
    /// Header of the directory.
    pub mod directory = "directory", 64 {
        PREAMBLE: 0, 32;
        LAYER_COUNT: 32, 4;
        RECORD_COUNT: 36, 4;
        RESERVED: 40, 24;
    }
}

byte_map! {
    /// A layer in the directory.
    pub mod directory_layer = "directory_layer", 144 {
        LAYER_ID: 0, 32;
        INDEX_OFFSET: 32, 8;
        INDEX_LEN: 40, 4;
        STATE: 44, 1;
        RESERVED: 45, 3;
        MAP_OFFSET: 48, 8;
        MAP_LEN: 56, 4;
        RESERVED2: 60, 4;
        MAP_HASH: 64, 32;
        MANIFEST: 96, 32;
        ADDED_AT: 128, 8;
        RESERVED3: 136, 8;
    }
}

byte_map! {
    /// A record in the directory.
    pub mod directory_record = "directory_record", 96 {
        RECORD_TYPE: 0, 2;
        RESERVED: 2, 2;
        LENGTH: 4, 4;
        KEY: 8, 32;
        OFFSET: 40, 8;
        HASH: 48, 32;
        ADDED_AT: 80, 8;
        RESERVED2: 88, 8;
    }
}

byte_map! {
    /// Header of a layer's map.
    pub mod layer_map = "layer_map", 96 {
        PREAMBLE: 0, 32;
        LAYER_ID: 32, 32;
        CHUNK_COUNT: 64, 8;
        PRESENT: 72, 8;
        PAGE_COUNT: 80, 4;
        RESERVED: 84, 12;
    }
}

byte_map! {
    /// Where a chunk lies.
    pub mod place = "place", 16 {
        OFFSET: 0, 8;
        LENGTH: 8, 4;
        CODEC: 12, 1;
        FLAGS: 13, 1;
        SOURCE: 14, 2;
    }
}

byte_map! {
    /// Header of history, bad layer sets and floors.
    pub mod list = "list", 64 {
        PREAMBLE: 0, 32;
        COUNT: 32, 4;
        HEAP_LEN: 36, 4;
        RESERVED: 40, 24;
    }
}

byte_map! {
    /// An entry of the history.
    pub mod history_entry = "history_entry", 80 {
        NUMBER: 0, 8;
        FROM: 8, 8;
        AT: 16, 8;
        GENERATION_ID: 24, 32;
        ACTION: 56, 1;
        RESERVED: 57, 7;
        COMMAND: 64, 8;
        RESERVED2: 72, 8;
    }
}

byte_map! {
    /// An entry of the audit.
    pub mod audit_entry = "audit_entry", 64 {
        AT: 0, 8;
        GENERATION: 8, 8;
        CODE: 16, 1;
        RESERVED: 17, 7;
        COMMAND: 24, 8;
        SAID: 32, 8;
        RESERVED2: 40, 24;
    }
}

byte_map! {
    /// A bad layer set.
    pub mod bad_entry = "bad_entry", 64 {
        LAYER_SET: 0, 32;
        NUMBER: 32, 8;
        AT: 40, 8;
        REASON: 48, 1;
        RESERVED: 49, 15;
    }
}

byte_map! {
    /// The epoch floor of a layer name.
    pub mod floor_entry = "floor_entry", 72 {
        KIND: 0, 1;
        NAME_LEN: 1, 1;
        RESERVED: 2, 2;
        EPOCH: 4, 4;
        NAME: 8, 64;
    }
}

/// The layouts of this crate, for the check against docs/formats.md.
pub const LAYOUTS: &[&Layout] = &[
    &superblock::LAYOUT,
    &directory::LAYOUT,
    &directory_layer::LAYOUT,
    &directory_record::LAYOUT,
    &layer_map::LAYOUT,
    &place::LAYOUT,
    &list::LAYOUT,
    &history_entry::LAYOUT,
    &audit_entry::LAYOUT,
    &bad_entry::LAYOUT,
    &floor_entry::LAYOUT,
];
