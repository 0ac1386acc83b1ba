//! The running system: the generation that is shown, and who still holds another.
//!
//! A live switch is prepare, flip, show. Prepare mounts the next generation whole, with every check of a boot; then one commit makes the
//! same change to slots and history as `pkg rollback`; then the new one is shown. Nothing can fail after the commit, and whatever fails
//! before leaves everything as it is. Whoever holds the old generation goes on reading it.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use plyos_blockstore::{
    CommitError, CommitPlan, Expect, HistoryEntry, MetadataArea, RecordChange, RecordType, SlotsChange,
    StoreCopy, StoreView, Transaction, UsedMap, commit, open_within,
};
use plyos_slots::{SlotName, Slots};
use plyos_trust::pins::Pins;
use spin::Mutex;

use crate::boot::{Booted, Passed};
use crate::generations::{self, Switch};
use crate::mount::mount;
use crate::records::{self, RecordError};
use crate::store::{Device, Store};
use crate::{CacheStatistics, GenerationInfo, Level, Limits, ListError, MountError, Mounted, Options};

/// A history of more bytes gets the room that chunks take up in the cache; for a shorter one they stay, for the next generation has
/// most of them too.
const LONG_HISTORY: u64 = 128 << 10;

/// Why a switch did not happen. The generation that is shown is still the one that was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// The store is not to be written to.
    #[error("the store is not to be written to (ro), and a switch is a change of it")]
    ReadOnly,
    /// Another switch is going on.
    #[error("another switch is going on")]
    Busy,
    /// It is shown.
    #[error("generation {0} is shown already")]
    Shown(u64),
    /// It is on trial: who is well is found out by its health check.
    #[error("generation {0} is on trial; a switch goes to one that is good")]
    OnTrial(u64),
    /// Nothing knows it.
    #[error("generation {0} is not in the store's history")]
    NotFound(u64),
    /// It was only ever on trial.
    #[error("generation {0} was never found good")]
    NeverGood(u64),
    /// Its layers turned out bad.
    #[error("the layers of generation {0} turned out bad")]
    Bad(u64),
    /// The store.
    #[error("cannot open the store: {0}")]
    Store(String),
    /// A record that decides.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// It was not mounted.
    #[error("it cannot be mounted: {0}")]
    Mount(#[from] MountError),
    /// The slots do not allow it.
    #[error("{0}")]
    Slots(#[from] plyos_slots::Refusal),
    /// The commit.
    #[error("cannot write the switch: {0}")]
    Commit(String),
}

/// A running system.
pub struct System<D> {
    store: Arc<Store<D>>,
    pins: Pins,
    options: Options,
    booted: SlotName,
    passed: Vec<Passed>,
    shown: Mutex<Arc<Mounted<D>>>,
    /// As the store has them, or as the boot took them where it could not write. After it a switch alone changes them.
    slots: Mutex<Slots>,
    /// Every generation that may still be held.
    alive: Mutex<Vec<Weak<Mounted<D>>>>,
    holders: Arc<Mutex<Holders>>,
    /// Whether a switch is going on.
    switching: AtomicBool,
}

impl<D> fmt::Debug for System<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("booted", &self.booted).finish_non_exhaustive()
    }
}

/// Who holds which generation.
#[derive(Debug, Default)]
struct Holders {
    next: u64,
    held: BTreeMap<u64, Held>,
}

/// A lease on a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Number of the generation.
    pub number: u64,
    /// Who holds it.
    pub who: &'static str,
}

/// A generation that is held by somebody with a name; it is given back when this is dropped.
pub struct Lease<D> {
    mounted: Arc<Mounted<D>>,
    holders: Arc<Mutex<Holders>>,
    id: u64,
}

impl<D> Deref for Lease<D> {
    type Target = Mounted<D>;

    fn deref(&self) -> &Mounted<D> {
        &self.mounted
    }
}

impl<D> Drop for Lease<D> {
    fn drop(&mut self) {
        self.holders.lock().held.remove(&self.id);
    }
}

