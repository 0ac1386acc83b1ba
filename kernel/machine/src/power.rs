//! Ways to end: a test's exit, reset, power off, halt.

use core::sync::atomic::{AtomicU8, Ordering};

use plyos_kernel_logic::command_line::OnPanic;

use crate::cpu;
use crate::port::Port;

/// What a panic does after its text, as a number of [`OnPanic`].
static ON_PANIC: AtomicU8 = AtomicU8::new(OnPanic::Halt as u8);

/// Says what a panic does after its text: once, as soon as the command line can be read.
pub(crate) fn set_on_panic(what: OnPanic) {
    ON_PANIC.store(what as u8, Ordering::Relaxed);
}

/// What a panic does after its text.
pub fn on_panic() -> OnPanic {
    let number = ON_PANIC.load(Ordering::Relaxed);
    OnPanic::ALL.into_iter().find(|what| *what as u8 == number).unwrap_or_default()
}

/// QEMU's isa-debug-exit, where the test put it: `code` becomes the status 2 × code + 1. Returns where there is no such device.
pub fn debug_exit(code: u8) {
    Port::new(0xf4).write8(code);
}

/// Restarts the machine.
pub fn reset() -> ! {
    // The reset register of PCI chip sets (q35), then the keyboard controller (pc), then a fault that nothing can handle.
    Port::new(0xcf9).write8(0x02);
    Port::new(0xcf9).write8(0x06);
    for _ in 0..1000 {
        Port::new(0x64).write8(0xfe);
    }
    cpu::triple_fault()
}

/// Switches the machine off, or halts where that is not possible.
pub fn off() -> ! {
    // The sleep register of the ICH9 as SeaBIOS and OVMF place it on q35: SLP_EN, type 0 (S5).
    Port::new(0x604).write16(0x2000);
    // A microvm without ACPI has no way to be switched off but this: QEMU ends on a reset when told `-no-reboot`.
    reset()
}

/// Stands still for ever.
pub fn halt() -> ! {
    loop {
        cpu::disable_interrupts();
        cpu::halt();
    }
}
