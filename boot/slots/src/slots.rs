//! Both slots with the preferred one: the invariants that hold in every superblock.

use crate::{Slot, SlotName};

/// Both slots, and which good one is preferred.
///
/// Invariants, checked by [`Slots::checked`] and kept by [`Slots::apply`]: a preferred slot is good; at most one slot is
/// on trial or staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slots {
    /// Slot A.
    pub a: Slot,
    /// Slot B.
    pub b: Slot,
    /// The good slot that is the system, unless another is on trial; `None` before the first activation.
    pub preferred: Option<SlotName>,
}

/// Why two slots do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotsError {
    /// `preferred` is a number other than 0, 1, 2.
    #[error("the preferred slot {0} is not known here; update this program")]
    UnknownName(u8),
    /// The preferred slot is not good.
    #[error("slot {0} is preferred but not good")]
    PreferredNotGood(SlotName),
    /// Both slots wait to be proven.
    #[error("both slots are staged or on trial")]
    TwoPending,
}

impl Slots {
    /// The slots, when they go together.
    pub fn checked(a: Slot, b: Slot, preferred: Option<SlotName>) -> Result<Self, SlotsError> {
        let slots = Self { a, b, preferred };
        slots.check().map(|()| slots)
    }

    /// Whether the invariants hold.
    pub fn check(&self) -> Result<(), SlotsError> {
        if let Some(name) = self.preferred
            && !self.get(name).is_good()
        {
            return Err(SlotsError::PreferredNotGood(name));
        }
        if Self::is_pending(&self.a) && Self::is_pending(&self.b) {
            return Err(SlotsError::TwoPending);
        }
        Ok(())
    }

    /// The number of `preferred` in the superblock: 0 none, 1 slot A, 2 slot B.
    pub fn preferred_number(&self) -> u8 {
        self.preferred.map_or(0, |name| name as u8)
    }

    /// What a number in the superblock's `preferred` means.
    pub const fn preferred_of_number(number: u8) -> Result<Option<SlotName>, SlotsError> {
        match number {
            0 => Ok(None),
            1 => Ok(Some(SlotName::A)),
            2 => Ok(Some(SlotName::B)),
            _ => Err(SlotsError::UnknownName(number)),
        }
    }

    /// One slot.
    pub const fn get(&self, name: SlotName) -> &Slot {
        match name {
            SlotName::A => &self.a,
            SlotName::B => &self.b,
        }
    }

    /// The slots with one of them replaced.
    #[must_use]
    pub(crate) const fn with(mut self, name: SlotName, slot: Slot) -> Self {
        match name {
            SlotName::A => self.a = slot,
            SlotName::B => self.b = slot,
        }
        self
    }

    /// The active generation: the preferred good slot. A trial is not active before it is promoted.
    pub fn active(&self) -> Option<&Slot> {
        self.preferred.map(|name| self.get(name))
    }

    /// The slot on trial.
    pub fn trial(&self) -> Option<SlotName> {
        SlotName::BOTH.into_iter().find(|name| self.get(*name).is_trial())
    }

    /// Where the next generation goes: never the preferred slot; without one, what waits to be proven is replaced
    /// first, then an empty slot is taken, then one that is not good.
    pub fn spare(&self) -> SlotName {
        if let Some(name) = self.preferred {
            return name.other();
        }
        let first = |test: fn(&Slot) -> bool| SlotName::BOTH.into_iter().find(|name| test(self.get(*name)));
        first(Self::is_pending)
            .or_else(|| first(Slot::is_empty))
            .or_else(|| first(|slot| !slot.is_good()))
            .unwrap_or(SlotName::A)
    }

    const fn is_pending(slot: &Slot) -> bool {
        matches!(slot.state, crate::SlotState::Staged | crate::SlotState::Trial { .. })
    }
}
