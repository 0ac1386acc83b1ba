//! Writing a store: append under the writer lock, then commit.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plyos_blockstore::layout::{MAX_CHUNK_LEN, MAX_DIRECTORY_LEN, MAX_INDEX_LEN, MAX_STORED_LEN, UNIT};
use plyos_blockstore::{
    CommitError, CommitPlan, Expect, Extent, FreeSpace, LayerChange, LayerMap, MetadataArea, Place,
    RecordType, SlotsChange, StoreView, Transaction, UsedMap, commit, general_area, read_extent,
    reserve_area,
};
use plyos_ids::{Codec, GenerationId, LayerId, ManifestDigest};
use plyos_slots::Slots;

use crate::append::{AppendError, Appender};
use crate::lease::{end_retirement, try_retire};
use crate::locks::{CommitLock, WRITER_BYTE, lock};
use crate::record::{now, record_change, record_removal};
use crate::store::look;
use crate::{Access, FileDevice, LockMode, Result, Store, StoreDevice, StoreError};

/// A layer to be added or replaced.
#[derive(Debug, Clone, Copy)]
pub struct LayerUpdate<'a> {
    /// Which layer: the BLAKE3 of `index`.
    pub id: LayerId,
    /// Its whole index.
    pub index: &'a [u8],
    /// Chaining values of the index's pages; none for an index of one page.
    pub page_hashes: &'a [[u8; 32]],
    /// Where each chunk lies, in the order of the index; with an absent one the layer is partial.
    pub places: &'a [Option<Place>],
    /// The OCI manifest by which it comes; `None` for a local layer.
    pub manifest: Option<ManifestDigest>,
}

/// Holds the long writer lock of a store. As a [`Store`] it shows what was committed last; what is put or set here is
/// seen after [`Writer::commit`].
pub struct Writer<D = FileDevice> {
    store: Store<D>,
    /// Indexes and chunks that both copies reach.
    content: UsedMap,
    appender: Appender,
    transaction: Transaction,
    /// Generations that nobody can lease until the next commit.
    retired: Vec<u64>,
    /// A flush or flip failed.
    failed: bool,
    maps: UnreadableMaps,
}

/// What a writer does about a map that the device cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnreadableMaps {
    /// Writes nothing: what the map reaches is not known, and the device may read it the next time.
    Refuse,
    /// Takes the map for damaged: it reaches nothing.
    ReachNothing,
}

impl<D> Deref for Writer<D> {
    type Target = Store<D>;

    fn deref(&self) -> &Store<D> {
        &self.store
    }
}

impl Store {
    /// Opens a store for writing, waiting up to `wait` for another writer; then [`StoreError::Busy`].
    pub fn writer(path: impl AsRef<Path>, wait: Duration) -> Result<Writer> {
        let path = path.as_ref();
        Writer::on_device(FileDevice::open(path, Access::Write)?, path, wait)
    }

    /// Opens a store for repairing it: a map that the device cannot read is taken for damaged, where
    /// [`Store::writer`] would write nothing.
    pub fn repairer(path: impl AsRef<Path>, wait: Duration) -> Result<Writer> {
        let path = path.as_ref();
        Writer::repairer_on_device(FileDevice::open(path, Access::Write)?, path, wait)
    }
}

impl<D: StoreDevice> Writer<D> {
    /// Opens the store on a device for writing; `name` stands for it in messages.
    pub fn on_device(device: D, name: impl Into<PathBuf>, wait: Duration) -> Result<Self> {
        Self::with_maps(device, name.into(), wait, UnreadableMaps::Refuse)
    }

    /// [`Store::repairer`] for the store on a device.
    pub fn repairer_on_device(device: D, name: impl Into<PathBuf>, wait: Duration) -> Result<Self> {
        Self::with_maps(device, name.into(), wait, UnreadableMaps::ReachNothing)
    }

    fn with_maps(device: D, path: PathBuf, wait: Duration, maps: UnreadableMaps) -> Result<Self> {
        lock(&device, &path, (WRITER_BYTE, "the writer lock"), LockMode::Exclusive, wait)?;
        let store = Store::on_device(device, path)?;
        let mut writer = Self {
            store,
            content: UsedMap::default(),
            appender: Appender::default(),
            transaction: Transaction::default(),
            retired: Vec::new(),
            failed: false,
            maps,
        };
        writer.reclaim()?;
        Ok(writer)
    }

