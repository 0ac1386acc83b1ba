//! From the first Rust instruction to `kernel_main`.
//!
//! The image defines `kernel_main`, in Rust's own calling convention: `#[unsafe(no_mangle)] fn kernel_main(boot: Boot) -> !`.
//! When it is called, memory, traps and the clock work.

use core::arch::global_asm;

use plyos_kernel_logic::command_line::OnPanic;

use crate::{apic, clock, cpu, interrupts, memory, power, processor, serial, traps};

mod start_info;

pub use start_info::{MAX_REGIONS, Region, RegionKind, StartInfo};

global_asm!(include_str!("start.s"));

unsafe extern "Rust" {
    /// Defined by the image.
    fn kernel_main(boot: Boot) -> !;
}

/// What the machine hands to the image.
#[derive(Debug)]
pub struct Boot {
    /// The command line as the loader gave it; empty when it is no UTF-8.
    pub command_line: &'static str,
    /// The first module (QEMU: `-initrd`), if there is one.
    pub module: Option<&'static [u8]>,
    /// Whatever was odd in what the loader said, for the log.
    pub oddities: &'static str,
    /// Protections that the processor has.
    pub features: cpu::Features,
    /// How well the clock runs.
    pub frequency: clock::Frequency,
}

/// Called by start.s with the physical address of hvm_start_info.
#[unsafe(no_mangle)]
extern "C" fn machine_start(info: u64) -> ! {
    serial::start();
    processor::start();
    traps::start();
    let info = StartInfo::read(info);
    power::set_on_panic(OnPanic::of(info.command_line().as_bytes()));
    let features = cpu::Features::read();
    features.require();
    cpu::protect(&features);
    cpu::widen_registers(&features);
    memory::start(&info, &features);
    apic::start();
    interrupts::start();
    let frequency = clock::start();
    let boot = Boot {
        command_line: info.command_line(),
        module: info.module(),
        oddities: info.oddity(),
        features,
        frequency,
    };
    cpu::enable_interrupts();
    // SAFETY: I3: the image defines it with this signature; there is one image.
    unsafe { kernel_main(boot) }
}
