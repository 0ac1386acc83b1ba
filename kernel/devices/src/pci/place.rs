//! Addresses for BARs that firmware gave none: below 4 GiB, where the host bridge passes on what is no memory.
//!
//! Pure: what memory and other functions take is claimed first ([`Places::claim`], [`Places::claim_of`]), then a function's BARs are
//! placed ([`Places::give`]), from the top down. Nothing that is claimed is given, and nothing twice. Only for functions on bus 0: what
//! lies behind a bridge is reached through the bridge's own BAR, which is not made here.

use alloc::vec::Vec;
use core::ops::Range;

use super::bar::{Bar, MOST};
use super::{COMMAND, COMMAND_IO, COMMAND_MEMORY, ConfigSpace, PciError, is_bridge_to_pci};

/// Where the chip set's own registers begin: interrupt controllers, timers, the firmware's flash.
const TOP: u64 = 0xfec0_0000;
/// Nothing is placed below: old devices, and on every machine memory, whether its map tells or not.
const BOTTOM: u64 = 0x1000_0000;
/// BARs are apart by pages, for registers are mapped by pages.
const LEAST: u64 = 4096;
/// Largest BAR that is placed: a virtio device's registers are some KiB.
const LARGEST: u64 = 16 << 20;

/// Windows of a bridge to another bus (PCI-to-PCI Bridge Architecture 1.2, 3.2.5): memory, then memory that can be read ahead.
const BEHIND: [u8; 2] = [0x20, 0x24];
const BEHIND_HIGH: [u8; 2] = [0x28, 0x2c];

/// What is still free.
#[derive(Debug)]
pub struct Places {
    /// Apart from each other, the highest first.
    free: Vec<Range<u64>>,
}

impl Places {
    /// Everything between the top of RAM below 4 GiB and the chip set, but what the memory map says of other things. `regions` are
    /// physical ranges and whether they are RAM.
    pub fn new(regions: impl IntoIterator<Item = (Range<u64>, bool)>) -> Self {
        let mut places = Self { free: Vec::new() };
        let (mut bottom, mut taken) = (BOTTOM, Vec::new());
        for (region, is_ram) in regions {
            if is_ram && region.start < TOP {
                bottom = bottom.max(region.end);
            }
            taken.push(region);
        }
        if bottom < TOP {
            places.free.push(bottom..TOP);
        }
        taken.into_iter().for_each(|region| places.claim(region));
        places
    }

    /// Takes a range away.
    pub fn claim(&mut self, range: Range<u64>) {
        // A claim of nothing would cut in two.
        if range.is_empty() {
            return;
        }
        let parts =
            |free: &Range<u64>| [free.start.max(range.end)..free.end, free.start..free.end.min(range.start)];
        self.free = self.free.iter().flat_map(parts).filter(|part| !part.is_empty()).collect();
    }

    /// Takes away where a function answers: its BARs, and what a bridge passes on.
    pub fn claim_of(&mut self, config: &mut impl ConfigSpace) {
        let is_bridge = is_bridge_to_pci(config);
        for bar in bars(config, if is_bridge { 2 } else { MOST }) {
            if bar.address != 0 {
                self.claim(bar.address..bar.address.saturating_add(bar.size));
            }
        }
        if is_bridge {
            behind(config).into_iter().for_each(|range| self.claim(range));
        }
    }

    /// Gives an address to each BAR of a function that has none: as soon as it answers at one, it would answer at 0 by the others.
    ///
    /// # Errors
    /// Those of [`Places::give`].
    pub fn give_all(&mut self, config: &mut impl ConfigSpace) -> Result<(), PciError> {
        let unplaced = bars(config, MOST).into_iter().filter(|bar| bar.address == 0);
        unplaced.map(|bar| bar.number).try_for_each(|number| self.give(config, number))
    }

    /// Gives a BAR of a function an address.
    ///
    /// # Errors
    /// [`PciError::NoAddress`]: there is no place that is large enough, or the function does not take it.
    pub fn give(&mut self, config: &mut impl ConfigSpace, number: u8) -> Result<(), PciError> {
        let none = PciError::NoAddress(number);
        let mut bar = Bar::measure(config, number).ok_or(none)?;
        let room = bar.size.max(LEAST);
        if bar.address != 0 || bar.size > LARGEST {
            return Err(none);
        }
        let last = |free: &Range<u64>| {
            let start = free.end.checked_sub(room)? / room * room;
            (start >= free.start).then_some(start)
        };
        let start = self.free.iter().find_map(last).ok_or(none)?;
        // Also where the function does not take it: nobody knows then where it answers.
        self.claim(start..start + room);
        if bar.put(config, start) { Ok(()) } else { Err(none) }
    }
}

/// Takes the addresses away from all of a function's BARs of memory, for tests of this: they are then given anew. It answers nowhere
/// from then on.
pub fn forget(config: &mut impl ConfigSpace) {
    let command = config.read(COMMAND) & 0xffff;
    config.write(COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
    for mut bar in bars(config, MOST) {
        // One that stays is used as it is.
        let _ = bar.put(config, 0);
    }
}

/// The first `most` BARs, as far as they are of memory.
fn bars(config: &mut impl ConfigSpace, most: u8) -> Vec<Bar> {
    let (mut found, mut number) = (Vec::new(), 0);
    while number < most {
        let bar = Bar::measure(config, number);
        number += if bar.is_some_and(|bar| bar.is_wide) { 2 } else { 1 };
        found.extend(bar);
    }
    found
}

/// What a bridge passes on to the bus behind it.
fn behind(config: &impl ConfigSpace) -> [Range<u64>; 2] {
    let [plain, ahead] = BEHIND.map(|register| config.read(register));
    let [base_high, limit_high] = BEHIND_HIGH.map(|register| u64::from(config.read(register)) << 32);
    // Bits 31 to 20 of the first and of the last MiB.
    let base = |value: u32| u64::from(value & 0xfff0) << 16;
    let limit = |value: u32| u64::from(value & 0xfff0_0000) | 0xf_ffff;
    let is_wide = ahead & 0xf == 1;
    let (base_high, limit_high) = if is_wide { (base_high, limit_high) } else { (0, 0) };
    [base(plain)..limit(plain) + 1, (base_high | base(ahead))..(limit_high | limit(ahead)).saturating_add(1)]
}

#[cfg(test)]
mod tests;
