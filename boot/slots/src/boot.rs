//! What a loader does next, given both slots.

use crate::{SlotName, Slots};

/// What to do at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootChoice {
    /// Boot this slot on trial: first apply [`Event::BootPicked`](crate::Event::BootPicked) and write it.
    Trial(SlotName),
    /// This slot's tries are used up: apply [`Event::TriesUsedUp`](crate::Event::TriesUsedUp), write it, choose again.
    TriesUsedUp(SlotName),
    /// Boot this good slot; nothing needs to be written.
    Good(SlotName),
    /// No slot is good: boot the unconfirmed one rather than nothing.
    LastResort(SlotName),
    /// Nothing can be booted.
    Nothing,
}

/// What to do at boot: a trial with tries left, else the preferred good slot, else any good slot, else an unconfirmed
/// one. Staged and bad slots are never booted.
pub fn boot_choice(slots: &Slots) -> BootChoice {
    use crate::SlotState::{Good, Trial, Unconfirmed};
    if let Some(name) = slots.trial() {
        return match slots.get(name).state {
            Trial { left: 0, .. } => BootChoice::TriesUsedUp(name),
            _ => BootChoice::Trial(name),
        };
    }
    let first = |state| SlotName::BOTH.into_iter().find(|name| slots.get(*name).state == state);
    if let Some(name) = slots.preferred.or_else(|| first(Good)) {
        return BootChoice::Good(name);
    }
    first(Unconfirmed).map_or(BootChoice::Nothing, BootChoice::LastResort)
}
