//! Ports of the x86 I/O space.

use core::arch::asm;

/// A port that this crate knows to be safe to read and write: doing so has no effect on memory.
///
/// Private to the crate: who makes one says by its number which device stands there. Accesses keep their place among those to memory
/// (they are not `nomem`): some let interrupts in, or give a device the right to memory.
#[derive(Debug, Clone, Copy)]
pub struct Port(u16);

impl Port {
    /// The port with this number.
    pub(crate) const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Reads a byte.
    pub fn read8(self) -> u8 {
        let value;
        // SAFETY: I1: a port of this crate belongs to a device without access to memory; the instruction touches `al` alone.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") self.0, options(nostack, preserves_flags));
        };
        value
    }

    /// Writes a byte.
    pub fn write8(self, value: u8) {
        // SAFETY: I1, as above.
        unsafe { asm!("out dx, al", in("al") value, in("dx") self.0, options(nostack, preserves_flags)) };
    }

    /// Reads 32 bits.
    pub fn read32(self) -> u32 {
        let value;
        // SAFETY: I1, as above.
        unsafe {
            asm!("in eax, dx", out("eax") value, in("dx") self.0, options(nostack, preserves_flags));
        };
        value
    }

    /// Writes 16 bits.
    pub fn write16(self, value: u16) {
        // SAFETY: I1, as above.
        unsafe { asm!("out dx, ax", in("ax") value, in("dx") self.0, options(nostack, preserves_flags)) };
    }

    /// Writes 32 bits.
    pub fn write32(self, value: u32) {
        // SAFETY: I1, as above.
        unsafe { asm!("out dx, eax", in("eax") value, in("dx") self.0, options(nostack, preserves_flags)) };
    }
}