impl<D: Device> System<D> {
    pub(crate) fn new(store: Arc<Store<D>>, pins: Pins, options: Options, booted: Booted<D>) -> Self {
        let Booted { slot: booted, slots, mounted, passed } = booted;
        let mounted = Arc::new(mounted);
        Self {
            store,
            pins,
            options,
            booted,
            passed,
            alive: Mutex::new([Arc::downgrade(&mounted)].into()),
            shown: Mutex::new(mounted),
            slots: Mutex::new(slots),
            holders: Arc::default(),
            switching: AtomicBool::new(false),
        }
    }

    /// The generation that is shown. Hold it no longer than one answer takes; for longer there is [`System::hold`].
    pub fn shown(&self) -> Arc<Mounted<D>> {
        Arc::clone(&self.shown.lock())
    }

    /// The generation that is shown, held by `who` until the lease is dropped.
    pub fn hold(&self, who: &'static str) -> Lease<D> {
        let mounted = self.shown();
        let mut holders = self.holders.lock();
        let id = holders.next;
        holders.next += 1;
        holders.held.insert(id, Held { number: mounted.number(), who });
        drop(holders);
        Lease { mounted, holders: Arc::clone(&self.holders), id }
    }

    /// Who holds which generation.
    pub fn leases(&self) -> Vec<Held> {
        self.holders.lock().held.values().copied().collect()
    }

    /// Numbers of the generations that are mounted: the one that is shown, and those that somebody still holds.
    pub fn mounted(&self) -> Vec<u64> {
        let mut alive = self.alive.lock();
        alive.retain(|generation| generation.strong_count() > 0);
        alive.iter().filter_map(|generation| generation.upgrade().map(|found| found.number())).collect()
    }

    /// The slot that was booted.
    pub const fn booted(&self) -> SlotName {
        self.booted
    }

    /// What was passed over at boot, and why.
    pub fn passed(&self) -> &[Passed] {
        &self.passed
    }

    /// What the store is read from.
    pub fn device(&self) -> &D {
        &self.store.device
    }

    /// How the cache was used.
    pub fn cache(&self) -> CacheStatistics {
        self.store.cache.statistics()
    }

    /// Empties the cache, so that the next read is a cold one.
    pub fn clear_cache(&self) {
        self.store.cache.clear();
    }

    /// How often damage was met since the start.
    pub fn damage(&self) -> u64 {
        self.store.damage.lock().total()
    }

    /// Both slots, without a look at the device: they are asked for with every status page.
    pub fn slots(&self) -> Slots {
        *self.slots.lock()
    }

    /// Every generation of the store, by number.
    ///
    /// # Errors
    /// When the store or its history cannot be read.
    pub fn generations(&self) -> Result<Vec<GenerationInfo>, ListError> {
        let view = self.view().map_err(ListError::Store)?;
        generations::list(&self.store.device, &view.chosen, self.options.limits)
    }

    fn view(&self) -> Result<StoreView, String> {
        open_within(&self.store.device, self.options.limits.directory).map_err(|error| error.to_string())
    }

    /// Switches to a former good generation, at `at` (seconds since 1970-01-01 UTC, as good as it is known; 0 when it is not).
    ///
    /// # Errors
    /// A [`SwitchError`]; what is shown has then not changed.
    pub fn switch(&self, number: u64, at: u64) -> Result<Arc<Mounted<D>>, SwitchError> {
        if self.options.read_only {
            return Err(SwitchError::ReadOnly);
        }
        if self.switching.swap(true, Ordering::Acquire) {
            return Err(SwitchError::Busy);
        }
        let switched = self.switch_alone(number, at);
        self.switching.store(false, Ordering::Release);
        match &switched {
            Ok(_) => self.store.log(Level::Info, format_args!("switched to generation {number}")),
            Err(error) => {
                self.store.log(Level::Warning, format_args!("no switch to generation {number}: {error}"))
            }
        }
        switched
    }

