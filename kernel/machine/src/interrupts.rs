//! Interrupts of devices, by the two 8259 controllers that q35, pc and microvm all have.
//!
//! A handler does no work: it masks its line and notes that it fired. Who uses the device looks at it, and lets the line in again
//! ([`rearm`]). So a device that never stops asking cannot keep the kernel from its work.

use core::sync::atomic::{AtomicU16, Ordering};

use crate::cpu;
use crate::port::Port;
use crate::traps::FIRST_IRQ;

const FIRST_COMMAND: Port = Port::new(0x20);
const FIRST_DATA: Port = Port::new(0x21);
const SECOND_COMMAND: Port = Port::new(0xa0);
const SECOND_DATA: Port = Port::new(0xa1);
/// Non-specific end of interrupt.
const END: u8 = 0x20;
/// Where the second controller is attached to the first.
const CASCADE: u8 = 2;

/// Lines that are let in, by bit.
static OPEN: AtomicU16 = AtomicU16::new(1 << CASCADE);
/// Lines that fired since they were last asked about.
static FIRED: AtomicU16 = AtomicU16::new(0);

/// Sets both controllers up with all lines masked (8259A data sheet, initialisation command words).
pub(crate) fn start() {
    for (command, data, base, wiring) in [
        (FIRST_COMMAND, FIRST_DATA, FIRST_IRQ, 1 << CASCADE),
        (SECOND_COMMAND, SECOND_DATA, FIRST_IRQ + 8, CASCADE),
    ] {
        command.write8(0x11);
        data.write8(base);
        data.write8(wiring);
        data.write8(0x01);
    }
    apply(OPEN.load(Ordering::Relaxed));
}

fn apply(open: u16) {
    let [first, second] = (!open).to_le_bytes();
    FIRST_DATA.write8(first);
    SECOND_DATA.write8(second);
}

/// Lets a line in (again). Numbers from 16 on are passed over.
pub fn rearm(irq: u8) {
    if irq < 16 {
        cpu::without_interrupts(|| apply(OPEN.fetch_or(1 << irq, Ordering::Relaxed) | 1 << irq));
    }
}

/// Whether the line fired since this was last asked.
pub fn take(irq: u8) -> bool {
    irq < 16 && FIRED.fetch_and(!(1 << irq), Ordering::Relaxed) & (1 << irq) != 0
}

/// Waits until `done`, or until any interrupt came; the tick makes this return at least 100 times a second. `done` is asked with
/// interrupts off, so that none is missed between the question and the wait.
pub fn wait(done: impl FnOnce() -> bool) {
    cpu::without_interrupts(|| {
        if !done() {
            cpu::enable_interrupts_and_halt();
        }
    });
}

/// From the trap handler: interrupts are off.
pub(crate) fn on_irq(irq: u8) {
    FIRED.fetch_or(1 << irq, Ordering::Relaxed);
    // The tick needs nobody who answers it.
    if irq != crate::clock::IRQ {
        apply(OPEN.fetch_and(!(1 << irq), Ordering::Relaxed) & !(1 << irq));
    }
    if irq >= 8 {
        SECOND_COMMAND.write8(END);
    }
    FIRST_COMMAND.write8(END);
}
