//! The BARs of a function (base address registers): how large they are, where they lie, and moving one.

use super::{COMMAND, COMMAND_IO, COMMAND_MEMORY, ConfigSpace};

const BARS: u8 = 0x10;
/// BARs of a function that is no bridge.
pub(super) const MOST: u8 = 6;

/// A BAR of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    /// Which of the six; one of 64 bits takes the next one too.
    pub number: u8,
    /// Physical address; 0 where nobody gave it one.
    pub address: u64,
    /// Bytes: a power of two.
    pub size: u64,
    /// Whether its address has 64 bits.
    pub is_wide: bool,
}

impl Bar {
    /// Measures a BAR. `None` where there is none, or none of memory, or one that cannot be.
    pub(super) fn measure(config: &mut impl ConfigSpace, number: u8) -> Option<Self> {
        let register = register(number)?;
        let value = config.read(register);
        let is_wide = value & 0b111 == 0b100;
        if value & 1 != 0 || (is_wide && number + 1 >= MOST) || !matches!(value & 0b110, 0b000 | 0b100) {
            return None;
        }
        // The length shows in which bits can be set.
        let ((low, low_mask), (high, high_mask)) = deaf(config, |config| {
            let low = probe(config, register);
            (low, if is_wide { probe(config, register + 4) } else { (0, u32::MAX) })
        });
        let address = u64::from(high) << 32 | u64::from(low & !0xf);
        let size = (u64::from(high_mask) << 32 | u64::from(low_mask & !0xf)).wrapping_neg();
        // No bit that can be set: there is no BAR.
        let exists = is_wide || low_mask & !0xf != 0;
        let possible = exists && size.is_power_of_two() && address.checked_add(size).is_some();
        possible.then_some(Self { number, address, size, is_wide })
    }

    /// Writes another address. Whether the BAR is there then, and nowhere else.
    pub(super) fn put(&mut self, config: &mut impl ConfigSpace, address: u64) -> bool {
        let Some(register) = register(self.number) else { return false };
        let [low, high] = [address as u32, (address >> 32) as u32];
        deaf(config, |config| {
            config.write(register, low);
            if self.is_wide {
                config.write(register + 4, high);
            }
        });
        self.address = address;
        Self::measure(config, self.number) == Some(*self)
    }
}

fn register(number: u8) -> Option<u8> {
    (number < MOST).then_some(BARS + 4 * number)
}

/// Changes settings of BARs while the function answers nowhere.
fn deaf<C: ConfigSpace, T>(config: &mut C, change: impl FnOnce(&mut C) -> T) -> T {
    let command = config.read(COMMAND) & 0xffff;
    config.write(COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
    let result = change(config);
    config.write(COMMAND, command);
    result
}

/// A BAR's register, and which of its bits can be set.
fn probe(config: &mut impl ConfigSpace, register: u8) -> (u32, u32) {
    let value = config.read(register);
    config.write(register, u32::MAX);
    let mask = config.read(register);
    config.write(register, value);
    (value, mask)
}
