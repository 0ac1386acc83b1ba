//! Booting: which slot, with any doubt taking the other one.
//!
//! The choice is [`plyos_slots::boot_choice`], the same as everybody's. Before a trial is mounted its try is counted, in a commit
//! of its own: whatever happens to the machine from then on, the try is spent. A trial whose try cannot be counted (a device that
//! cannot be written, `ro`) is not booted, or it could be tried for ever. A trial that does not mount because of what the store
//! holds ([`MountError::is_damage`]) becomes bad at once, for that is evidence; one that does not for another reason keeps its
//! other tries. A good slot that does not mount stays what it is: the reason is kept, and the other slot is taken.

use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use plyos_blockstore::{
    CommitPlan, Expect, MetadataArea, SlotsChange, StoreView, Transaction, commit, open_within,
};
use plyos_slots::{BadReason, BootChoice, Event, SlotName, SlotState, Slots, boot_choice};
use plyos_trust::pins::Pins;

use crate::mount::{Named, mount};
use crate::store::{Device, Store};
use crate::{Level, Means, MountError, Mounted, Options, System};

/// A slot that was passed over at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Which slot.
    pub slot: SlotName,
    /// Number of its generation; 0 when it names none.
    pub number: u64,
    /// Why.
    pub why: Why,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}, generation {}: {}", self.slot, self.number, self.why)
    }
}

/// Why a slot was passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its generation was not mounted.
    #[error("{0}")]
    Mount(#[from] MountError),
    /// It is on trial, and its try could not be counted.
    #[error("it is on trial, and the try could not be counted: {0}")]
    NotCounted(String),
    /// Its state says that it is not to be booted.
    #[error("it is {0}")]
    State(SlotState),
}

/// Why no generation was booted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoneGood {
    /// The device holds no store that can be read.
    #[error("cannot open the store: {0}")]
    Store(String),
    /// No slot holds a generation that can be mounted; why each was passed over.
    #[error("no slot holds a generation that can be booted{}", all(_0))]
    Slots(Vec<Passed>),
}

fn all(passed: &[Passed]) -> String {
    passed.iter().fold(String::new(), |text, passed| alloc::format!("{text}; {passed}"))
}

/// Boots from the store on `device`, at `at` (seconds since 1970-01-01 UTC, as good as it is known).
///
/// # Errors
/// [`NoneGood`], when no slot could be mounted.
pub fn boot<D: Device>(
    device: D,
    pins: Pins,
    means: Means,
    options: Options,
    at: u64,
) -> Result<System<D>, NoneGood> {
    let store = Arc::new(Store::new(device, means, options.limits));
    let view = open_within(&store.device, options.limits.directory)
        .map_err(|error| NoneGood::Store(error.to_string()))?;
    let mut boot = Boot { store, pins, options, at, view, passed: Vec::new() };
    let found = match boot.options.slot {
        Some(name) => boot.asked_for(name),
        None => boot.on_trial().or_else(|| boot.good()),
    };
    let Boot { store, pins, options, passed, view, .. } = boot;
    match found {
        Some((slot, mounted)) => {
            let number = mounted.number();
            store.log(Level::Info, format_args!("slot {slot}: generation {number} is mounted"));
            let slots = view.chosen.superblock.slots;
            Ok(System::new(store, pins, options, Booted { slot, slots, mounted, passed }))
        }
        None => Err(NoneGood::Slots(passed)),
    }
}

/// What a boot came to.
pub(crate) struct Booted<D> {
    /// The slot.
    pub slot: SlotName,
    /// Both slots after it.
    pub slots: Slots,
    /// Its generation.
    pub mounted: Mounted<D>,
    /// What was passed over.
    pub passed: Vec<Passed>,
}

struct Boot<D> {
    store: Arc<Store<D>>,
    pins: Pins,
    options: Options,
    at: u64,
    view: StoreView,
    passed: Vec<Passed>,
}

type Found<D> = Option<(SlotName, Mounted<D>)>;

impl<D: Device> Boot<D> {
    const fn slots(&self) -> &Slots {
        &self.view.chosen.superblock.slots
    }

    fn pass(&mut self, slot: SlotName, why: Why) {
        let passed = Passed { slot, number: self.slots().get(slot).number, why };
        self.store.log(Level::Warning, format_args!("passed over: {passed}"));
        self.passed.push(passed);
    }

