//! What a PCI function tells of itself: whether it is a virtio device, and where its registers lie.
//!
//! Pure: the settings come through [`ConfigSpace`]. Everything in them is a claim. A list of capabilities may go round in
//! circles, a region may wrap around or lie outside its window; all of that is an error here, so that what maps the
//! registers can rely on [`Regions`].

use thiserror::Error;

/// The 256 bytes of settings of one function. Registers are given by their byte offset, a multiple of four.
pub trait ConfigSpace {
    /// Four bytes, little-endian. All ones where there is nothing.
    fn read(&self, register: u8) -> u32;

    /// Sets four bytes.
    fn write(&mut self, register: u8, value: u32);
}

/// The devices that there are drivers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A network card.
    Network,
    /// A disk.
    Disk,
    /// A source of chance.
    Chance,
}

impl Kind {
    /// By the device number of the virtio specification (5), which virtio-mmio tells as it is.
    pub fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Network),
            2 => Some(Self::Disk),
            4 => Some(Self::Chance),
            _ => None,
        }
    }

    /// By the vendor and device id of a PCI function. The ids from 0x1000 are of devices that also speak the old way; their
    /// new way is used.
    pub fn of_function(vendor: u16, device: u16) -> Option<Self> {
        match (vendor, device) {
            (0x1af4, 0x1000) => Some(Self::Network),
            (0x1af4, 0x1001) => Some(Self::Disk),
            (0x1af4, 0x1005) => Some(Self::Chance),
            (0x1af4, 0x1040..) => Self::of(u32::from(device) - 0x1040),
            _ => None,
        }
    }
}

/// A piece of physical memory that is registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Physical address of the first byte.
    pub address: u64,
    /// Bytes.
    pub length: u32,
}

/// Where the registers of a virtio function lie (Virtio 1.2, 4.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regions {
    /// Common settings: at least [`COMMON`] bytes at a multiple of four.
    pub common: Region,
    /// Where the device is told of requests: at least two bytes, at a multiple of two.
    pub notify: Region,
    /// Bytes from one queue's place in it to the next. Even.
    pub notify_step: u32,
    /// Why it interrupted: at least one byte.
    pub interrupt: Region,
    /// The device's own settings, at a multiple of four.
    pub own: Option<Region>,
}