    /// Appends the stored bytes of a chunk. The place is final; it can be read after the next commit.
    pub fn append_chunk(&mut self, codec: Codec, stored: &[u8]) -> Result<Place> {
        let limit = match codec {
            Codec::Raw => MAX_CHUNK_LEN,
            Codec::Zstd => MAX_STORED_LEN,
            Codec::Gzip => 0,
        };
        let length = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        if !(1..=limit).contains(&length) {
            return Err(self.invalid(format!("a stored chunk of {} bytes as {codec:?}", stored.len())));
        }
        let offset = self.with_room(|appender, device| appender.chunk(device, stored))?;
        Ok(Place { offset, length, codec, source: 0 })
    }

    /// Puts a layer. Its index is written at once, unless the store holds it already.
    pub fn put_layer(&mut self, update: LayerUpdate<'_>) -> Result<()> {
        let LayerUpdate { id, index, page_hashes, places, manifest } = update;
        if index.is_empty() || index.len() as u64 > MAX_INDEX_LEN {
            return Err(self.invalid(format!("an index of {} bytes", index.len())));
        }
        if blake3::hash(index).as_bytes() != id.as_bytes() {
            return Err(self.invalid(format!("an index that does not hash to layer {id}")));
        }
        if page_hashes.len() == 1 {
            return Err(self.invalid(format!("one page hash for layer {id}: an index of one page has none")));
        }
        let here = |extent: Extent| self.content.covers(extent) || self.appender.appended.covers(extent);
        let store_len = self.superblock().store_len();
        let stray = places.iter().flatten().find(|place| {
            !place.fits(store_len) || place.codec == Codec::Gzip || !place.extent().is_none_or(here)
        });
        if let Some(place) = stray {
            return Err(self.invalid(format!(
                "layer {id} with a chunk at byte {}, where nothing was appended or kept",
                place.offset
            )));
        }
        let index = match self.same_index(id, index)? {
            Some(extent) => extent,
            None => self.with_room(|appender, device| appender.whole(device, index))?,
        };
        let map = LayerMap::new(id, page_hashes.to_vec(), places.to_vec());
        self.transaction.layers.insert(id, Some(LayerChange { index, map, manifest, at: now() }));
        Ok(())
    }

    /// Removes a layer. Its room is used again after two commits; the caller sees to it that no generation that is
    /// kept or leased names it ([`Writer::retire`]).
    pub fn remove_layer(&mut self, id: &LayerId) {
        self.transaction.layers.insert(*id, None);
    }

    /// Puts a record of 1 byte to 64 MiB.
    pub fn put_record(&mut self, record_type: RecordType, key: &[u8; 32], bytes: &[u8]) -> Result<()> {
        let change = record_change(&self.store, record_type, key, bytes)?;
        self.transaction.records.insert((record_type, *key), change);
        Ok(())
    }

    /// Removes a record.
    pub fn remove_record(&mut self, record_type: RecordType, key: &[u8; 32]) {
        let change = record_removal(&self.store, record_type, key);
        self.transaction.records.insert((record_type, *key), change);
    }

    /// Sets the slots, made from those that this writer shows. The commit is refused when others were written
    /// meanwhile, and when a staged, trial or good slot names a generation without a record.
    pub fn set_slots(&mut self, new: Slots) {
        self.transaction.slots = Some(SlotsChange { seen: *self.store.slots(), new });
    }

    /// Raises the time floor (newest signed time seen, seconds since 1970-01-01 UTC); it never falls.
    pub fn set_time_floor(&mut self, seconds: u64) {
        self.transaction.time_floor = self.transaction.time_floor.max(seconds);
    }

    /// Raises the keyring floor (version of the newest keyring seen); it never falls.
    pub fn set_keyring_floor(&mut self, version: u64) {
        self.transaction.keyring_floor = self.transaction.keyring_floor.max(version);
    }

    /// Sets the version of the machine's state.
    pub fn set_state_version(&mut self, version: u32) {
        self.transaction.state_version = Some(version);
    }