    fn mount(&self, name: SlotName) -> Result<Mounted<D>, MountError> {
        let slot = self.slots().get(name);
        let named = Named { number: slot.number, id: slot.generation };
        mount(&self.store, &self.view.chosen, named, &self.pins, &self.options.machine)
    }

    /// Applies an event to the slots and commits them.
    fn change(&mut self, event: Event) -> Result<(), String> {
        if self.options.read_only {
            return Err(String::from("the store is not to be written to (ro)"));
        }
        let at = self.view.chosen.superblock.not_before(self.at);
        let slots = self.slots().apply(event, at).map_err(|refusal| refusal.to_string())?;
        match commit_slots(&self.store, &self.view, slots) {
            Ok(view) => {
                self.view = view;
                Ok(())
            }
            Err(reason) => {
                // A commit that failed may have happened all the same: what the device has now is what is told later.
                if let Ok(view) = open_within(&self.store.device, self.options.limits.directory) {
                    self.view = view;
                }
                Err(reason)
            }
        }
    }

    /// The slot that the command line asks for, whatever its state, with nothing counted.
    fn asked_for(&mut self, name: SlotName) -> Found<D> {
        let state = self.slots().get(name).state;
        if state == SlotState::Empty {
            self.pass(name, Why::State(state));
            return None;
        }
        self.mount(name).map_err(|error| self.pass(name, error.into())).ok().map(|mounted| (name, mounted))
    }

    /// The slot on trial, if there is one with tries left.
    fn on_trial(&mut self) -> Found<D> {
        let name = match boot_choice(self.slots()) {
            BootChoice::Trial(name) => name,
            BootChoice::TriesUsedUp(name) => {
                let number = self.slots().get(name).number;
                let line = format_args!(
                    "slot {name}: generation {number} has used up its tries, nothing is known of it"
                );
                self.store.log(Level::Warning, line);
                // Written or not: it has no try left, so it is not booted as a trial. As an unconfirmed one it is what is left when
                // nothing is good, also where that cannot be written.
                if let Err(reason) = self.change(Event::TriesUsedUp) {
                    if let Ok(slots) = self.slots().apply(Event::TriesUsedUp, self.at) {
                        self.view.chosen.superblock.slots = slots;
                    }
                    self.pass(name, Why::NotCounted(reason));
                }
                return None;
            }
            _ => return None,
        };
        if let Err(reason) = self.change(Event::BootPicked) {
            self.pass(name, Why::NotCounted(reason));
            return None;
        }
        let error = match self.mount(name) {
            Ok(mounted) => return Some((name, mounted)),
            Err(error) => error,
        };
        if error.is_damage()
            && let Err(reason) = self.change(Event::FailHealth(BadReason::Damaged))
        {
            let line =
                format_args!("slot {name}: that its generation is damaged could not be written: {reason}");
            self.store.log(Level::Warning, line);
        }
        self.pass(name, error.into());
        None
    }

    /// The good slots, the preferred one first; then an unconfirmed one rather than nothing.
    fn good(&mut self) -> Found<D> {
        let mut names: Vec<SlotName> = self.slots().preferred.into_iter().collect();
        for state in [SlotState::Good, SlotState::Unconfirmed] {
            let others = SlotName::BOTH.into_iter().filter(|name| self.slots().get(*name).state == state);
            names.extend(others.filter(|name| self.slots().preferred != Some(*name)));
        }
        for name in SlotName::BOTH {
            let state = self.slots().get(name).state;
            if let SlotState::Bad(_) | SlotState::Staged = state
                && !self.passed.iter().any(|passed| passed.slot == name)
            {
                self.pass(name, Why::State(state));
            }
        }
        for name in names {
            match self.mount(name) {
                Ok(mounted) => return Some((name, mounted)),
                Err(error) => self.pass(name, error.into()),
            }
        }
        None
    }
}

/// Commits new slots, made from those of `view`, in the reserve. Nobody else writes: user space has not begun.
fn commit_slots<D: Device>(store: &Store<D>, view: &StoreView, new: Slots) -> Result<StoreView, String> {
    let seen = view.chosen.superblock.slots;
    let transaction = Transaction { slots: Some(SlotsChange { seen, new }), ..Transaction::default() };
    let plan = CommitPlan {
        expect: Expect::Anything,
        area: MetadataArea::Reserve,
        content: &[],
        longest_directory: store.limits.directory,
    };
    commit(&store.device, &transaction, &plan).map_err(|error| error.to_string())
}