    fn switch_alone(&self, number: u64, at: u64) -> Result<Arc<Mounted<D>>, SwitchError> {
        // 1. Prepare: everything that can go wrong with the generation goes wrong here.
        let view = self.view().map_err(SwitchError::Store)?;
        let history = view.chosen.directory.records.get(&(RecordType::History, RecordType::ONLY));
        if history.is_some_and(|entry| entry.extent.len > LONG_HISTORY) {
            self.store.cache.forget_chunks();
        }
        // One that is shown and would not be booted next is where a boot fell back to: a switch makes it the next one.
        let slots = &view.chosen.superblock.slots;
        let next = slots.trial().map(|name| slots.get(name)).or_else(|| slots.active());
        if next.is_some_and(|next| next.number == number) && self.shown().number() == number {
            return Err(SwitchError::Shown(number));
        }
        let plan = generations::plan(&self.store.device, &view.chosen, number, self.options.limits.lists)?;
        let next = mount(&self.store, &view.chosen, plan.to, &self.pins, &self.options.machine)?;
        // 2. Flip.
        let slots = match self.write(&view, &plan, at) {
            Ok(slots) => slots,
            Err(error) => {
                // A flip that failed may have happened all the same.
                if let Ok(view) = self.view() {
                    *self.slots.lock() = view.chosen.superblock.slots;
                }
                return Err(error);
            }
        };
        // 3. Show.
        *self.slots.lock() = slots;
        let next = Arc::new(next);
        let mut alive = self.alive.lock();
        alive.retain(|generation| generation.strong_count() > 0);
        alive.push(Arc::downgrade(&next));
        drop(alive);
        let before = core::mem::replace(&mut *self.shown.lock(), Arc::clone(&next));
        // Here, with no lock held, the old one goes if nobody else holds it.
        drop(before);
        Ok(next)
    }

    /// Commits the change of slots and history, if there is one; gives the slots as they are then.
    fn write(&self, view: &StoreView, plan: &Switch, at: u64) -> Result<Slots, SwitchError> {
        let copy = &view.chosen;
        let seen = copy.superblock.slots;
        let Some((event, action)) = plan.change else { return Ok(seen) };
        let at = copy.superblock.not_before(at);
        let new = seen.apply(event, at)?;
        let Limits { lists, directory: longest_directory, .. } = self.options.limits;
        let mut history = records::history(&self.store.device, &copy.directory, lists)?;
        history.push(HistoryEntry {
            number: plan.to.number,
            from: plan.from,
            at,
            generation: plan.to.id,
            action,
            command: alloc::format!("switch {} (console)", plan.to.number),
        });
        let key = (RecordType::History, RecordType::ONLY);
        let before = copy.directory.records.get(&key).map(|entry| entry.hash);
        let change = RecordChange { seen: before, bytes: Some(history.emit()), at };
        let transaction = Transaction {
            slots: Some(SlotsChange { seen, new }),
            records: BTreeMap::from([(key, change)]),
            ..Transaction::default()
        };
        let expect = Expect::Active(seen.active().map(|slot| slot.generation));
        let device = &self.store.device;
        let plan = CommitPlan { expect, area: MetadataArea::Reserve, content: &[], longest_directory };
        let committed = match commit(device, &transaction, &plan) {
            // A long history does not fit into the reserve of a small store, of which three copies need room. No user space runs
            // that could be appending, so the rest of the store is free to use, too, once it is known what is.
            Err(CommitError::Full { needed, free }) => match self.content(view) {
                Some(content) => {
                    let area = MetadataArea::GeneralThenReserve;
                    commit(device, &transaction, &CommitPlan { area, content: &[&content], ..plan })
                }
                None => Err(CommitError::Full { needed, free }),
            },
            committed => committed,
        };
        committed.map(|_| new).map_err(|error| SwitchError::Commit(error.to_string()))
    }

    /// Everything that indexes and chunks take up; `None` when that cannot be known here: a map that is damaged, or all of them
    /// longer than what this machine reads.
    fn content(&self, view: &StoreView) -> Option<UsedMap> {
        let longest = self.options.limits.directory;
        let fit = |copy: &StoreCopy| {
            let lengths = copy.directory.layers.values().map(|layer| layer.map.len);
            lengths.fold(0, u64::saturating_add) <= longest
        };
        let (used, damaged) =
            view.copies().all(fit).then(|| UsedMap::content(&self.store.device, view).ok())??;
        damaged.is_empty().then_some(used)
    }
}
