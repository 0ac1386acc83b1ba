//! The store of a target: everything on one block device or file, changed by one atomic flip.
//!
//! This crate holds the formats of the store and what decides over its bytes; it does no I/O but through
//! [`BlockDevice`], so that `pkg`, the boot loader and our kernel run the same code. Layer indexes and generations are
//! opaque here: an index is bytes that hash to a layer's identity, a generation a record under its identity.
//!
//! | module | idea |
//! | --- | --- |
//! | [`BlockDevice`] | what a store lies on |
//! | [`layout`] | the byte maps, limits and fixed places |
//! | [`Superblock`], [`Directory`], [`LayerMap`], [`Place`] | what is stored, parsed and emitted |
//! | [`History`], [`Audit`], [`BadSets`], [`Floors`] | the records that the store's own life writes |
//! | [`open`], [`open_within`], [`StoreView`] | which of the two superblock copies counts |
//! | [`UsedMap`], [`FreeSpace`] | allocation, derived from what both copies reach and never stored |
//! | [`Holders`] | which layers hold which units together: what is shared, what would become free |
//! | [`Transaction`], [`commit`] | append, flush, flip, flush |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod audit;
mod bad_sets;
mod commit;
mod device;
mod directory;
mod extent;
mod floors;
mod format;
mod free_space;
mod history;
mod holders;
mod layer_map;
pub mod layout;
mod list;
mod place;
mod read;
mod record_type;
mod superblock;
mod transaction;
mod used;
mod view;

pub use audit::{Audit, AuditEntry};
pub use bad_sets::{BadEntry, BadSets};
pub use commit::{CommitError, CommitPlan, Expect, MetadataArea, commit};
pub use device::BlockDevice;
pub use directory::{Directory, DirectoryError, LayerEntry, LayerState, RecordEntry};
pub use extent::Extent;
pub use floors::{FloorEntry, Floors};
pub use format::{FormatOptions, format, usual_reserve};
pub use free_space::{FreeSpace, general_area, reserve_area};
pub use history::{Action, History, HistoryEntry};
pub use holders::{Holders, Share};
pub use layer_map::{LayerMap, MapError};
pub use layout::LAYOUTS;
pub use list::ListError;
pub use place::{Place, PlaceError};
pub use read::{ReadError, places_of, read_extent, read_map, read_page_hashes, read_record};
pub use record_type::RecordType;
pub use superblock::{Superblock, SuperblockError};
pub use transaction::{LayerChange, RecordChange, SlotsChange, Transaction};
pub use used::UsedMap;
pub use view::{CopyDefect, OpenError, StoreCopy, StoreView, open, open_within};
