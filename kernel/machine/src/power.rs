//! Ways to end: a test's exit, reset, power off, halt.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu;
use crate::port::Port;

/// What happens after a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterPanic {
    /// Stand still, so that somebody can read.
    #[default]
    Halt,
    /// Start again, for machines that nobody sees.
    Reset,
    /// End QEMU with a status, for tests.
    Exit,
}

/// What a panic does after its text, as a number of [`AfterPanic`].
static AFTER_PANIC: AtomicU8 = AtomicU8::new(AfterPanic::Halt as u8);

impl AfterPanic {
    /// What a command line's last word `panic=` says, read without memory: for panics before there is any. The whole command line
    /// is read later (`plyos_kernel_logic::command_line`), and words that make no sense are told then.
    pub(crate) fn read(command_line: &str) -> Self {
        let named = |word: &str| match word.strip_prefix("panic=")? {
            "halt" => Some(Self::Halt),
            "reset" => Some(Self::Reset),
            "exit" => Some(Self::Exit),
            _ => None,
        };
        command_line.split_ascii_whitespace().filter_map(named).next_back().unwrap_or_default()
    }
}

/// Says what a panic does after its text.
pub fn set_after_panic(after: AfterPanic) {
    AFTER_PANIC.store(after as u8, Ordering::Relaxed);
}

/// What a panic does after its text.
pub fn after_panic() -> AfterPanic {
    let number = AFTER_PANIC.load(Ordering::Relaxed);
    let known = [AfterPanic::Halt, AfterPanic::Reset, AfterPanic::Exit];
    known.into_iter().find(|after| *after as u8 == number).unwrap_or_default()
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
