//! All pure cores linked into one program under a kernel's conditions: no `std`, no libc, an own panic handler and
//! allocator. That it links is the proof; it is never run.
//!
//! Two things can go wrong, and both are errors of the build. A core, or what it depends on, pulls in `std`: then
//! there are two panic handlers ("found duplicate lang item `panic_impl`"). Something calls into libc: then the
//! linker finds an undefined symbol, since nothing here but [`memory`] brings any.

#![no_std]
#![no_main]

mod memory;

// Naming a crate is enough to compile, load and link it with all it depends on.
use plyos_blockstore as _;
use plyos_bytemap as _;
use plyos_ids as _;
use plyos_kernel_console as _;
use plyos_kernel_devices as _;
use plyos_kernel_logic as _;
use plyos_layer_format as _;
use plyos_namespace as _;
use plyos_plan as _;
use plyos_slots as _;
use plyos_trust as _;

/// Where a machine would start.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    halt()
}

/// The one panic handler of the program.
#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    halt()
}

/// Named by the precompiled `core` and `alloc`, which are built for unwinding; never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
