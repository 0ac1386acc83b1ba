//! The processor's local interrupt controller, for one thing only: that it lets through what the 8259 controllers say.
//!
//! Firmware leaves it so; without firmware (microvm, whose start needs none) its input is masked, and no tick ever comes.

use core::arch::x86_64::__cpuid;

use plyos_kernel_devices::pci::Region;

use crate::registers::Registers;
use crate::traps::FIRST_IRQ;

/// Where the controller of every processor is seen, unless somebody moved it; nobody does (Intel SDM volume 3, 11.4.1).
const PLACE: Region = Region { address: 0xfee0_0000, length: 4096 };
const SPURIOUS: usize = 0xf0;
const INPUT_0: usize = 0x350;

/// In the spurious register: the controller is on.
const ON: u32 = 1 << 8;
/// In an input: the interrupt comes from an 8259, which gives its number. Not masked.
const FROM_8259: u32 = 7 << 8;

/// Opens input 0. Nothing happens on a processor without the controller.
pub(crate) fn start() {
    let has = __cpuid(1).edx & (1 << 9) != 0;
    if let Some(mut registers) = has.then(|| Registers::map(PLACE, PLACE.length)).flatten() {
        // What is raised and taken back again arrives as the last line, which has a handler.
        registers.write(SPURIOUS, ON | u32::from(FIRST_IRQ + 15));
        registers.write(INPUT_0, FROM_8259);
    }
}