/// Why a function cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PciError {
    /// The list of capabilities does not end.
    #[error("its list of capabilities goes round in circles")]
    Circle,
    /// No capability tells where these registers are.
    #[error("it does not tell where its {0} registers are")]
    Missing(&'static str),
    /// The registers are too few, misaligned, or outside of their window.
    #[error("its {0} registers do not fit their window")]
    Misplaced(&'static str),
    /// The window is no memory, or has no address: the firmware gave it none.
    #[error("the firmware gave its window {0} no address")]
    NoWindow(u8),
}

/// Bytes of the common settings.
pub const COMMON: u32 = 56;

const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const HEADER: u8 = 0x0c;
const WINDOWS: u8 = 0x10;
const BUSES: u8 = 0x18;
const CAPABILITIES: u8 = 0x34;
const INTERRUPT: u8 = 0x3c;

const COMMAND_IO: u32 = 1 << 0;
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_MASTER: u32 = 1 << 2;
const COMMAND_NO_LINE_INTERRUPT: u32 = 1 << 10;
const STATUS_HAS_CAPABILITIES: u32 = 1 << 20;

/// A capability that only its vendor understands: all of virtio's.
const VENDOR: u8 = 0x09;
/// More capabilities than fit into the settings of a function.
const MOST_CAPABILITIES: usize = 48;

/// Vendor and device id; `None` where there is no function.
pub fn identity(config: &impl ConfigSpace) -> Option<(u16, u16)> {
    let [v0, v1, d0, d1] = config.read(ID).to_le_bytes();
    let vendor = u16::from_le_bytes([v0, v1]);
    (vendor != 0xffff).then(|| (vendor, u16::from_le_bytes([d0, d1])))
}

/// Whether a device's function 0 says that there are others.
pub fn has_more_functions(config: &impl ConfigSpace) -> bool {
    config.read(HEADER) & 0x0080_0000 != 0
}

/// The bus behind a function that is a bridge from PCI to PCI.
pub fn bus_behind(config: &impl ConfigSpace) -> Option<u8> {
    let [_, _, sub, base] = config.read(CLASS).to_le_bytes();
    let [_, _, layout, _] = config.read(HEADER).to_le_bytes();
    let [_, behind, _, _] = config.read(BUSES).to_le_bytes();
    (base == 0x06 && sub == 0x04 && layout & 0x7f == 1).then_some(behind)
}

/// The line of the 8259 controllers that the firmware gave the function, if it did.
pub fn interrupt_line(config: &impl ConfigSpace) -> Option<u8> {
    let [line, pin, _, _] = config.read(INTERRUPT).to_le_bytes();
    (matches!(pin, 1..=4) && line < 16).then_some(line)
}

/// Lets the function answer at its windows, read and write memory, and use its interrupt line if it has one.
pub fn enable(config: &mut impl ConfigSpace) {
    let quiet = if interrupt_line(config).is_some() { 0 } else { COMMAND_NO_LINE_INTERRUPT };
    let command = config.read(COMMAND) & 0xffff & !COMMAND_NO_LINE_INTERRUPT;
    config.write(COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER | quiet);
}

/// Takes the right to read and write memory, and to interrupt, from the function.
pub fn disable(config: &mut impl ConfigSpace) {
    let command = config.read(COMMAND) & 0xffff;
    config.write(COMMAND, command & !COMMAND_MASTER | COMMAND_NO_LINE_INTERRUPT);
}

/// Where a virtio function's registers lie.
///
/// # Errors
/// [`PciError`] for everything that the function tells wrongly or not at all.
pub fn virtio_regions(config: &mut impl ConfigSpace) -> Result<Regions, PciError> {
    let mut found: [Option<Claim>; 5] = [None; 5];
    let mut step = 0;
    let mut at = if config.read(COMMAND) & STATUS_HAS_CAPABILITIES != 0 {
        low(config.read(CAPABILITIES)) & 0xfc
    } else {
        0
    };
    let mut seen = 0;
    while at != 0 {
        seen += 1;
        if seen > MOST_CAPABILITIES {
            return Err(PciError::Circle);
        }
        let [id, next, length, which] = config.read(at).to_le_bytes();
        // What would run over the end of the settings is not a whole capability.
        if id == VENDOR && length >= 16 && at <= 0xf0 {
            let claim = Claim {
                window: low(config.read(at + 4)),
                offset: config.read(at + 8),
                length: config.read(at + 12),
            };
            // Of several that tell of the same registers the first that can be used counts; these here all can.
            if let Some(place @ None) = found.get_mut(usize::from(which)) {
                if which != NOTIFY {
                    *place = Some(claim);
                } else if length >= 20 && at <= 0xec {
                    step = config.read(at + 16);
                    *place = Some(claim);
                }
            }
        }
        at = next & 0xfc;
    }
    let [_, common, notify, interrupt, own] = found;
    // Each window is measured once: the function is deaf meanwhile, and an emulator maps its memory anew.
    let mut windows: [Option<(u64, u64)>; 6] = [None; 6];
    let mut resolve = |claim: Option<Claim>, name, least, align| {
        let claim = claim.ok_or(PciError::Missing(name))?;
        let known = windows.get_mut(usize::from(claim.window)).ok_or(PciError::NoWindow(claim.window))?;
        let measured = match *known {
            Some(measured) => measured,
            None => *known.insert(window(config, claim.window)?),
        };
        claim.resolve(measured, name, least, align)
    };
    let regions = Regions {
        common: resolve(common, "common", COMMON, 4)?,
        notify: resolve(notify, "notification", 2, 2)?,
        notify_step: step,
        interrupt: resolve(interrupt, "interrupt", 1, 1)?,
        own: own.map(|own| resolve(Some(own), "own", 4, 4)).transpose()?,
    };
    if !step.is_multiple_of(2) { Err(PciError::Misplaced("notification")) } else { Ok(regions) }
}

/// Kind of a virtio capability that tells of the notification registers. Common is 1, interrupt 3, own 4.
const NOTIFY: u8 = 2;

/// What a capability says of some registers.
#[derive(Debug, Clone, Copy)]
struct Claim {
    window: u8,
    offset: u32,
    length: u32,
}

impl Claim {
    /// In a window with this start and size.
    fn resolve(
        self,
        (start, size): (u64, u64),
        name: &'static str,
        least: u32,
        align: u64,
    ) -> Result<Region, PciError> {
        let end = u64::from(self.offset) + u64::from(self.length);
        let address =
            start.checked_add(u64::from(self.offset)).filter(|address| address.is_multiple_of(align));
        match address {
            Some(address) if end <= size && self.length >= least => {
                Ok(Region { address, length: self.length })
            }
            _ => Err(PciError::Misplaced(name)),
        }
    }
}

/// Physical address and length of one of the six windows (base address registers).
fn window(config: &mut impl ConfigSpace, number: u8) -> Result<(u64, u64), PciError> {
    let none = PciError::NoWindow(number);
    let register = WINDOWS + 4 * number.min(5);
    let value = config.read(register);
    let wide = value & 0b111 == 0b100;
    if value & 1 != 0 || (wide && number >= 5) || !matches!(value & 0b110, 0b000 | 0b100) {
        return Err(none);
    }
    // The length shows in which bits can be set. Meanwhile the function must not answer anywhere.
    let command = config.read(COMMAND) & 0xffff;
    config.write(COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
    let (low, low_mask) = probe(config, register);
    let (high, high_mask) = if wide { probe(config, register + 4) } else { (0, u32::MAX) };
    config.write(COMMAND, command);
    let address = u64::from(high) << 32 | u64::from(low & !0xf);
    let size = (u64::from(high_mask) << 32 | u64::from(low_mask & !0xf)).wrapping_neg();
    if address == 0 || !size.is_power_of_two() || address.checked_add(size).is_none() {
        return Err(none);
    }
    Ok((address, size))
}

/// A window's register, and which of its bits can be set.
fn probe(config: &mut impl ConfigSpace, register: u8) -> (u32, u32) {
    let value = config.read(register);
    config.write(register, u32::MAX);
    let mask = config.read(register);
    config.write(register, value);
    (value, mask)
}

fn low(register: u32) -> u8 {
    let [low, ..] = register.to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Settings in memory; the windows answer to being measured.
    struct Fake {
        words: [u32; 64],
        sizes: [u64; 6],
    }

    impl ConfigSpace for Fake {
        fn read(&self, register: u8) -> u32 {
            self.words[usize::from(register / 4)]
        }

        fn write(&mut self, register: u8, value: u32) {
            let number = usize::from(register.wrapping_sub(WINDOWS) / 4);
            self.words[usize::from(register / 4)] = match number {
                0..6 if value == u32::MAX => {
                    let flags = self.words[usize::from(register / 4)] & 0xf;
                    let mask = match self.sizes[number] {
                        0 => self.sizes[number.saturating_sub(1)].wrapping_neg() >> 32,
                        size => size.wrapping_neg() & 0xffff_fff0,
                    };
                    if self.sizes[number] == 0 { mask as u32 } else { mask as u32 | flags }
                }
                // The upper half of this one tells, and cannot be set.
                _ if register == COMMAND => self.words[1] & 0xffff_0000 | value & 0xffff,
                _ => value,
            };
        }
    }

    /// As QEMU shows a disk: a 64-bit window 4 of 16 KiB, capabilities from 0x84 down.
    fn disk() -> Fake {
        let mut fake = Fake { words: [0; 64], sizes: [0, 0, 0, 0, 0x4000, 0] };
        let mut set = |register: u8, words: &[u32]| {
            for (at, word) in words.iter().enumerate() {
                fake.words[usize::from(register) / 4 + at] = *word;
            }
        };
        set(ID, &[0x1042_1af4, 0x0010_0003]);
        set(0x20, &[0xfe00_000c, 0x0000_00e0]);
        set(CAPABILITIES, &[0x84]);
        set(0x84, &[0x0214_7009, 4, 0x3000, 0x1000, 4]);
        set(0x70, &[0x0410_6009, 4, 0x2000, 0x1000]);
        set(0x60, &[0x0310_5009, 4, 0x1000, 0x1000]);
        set(0x50, &[0x0110_4009, 4, 0, 0x1000]);
        set(0x40, &[0x0000_0011, 0, 0, 0]);
        fake
    }

    #[test]
    fn a_disk_of_qemu_is_understood_and_left_as_it_was() {
        let mut fake = disk();
        let before = fake.words;
        let region = |offset: u64| Region { address: 0xe0_fe00_0000 + offset, length: 0x1000 };
        let regions = virtio_regions(&mut fake).unwrap();
        assert_eq!(regions.common, region(0));
        assert_eq!((regions.notify, regions.notify_step), (region(0x3000), 4));
        assert_eq!((regions.interrupt, regions.own), (region(0x1000), Some(region(0x2000))));
        assert_eq!(fake.words, before);
        let (vendor, device) = identity(&fake).unwrap();
        assert_eq!(Kind::of_function(vendor, device), Some(Kind::Disk));
    }

    #[test]
    fn capabilities_in_a_circle_end() {
        let mut fake = disk();
        fake.words[0x40 / 4] = 0x0000_8411;
        assert_eq!(virtio_regions(&mut fake), Err(PciError::Circle));
    }

    #[test]
    fn claims_that_do_not_fit_are_refused() {
        let spoil = |register: u8, value: u32| {
            let mut fake = disk();
            fake.words[usize::from(register) / 4] = value;
            virtio_regions(&mut fake).unwrap_err()
        };
        // Wraps around 32 bits, ends beyond the window, too short, misaligned, an odd step.
        assert_eq!(spoil(0x58, 0xffff_f000), PciError::Misplaced("common"));
        assert_eq!(spoil(0x58, 0x3004), PciError::Misplaced("common"));
        assert_eq!(spoil(0x5c, COMMON - 1), PciError::Misplaced("common"));
        assert_eq!(spoil(0x58, 2), PciError::Misplaced("common"));
        assert_eq!(spoil(0x94, 3), PciError::Misplaced("notification"));
        // A window that does not exist, that is ports, that nobody gave an address.
        assert_eq!(spoil(0x54, 6), PciError::NoWindow(6));
        assert_eq!(spoil(0x54, 255), PciError::NoWindow(255));
        assert_eq!(spoil(0x20, 0xc001), PciError::NoWindow(4));
        assert_eq!(spoil(0x50, 0x0510_4009), PciError::Missing("common"));
        let mut unset = disk();
        (unset.words[8], unset.words[9]) = (0x0c, 0);
        assert_eq!(virtio_regions(&mut unset), Err(PciError::NoWindow(4)));
    }

    #[test]
    fn any_settings_end_in_regions_inside_one_window_or_an_error() {
        // Chance of its own kind: a generator with a fixed start, so that a failure comes again.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut chance = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u32
        };
        let mut good = Vec::new();
        for _ in 0..200_000 {
            let mut fake = disk();
            for _ in 0..chance() % 6 {
                let (place, bits) = (chance() as usize % 64, chance());
                fake.words[place] ^= bits & chance() & chance();
            }
            if let Ok(regions) = virtio_regions(&mut fake) {
                assert!(regions.common.length >= COMMON && regions.common.address.is_multiple_of(4));
                assert!(regions.notify.length >= 2 && regions.notify_step.is_multiple_of(2));
                good.push(regions);
            }
        }
        assert!(good.len() > 1000, "the spoiling spoils everything: {}", good.len());
    }

    #[test]
    fn a_function_may_reach_memory_and_interrupt_only_while_it_is_enabled() {
        let mut fake = disk();
        let command = |fake: &Fake| fake.words[1] & 0xffff;
        fake.words[15] = 0x0000_010b;
        assert_eq!(interrupt_line(&fake), Some(11));
        enable(&mut fake);
        assert_eq!(command(&fake), COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
        disable(&mut fake);
        assert_eq!(command(&fake), COMMAND_IO | COMMAND_MEMORY | COMMAND_NO_LINE_INTERRUPT);
        // Without a pin, or with a line that no controller has.
        for none in [0x0000_000b, 0x0000_01ff, 0x0000_0110] {
            fake.words[15] = none;
            enable(&mut fake);
            assert_eq!(interrupt_line(&fake), None);
            assert_ne!(command(&fake) & COMMAND_NO_LINE_INTERRUPT, 0);
        }
    }

    #[test]
    fn ids_of_both_ways_are_known() {
        assert_eq!(Kind::of_function(0x1af4, 0x1000), Some(Kind::Network));
        assert_eq!(Kind::of_function(0x1af4, 0x1044), Some(Kind::Chance));
        assert_eq!(Kind::of_function(0x1af4, 0x1040), None);
        assert_eq!(Kind::of_function(0x8086, 0x1000), None);
    }
}