    /// The number of a new generation; no other will get it once this writer has committed.
    pub fn take_generation_number(&mut self) -> u64 {
        let number = self.superblock().next_generation.max(self.transaction.next_generation);
        self.transaction.next_generation = number.saturating_add(1);
        number
    }

    /// Tries to keep everybody from leasing a generation until the next commit, so that what only it needs can be
    /// removed. `false`: it is leased, leave it.
    pub fn retire(&mut self, number: u64) -> Result<bool> {
        let free = try_retire(&self.store, number)?;
        if free {
            self.retired.push(number);
        }
        Ok(free)
    }

    /// Commits everything put and set since the last commit, in one atomic flip.
    ///
    /// With new slots, or when a generation is named, the active generation must be `expect_active` (`None` with new
    /// slots: none is active); otherwise [`StoreError::Changed`]. Without new slots `None` means that it does not matter.
    /// After such a refusal, or [`StoreError::Full`], all is still pending, for another try or [`Writer::discard`]. After
    /// [`StoreError::Io`] the writer is of no more use: open the store again.
    pub fn commit(&mut self, expect_active: Option<GenerationId>) -> Result<()> {
        if self.failed {
            let why = String::from(
                "an earlier write failed, so it is not certain what of it was kept; open it again",
            );
            return Err(StoreError::ReadOnly { path: self.store.path.clone(), why });
        }
        self.appender
            .write_out(&*self.store.device)
            .map_err(StoreError::io("writing to", &self.store.path))?;
        let expect = match expect_active {
            None if self.transaction.slots.is_none() => Expect::Anything,
            active => Expect::Active(active),
        };
        let committed = match self.try_commit(expect)? {
            Err(CommitError::Full { .. }) => {
                self.reclaim()?;
                self.try_commit(expect)?
            }
            done => done,
        };
        // A kernel may drop what it could not flush and then say that all is well. So chunks that were appended before
        // a failed flush must not be named later.
        self.failed = matches!(committed, Err(CommitError::Append(_) | CommitError::Flip(_)));
        self.store.view = committed.map_err(|error| StoreError::committing(&self.store.path, error))?;
        self.transaction = Transaction::default();
        self.end_retirements();
        self.find_free(&[UsedMap::metadata(&self.store.view)]);
        Ok(())
    }

    fn try_commit(
        &self,
        expect: Expect,
    ) -> Result<std::result::Result<StoreView, CommitError<std::io::Error>>> {
        let plan = CommitPlan {
            expect,
            area: MetadataArea::GeneralThenReserve,
            content: &[&self.content, &self.appender.appended],
            longest_directory: MAX_DIRECTORY_LEN,
        };
        let device = &*self.store.device;
        let _lock = CommitLock::take(device, &self.store.path, LockMode::Exclusive)?;
        Ok(commit(device, &self.transaction, &plan))
    }

    fn end_retirements(&mut self) {
        for number in self.retired.drain(..) {
            end_retirement(&self.store, number);
        }
    }

    /// Commits the same state once more, so that the older copy lets go of what the commit before removed, and looks
    /// what is free. After this the room is there to be used. Nothing may be pending.
    pub fn settle(&mut self) -> Result<()> {
        if !self.transaction.is_empty() {
            return Err(self.invalid(String::from("settling with changes that are not committed")));
        }
        self.transaction.renew = true;
        let done = self.commit(None);
        self.transaction.renew = false;
        done?;
        self.reclaim()
    }

    /// Makes the store at least `len` bytes long, rounded down to whole units, and its file with it; a block device must
    /// be that long already. Both superblock copies say so when this returns; a cut leaves the old size or the new one.
    /// Nothing may be pending.
    pub fn grow(&mut self, len: u64) -> Result<()> {
        if !self.transaction.is_empty() {
            return Err(self.invalid(String::from("growing with changes that are not committed")));
        }
        let unit_count = len / UNIT;
        if unit_count < self.superblock().unit_count {
            let what =
                format!("{len} bytes where it has {}: a store never shrinks", self.superblock().store_len());
            return Err(self.invalid(what));
        }
        // The file first: a superblock must not speak of bytes that are not there.
        self.store.device.reach(unit_count * UNIT).map_err(StoreError::io("enlarging", &self.store.path))?;
        self.transaction.unit_count = unit_count;
        let done = self.commit(None);
        self.transaction.unit_count = 0;
        done?;
        self.settle()
    }

