//! The slot state machine: which generation boots, how often it may try, and what becomes of it.
//!
//! A store points to at most two generations, slots A and B. [`Slots`] holds both with the name of the preferred good
//! one; [`Slots::apply`] is the one place where their states change, and [`boot_choice`] the one place that says what to
//! boot. Loader, kernel, init and `pkg` all use this crate, so they cannot disagree. Nothing here does I/O or reads a
//! clock: the caller reads the superblock, applies an event and writes the superblock back.
//!
//! | module | idea |
//! | --- | --- |
//! | [`Slot`] | one slot as it lies in the superblock (96 bytes) |
//! | [`Slots`] | both slots and the transition table |
//! | [`boot_choice`] | what a loader does next |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod boot;
mod slot;
mod slots;
mod transition;

pub use boot::{BootChoice, boot_choice};
pub use slot::{BadReason, Slot, SlotError, SlotName, SlotState, layout};
pub use slots::{Slots, SlotsError};
pub use transition::{Candidate, Event, Refusal};

/// The layouts of this crate, for the check against docs/formats.md.
pub const LAYOUTS: &[&plyos_bytemap::Layout] = &[&layout::slot::LAYOUT];
