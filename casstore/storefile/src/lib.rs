//! A target's store in a file or on a block device.
//!
//! The shell around `plyos-blockstore`: files and devices, locks and leases, reading chunks, and writing. [`Store`] reads,
//! [`Writer`] holds the long writer lock and appends, [`SlotWriter`] changes slots and small records while somebody else
//! may be appending. Everything read is verified against its identity before it is handed out, but for single index
//! pages, which the caller checks with the page hashes.
//!
//! | module | idea |
//! | --- | --- |
//! | [`Store`], [`StoredLayer`] | what is in a store, read and verified |
//! | [`MountedLayer`] | a layer whose places are read when the first is asked for |
//! | [`CreateOptions`] | making a store |
//! | [`Writer`], [`LayerUpdate`] | append, then commit |
//! | [`SlotWriter`] | promotions and their records, beside a download |
//! | [`Lease`] | a mount keeps its generation from clean-up as long as it lives |
//! | [`TrialLock`] | one process at a time finds out about a trial |
//! | [`StoreDevice`], [`FileDevice`] | what a store lies on, with its locks |
//! | [`Defect`], [`ChunkCheck`] | whether everything is still what it was |
//! | [`RecordingDevice`] | a device in memory that remembers writes and flushes, for crash tests |
#![forbid(unsafe_code)]

mod append;
mod create;
mod decode;
mod device;
mod error;
mod layer;
mod lease;
mod locks;
mod record;
mod recording;
mod slot_writer;
mod store;
mod trial_lock;
mod verify;
mod writer;

pub use create::CreateOptions;
pub use device::{Access, FileDevice};
pub use error::{Result, StoreError};
pub use layer::{INDEX_PAGE, MountedLayer, StoredLayer};
pub use lease::Lease;
pub use locks::{LockMode, StoreDevice};
pub use plyos_blockstore::{
    Action, Audit, AuditEntry, BadEntry, BadSets, Extent, FloorEntry, Floors, History, HistoryEntry,
    LayerEntry, Place, RecordEntry, RecordType, Superblock,
};
pub use recording::{Operation, RecordingDevice};
pub use slot_writer::SlotWriter;
pub use store::Store;
pub use trial_lock::TrialLock;
pub use verify::{ChunkCheck, Defect};
pub use writer::{LayerUpdate, Writer};
