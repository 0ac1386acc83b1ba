//! The kernel: wires logic, console and machine to the devices.

#![no_std]
#![no_main]

extern crate alloc;

mod panic;

use core::fmt::Write;

use plyos_kernel_machine::boot::Boot;
use plyos_kernel_machine::{clock, memory, power, serial};

/// Called by the machine once memory, traps and clock work.
#[allow(unsafe_code, reason = "the machine calls it by this name; it is the only one")]
#[unsafe(no_mangle)]
fn kernel_main(boot: Boot) -> ! {
    let mut out = serial::Line;
    let _ = writeln!(out, "plyos {} {:?}", env!("CARGO_PKG_VERSION"), boot);
    let _ = writeln!(
        out,
        "{:?} {:?} {:?} {:?}",
        memory::frames::counts(),
        memory::heap::counts(),
        clock::uptime(),
        clock::hertz()
    );
    panic::set(power::AfterPanic::Exit);
    for (name, mistake) in plyos_kernel_machine::provoke::Mistake::ALL {
        if boot.command_line.split_whitespace().any(|word| word.strip_prefix("provoke=") == Some(name)) {
            mistake.make();
            let _ = writeln!(out, "survived");
        }
    }
    power::off()
}
