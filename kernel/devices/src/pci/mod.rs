//! What a PCI function tells of itself: whether it is a virtio device, and where its registers lie.
//!
//! Pure: the settings come through [`ConfigSpace`]. Everything in them is a claim. A list of capabilities may go round in
//! circles, a region may wrap around or lie outside its BAR; all of that is an error here, so that what maps the
//! registers can rely on [`Regions`]. The BARs are in `bar`; [`place`] gives one an address where firmware gave none.

mod bar;
pub mod place;
#[cfg(test)]
mod tests;

use bar::Bar;
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
    /// A source of entropy.
    Entropy,
}

impl Kind {
    /// By the device number of the virtio specification (5), which virtio-mmio tells as it is.
    pub fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Network),
            2 => Some(Self::Disk),
            4 => Some(Self::Entropy),
            _ => None,
        }
    }

    /// By the vendor and device id of a PCI function. The ids from 0x1000 are of devices that also speak the old way; their
    /// new way is used.
    pub fn of_function(vendor: u16, device: u16) -> Option<Self> {
        match (vendor, device) {
            (0x1af4, 0x1000) => Some(Self::Network),
            (0x1af4, 0x1001) => Some(Self::Disk),
            (0x1af4, 0x1005) => Some(Self::Entropy),
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
    /// The registers are too few, misaligned, or outside of their BAR.
    #[error("its {0} registers do not fit their BAR")]
    Misplaced(&'static str),
    /// It tells of a BAR that it does not have, or that is no memory.
    #[error("its BAR {0} is no memory")]
    NoBar(u8),
    /// The BAR has no address: the firmware gave it none, and there is no place for it.
    #[error("its BAR {0} has no address")]
    NoAddress(u8),
}

/// Bytes of the common settings.
pub const COMMON: u32 = 56;

const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const HEADER: u8 = 0x0c;
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
    let [_, behind, _, _] = config.read(BUSES).to_le_bytes();
    is_bridge_to_pci(config).then_some(behind)
}

fn is_bridge_to_pci(config: &impl ConfigSpace) -> bool {
    let [_, _, sub, base] = config.read(CLASS).to_le_bytes();
    let [_, _, layout, _] = config.read(HEADER).to_le_bytes();
    base == 0x06 && sub == 0x04 && layout & 0x7f == 1
}

/// The line of the 8259 controllers that the firmware gave the function, if it did.
pub fn interrupt_line(config: &impl ConfigSpace) -> Option<u8> {
    let [line, pin, _, _] = config.read(INTERRUPT).to_le_bytes();
    (matches!(pin, 1..=4) && line < 16).then_some(line)
}

/// Lets the function answer at its BARs, and nothing more: what it was told before it may go on doing, so it is reset before it
/// may reach memory ([`enable`]).
pub fn answer(config: &mut impl ConfigSpace) {
    let command = config.read(COMMAND) & 0xffff;
    config.write(COMMAND, command & !COMMAND_MASTER | COMMAND_MEMORY | COMMAND_NO_LINE_INTERRUPT);
}

/// Whether the function is a bridge to another bus of any kind: what lies behind reaches memory by its leave.
pub fn is_bridge(config: &impl ConfigSpace) -> bool {
    let [.., base] = config.read(CLASS).to_le_bytes();
    base == 0x06
}

/// Lets the function answer at its BARs, read and write memory, and use its interrupt line if it has one.
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
                bar: low(config.read(at + 4)),
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
    // Each BAR is measured once: the function is deaf meanwhile, and an emulator maps its memory anew.
    let mut bars: [Option<(u64, u64)>; 6] = [None; 6];
    let mut resolve = |claim: Option<Claim>, name, least, align| {
        let claim = claim.ok_or(PciError::Missing(name))?;
        let known = bars.get_mut(usize::from(claim.bar)).ok_or(PciError::NoBar(claim.bar))?;
        let measured = match *known {
            Some(measured) => measured,
            None => {
                let Bar { address, size, .. } =
                    Bar::measure(config, claim.bar).ok_or(PciError::NoBar(claim.bar))?;
                if address == 0 {
                    return Err(PciError::NoAddress(claim.bar));
                }
                *known.insert((address, size))
            }
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
    bar: u8,
    offset: u32,
    length: u32,
}

impl Claim {
    /// In a BAR with this start and size.
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

fn low(register: u32) -> u8 {
    let [low, ..] = register.to_le_bytes();
    low
}
