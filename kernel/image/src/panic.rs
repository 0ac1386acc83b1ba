//! The end of a kernel that cannot go on: what, where, who called whom; then what the command line asked for.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU8, Ordering};

use plyos_kernel_logic::command_line::OnPanic;
use plyos_kernel_machine::{backtrace, cpu, power, serial};

/// What the tests see as status of QEMU: 2 × this + 1.
const EXIT_CODE: u8 = 0x40;

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    static BUSY: AtomicU8 = AtomicU8::new(0);
    cpu::disable_interrupts();
    let mut out = serial::Line;
    // The line cannot fail; a panic while this is written shows its own text, once, without a backtrace.
    match BUSY.fetch_add(1, Ordering::Relaxed) {
        0 => {
            let _ = writeln!(out, "\nkernel panic: {}", info.message());
            if let Some(at) = info.location() {
                let _ = writeln!(out, "  in {}:{}", at.file(), at.line());
            }
            let _ = backtrace::write(&mut out);
        }
        1 => {
            let _ = writeln!(out, "kernel panic while a panic was shown: {}", info.message());
        }
        _ => {}
    }
    match power::on_panic() {
        OnPanic::Exit => {
            power::debug_exit(EXIT_CODE);
            power::reset()
        }
        OnPanic::Reset => power::reset(),
        OnPanic::Halt => power::halt(),
    }
}
