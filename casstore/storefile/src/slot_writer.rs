//! Changing slots and small records while somebody else may be appending: what init does at a promotion.

use std::path::{Path, PathBuf};

use plyos_blockstore::layout::MAX_DIRECTORY_LEN;
use plyos_blockstore::{CommitPlan, Expect, MetadataArea, RecordType, SlotsChange, Transaction, commit};
use plyos_ids::GenerationId;
use plyos_slots::Slots;

use crate::locks::CommitLock;
use crate::record::record_change;
use crate::{Access, FileDevice, LockMode, Result, Store, StoreDevice, StoreError};

/// Changes slots and small records under the commit lock alone, so that it never waits for a download. What it writes
/// goes into the reserve, where no writer appends.
pub struct SlotWriter<D = FileDevice> {
    store: Store<D>,
    transaction: Transaction,
}

impl<D> std::ops::Deref for SlotWriter<D> {
    type Target = Store<D>;

    fn deref(&self) -> &Store<D> {
        &self.store
    }
}

impl Store {
    /// Opens a store to change slots and small records.
    pub fn slot_writer(path: impl AsRef<Path>) -> Result<SlotWriter> {
        let path = path.as_ref();
        SlotWriter::on_device(FileDevice::open(path, Access::Write)?, path)
    }
}

impl<D: StoreDevice> SlotWriter<D> {
    /// Opens the store on a device; `name` stands for it in messages.
    pub fn on_device(device: D, name: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self { store: Store::on_device(device, name)?, transaction: Transaction::default() })
    }

    /// Sets the slots, made from those that this one shows.
    pub fn set_slots(&mut self, new: Slots) {
        self.transaction.slots = Some(SlotsChange { seen: *self.store.slots(), new });
    }

    /// Puts a small record, such as floors, history or bad layer sets.
    pub fn put_record(&mut self, record_type: RecordType, key: &[u8; 32], bytes: &[u8]) -> Result<()> {
        let change = record_change(&self.store, record_type, key, bytes)?;
        self.transaction.records.insert((record_type, *key), change);
        Ok(())
    }

    /// Commits in one atomic flip, when the active generation is `expect_active`; otherwise [`StoreError::Changed`].
    pub fn commit(&mut self, expect_active: Option<GenerationId>) -> Result<()> {
        let plan = CommitPlan {
            expect: Expect::Active(expect_active),
            area: MetadataArea::Reserve,
            content: &[],
            longest_directory: MAX_DIRECTORY_LEN,
        };
        let device = &*self.store.device;
        let lock = CommitLock::take(device, &self.store.path, LockMode::Exclusive)?;
        let committed = commit(device, &self.transaction, &plan);
        drop(lock);
        self.store.view = committed.map_err(|error| StoreError::committing(&self.store.path, error))?;
        self.transaction = Transaction::default();
        Ok(())
    }
}
