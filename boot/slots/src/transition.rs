//! The transition table.
//!
//! "Spare" is the slot that [`Slots::spare`] gives: never the preferred one. Whatever is not in the table is refused and
//! changes nothing.
//!
//! | event | needs | becomes |
//! | --- | --- | --- |
//! | `Stage` | another generation than the active one | spare: staged |
//! | `Activate` (live) | another generation than the active one | spare: good and preferred |
//! | `ActivateTrial` | the same, at least 1 try | spare: trial with all tries |
//! | `BootPicked` | a trial with tries left | the trial has one try less |
//! | `BootPicked` | no trial, something to boot | nothing changes: a good slot never loses a try |
//! | `Promote` | a trial | it is good and preferred |
//! | `Promote` | no trial, nothing good, an unconfirmed slot | that one is good and preferred (it was the last resort and is healthy) |
//! | `FailHealth` | a trial | it is bad with the reason; the preferred slot stays |
//! | `TriesUsedUp` | a trial with no try left | it is unconfirmed |
//! | `Rollback` | the other slot is good with this generation | that one is preferred |
//! | `Rollback` | another generation than the active one, not a bad one | spare: good and preferred |

use plyos_ids::{GenerationId, LayerSetId};

use crate::{BadReason, BootChoice, Slot, SlotName, SlotState, Slots, boot_choice};

/// A generation that an event puts into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number, at least 1.
    pub number: u64,
    /// Its identity.
    pub generation: GenerationId,
    /// The digest of its set of layers.
    pub layer_set: LayerSetId,
}

/// What happens to the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Keep a complete generation for later.
    Stage(Candidate),
    /// Live activation: good at once and preferred. For generations without a health policy only.
    Activate(Candidate),
    /// Activation on trial, with that many tries.
    ActivateTrial(Candidate, u8),
    /// The loader is about to start what [`boot_choice`] says.
    BootPicked,
    /// The generation on trial is healthy.
    Promote,
    /// There is evidence against the generation on trial.
    FailHealth(BadReason),
    /// The generation on trial has no try left and no evidence for or against it.
    TriesUsedUp,
    /// Back to a former good generation, without trial.
    Rollback(Candidate),
}

/// Why an event does not apply. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The candidate is the active generation.
    #[error("generation {0} is active already")]
    AlreadyActive(u64),
    /// Generation number 0.
    #[error("a generation's number starts at 1")]
    NoNumber,
    /// A trial with no tries.
    #[error("a trial needs at least one try")]
    NoTries,
    /// The event is about a trial, and there is none.
    #[error("no generation is on trial")]
    NoTrial,
    /// Tries are left, so they are not used up.
    #[error("generation {number} on trial has {left} tries left")]
    TriesLeft {
        /// Generation on trial.
        number: u64,
        /// Its tries.
        left: u8,
    },
    /// The trial must first be closed with `TriesUsedUp`.
    #[error("generation {0} on trial has no try left")]
    NoTryLeft(u64),
    /// No slot can be booted.
    #[error("no slot holds a generation that can be booted")]
    NothingToBoot,
    /// A rollback goes to a former good generation only.
    #[error("generation {0} is bad; a rollback goes to a former good generation")]
    IsBad(u64),
}

impl Slots {
    /// The slots after `event` at time `at` (seconds since 1970-01-01 UTC), by the table of this module.
    pub fn apply(&self, event: Event, at: u64) -> Result<Self, Refusal> {
        match event {
            Event::Stage(new) => self.put(new, SlotState::Staged, at),
            Event::Activate(new) => self.put_preferred(new, at),
            Event::ActivateTrial(_, 0) => Err(Refusal::NoTries),
            Event::ActivateTrial(new, tries) => {
                self.put(new, SlotState::Trial { left: tries, granted: tries }, at)
            }
            Event::BootPicked => self.boot_picked(at),
            Event::Promote => self.promote(at),
            Event::FailHealth(reason) => {
                let name = self.trial().ok_or(Refusal::NoTrial)?;
                Ok(self.set_state(name, SlotState::Bad(reason), at))
            }
            Event::TriesUsedUp => self.tries_used_up(at),
            Event::Rollback(former) => self.roll_back(former, at),
        }
    }

    fn put(&self, new: Candidate, state: SlotState, at: u64) -> Result<Self, Refusal> {
        let Candidate { number, generation, layer_set } = new;
        if number == 0 {
            return Err(Refusal::NoNumber);
        }
        if self.active().is_some_and(|slot| slot.generation == generation) {
            return Err(Refusal::AlreadyActive(number));
        }
        Ok(self.with(self.spare(), Slot { state, number, generation, layer_set, changed_at: at }))
    }

    /// Good at once and preferred.
    fn put_preferred(&self, new: Candidate, at: u64) -> Result<Self, Refusal> {
        let preferred = Some(self.spare());
        self.put(new, SlotState::Good, at).map(|slots| Self { preferred, ..slots })
    }

    fn boot_picked(&self, at: u64) -> Result<Self, Refusal> {
        match boot_choice(self) {
            BootChoice::Trial(name) => match self.get(name).state {
                SlotState::Trial { left, granted } => {
                    Ok(self.set_state(name, SlotState::Trial { left: left.saturating_sub(1), granted }, at))
                }
                _ => Err(Refusal::NoTrial),
            },
            BootChoice::TriesUsedUp(name) => Err(Refusal::NoTryLeft(self.get(name).number)),
            BootChoice::Good(_) | BootChoice::LastResort(_) => Ok(*self),
            BootChoice::Nothing => Err(Refusal::NothingToBoot),
        }
    }

    fn promote(&self, at: u64) -> Result<Self, Refusal> {
        let last_resort = || match boot_choice(self) {
            BootChoice::LastResort(name) => Some(name),
            _ => None,
        };
        let name = self.trial().or_else(last_resort).ok_or(Refusal::NoTrial)?;
        Ok(Self { preferred: Some(name), ..self.set_state(name, SlotState::Good, at) })
    }

    fn tries_used_up(&self, at: u64) -> Result<Self, Refusal> {
        let name = self.trial().ok_or(Refusal::NoTrial)?;
        let slot = self.get(name);
        match slot.state {
            SlotState::Trial { left: 0, .. } => Ok(self.set_state(name, SlotState::Unconfirmed, at)),
            SlotState::Trial { left, .. } => Err(Refusal::TriesLeft { number: slot.number, left }),
            _ => Err(Refusal::NoTrial),
        }
    }

    fn roll_back(&self, former: Candidate, at: u64) -> Result<Self, Refusal> {
        for name in SlotName::BOTH {
            let slot = self.get(name);
            if slot.is_empty() || slot.generation != former.generation {
                continue;
            }
            match slot.state {
                SlotState::Bad(_) => return Err(Refusal::IsBad(slot.number)),
                SlotState::Good if self.preferred != Some(name) => {
                    return Ok(Self { preferred: Some(name), ..self.set_state(name, SlotState::Good, at) });
                }
                _ => {}
            }
        }
        self.put_preferred(former, at)
    }

    fn set_state(&self, name: SlotName, state: SlotState, at: u64) -> Self {
        self.with(name, Slot { state, changed_at: at, ..*self.get(name) })
    }
}