    /// Forgets everything put and set since the last commit. Chunks that were appended stay where they are until the
    /// writer ends.
    pub fn discard(&mut self) {
        self.transaction = Transaction::default();
        self.end_retirements();
    }

    /// Free bytes for chunks and indexes, the reserve not counted.
    pub fn free_bytes(&self) -> u64 {
        self.appender.free.free_bytes()
    }

    /// How many of these bytes would find no room: chunks packed in batches as [`Writer::append_chunk`] does it, then
    /// what lies in one piece on units of its own (indexes, maps). 0: all of it fits.
    pub fn missing_room(
        &self,
        chunks: impl IntoIterator<Item = u64>,
        whole: impl IntoIterator<Item = u64>,
    ) -> u64 {
        let mut trial = self.appender.trial();
        chunks.into_iter().for_each(|len| trial.chunk(len));
        whole.into_iter().for_each(|len| trial.whole(len));
        trial.missing()
    }

    /// Looks again what is in use, so that what two commits ago was removed can be used now. Reads every map. What this
    /// writer shows stays the same: slots are compared with those that it showed.
    pub fn reclaim(&mut self) -> Result<()> {
        let Store { device, path, view } = &self.store;
        self.appender.write_out(&**device).map_err(StoreError::io("writing to", path))?;
        let newest = look(&**device, path)?;
        (self.content, _) = match self.maps {
            UnreadableMaps::Refuse => UsedMap::content(&**device, &newest)
                .map_err(StoreError::io("reading the maps (run `pkg repair`) of", path))?,
            UnreadableMaps::ReachNothing => UsedMap::readable_content(&**device, &newest),
        };
        let metadata = [UsedMap::metadata(&newest), UsedMap::metadata(view)];
        self.find_free(&metadata);
        Ok(())
    }

    fn find_free(&mut self, metadata: &[UsedMap]) {
        // A store that has just grown: as long as the older copy says where its shorter reserve is, no chunk goes there.
        let mut reserves = UsedMap::default();
        for copy in self.store.view.copies() {
            let area = reserve_area(&copy.superblock);
            reserves.insert(Extent { offset: area.start * UNIT, len: (area.end - area.start) * UNIT });
        }
        let mut used = vec![&self.content, &self.appender.appended, &reserves];
        used.extend(metadata);
        self.appender.free = FreeSpace::new(general_area(self.superblock()), &used);
    }

    /// Appends; when there is no room, looks once whether something was freed in this session.
    fn with_room<T>(
        &mut self,
        mut append: impl FnMut(&mut Appender, &D) -> std::result::Result<T, AppendError>,
    ) -> Result<T> {
        let mut first = true;
        loop {
            match append(&mut self.appender, &*self.store.device) {
                Ok(done) => return Ok(done),
                Err(AppendError::Io(error)) => {
                    return Err(StoreError::io("writing to", &self.store.path)(error));
                }
                Err(AppendError::Full { .. }) if first => {
                    first = false;
                    self.reclaim()?;
                }
                Err(AppendError::Full { needed, free }) => {
                    return Err(StoreError::Full { path: self.store.path.clone(), needed, free });
                }
            }
        }
    }

    /// Where the store holds this index already, undamaged.
    fn same_index(&self, id: LayerId, index: &[u8]) -> Result<Option<Extent>> {
        if let Some(Some(change)) = self.transaction.layers.get(&id) {
            return Ok(Some(change.index));
        }
        let entry = self.store.view.chosen.directory.layers.get(&id);
        let Some(extent) = entry.map(|entry| entry.index).filter(|extent| extent.len == index.len() as u64)
        else {
            return Ok(None);
        };
        // One that cannot be read is damaged like one that differs: it is written again elsewhere.
        let held = read_extent(&*self.store.device, extent);
        Ok(held.is_ok_and(|held| held == index).then_some(extent))
    }

    fn invalid(&self, what: String) -> StoreError {
        StoreError::Invalid { path: self.store.path.clone(), what }
    }
}
