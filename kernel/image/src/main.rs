//! The kernel: wires logic, console and machine to the devices.

#![no_std]
#![no_main]

extern crate alloc;

mod devices;
mod host;
mod log;
mod panic;
mod store;
mod terminal;

use host::Host;
use log::told;
use plyos_kernel_logic::command_line::CommandLine;
use plyos_kernel_machine::boot::Boot;
use plyos_kernel_machine::clock::{self, Frequency};
use plyos_kernel_machine::memory;
use plyos_kernel_machine::provoke::Mistake;

/// Called by the machine once memory, traps and clock work.
#[allow(unsafe_code, reason = "the machine calls it by this name; it is the only one")]
#[unsafe(no_mangle)]
fn kernel_main(boot: Boot) -> ! {
    let words = CommandLine::parse(boot.command_line.as_bytes());
    log::show(words.log);
    memory::heap::grow(words.heap);
    greet(&boot, &words);
    if let Some((_, mistake)) =
        Mistake::ALL.into_iter().find(|(name, _)| words.provoke.as_deref() == Some(name))
    {
        mistake.make();
        told!(Error, "the mistake '{}' was not stopped", words.provoke.as_deref().unwrap_or_default());
    }
    let roots = store::roots(boot.module);
    let trusted = roots.as_ref().ok().map(|roots| roots.trusted);
    let host = Host::new(devices::start(&words), trusted, |disk| store::mount(disk, roots, &words));
    terminal::run(&host)
}

/// What machine this is.
fn greet(boot: &Boot, words: &CommandLine) {
    told!(Info, "Plyos {} on x86-64", env!("CARGO_PKG_VERSION"));
    if !boot.oddities.is_empty() {
        told!(Warning, "the loader: {}", boot.oddities);
    }
    for word in &words.unknown {
        told!(Warning, "unknown on the command line, passed over: {word}");
    }
    let (frames, heap) = (memory::frames::counts(), memory::heap::counts());
    told!(
        Info,
        "memory: {} MiB, of those {} for the heap and {} free",
        frames.total >> 8,
        heap.total >> 20,
        frames.free >> 8
    );
    let has = boot.features;
    let named = [
        ("NX", has.no_execute),
        ("SMEP", has.smep),
        ("SMAP", has.smap),
        ("UMIP", has.umip),
        ("1 GiB pages", has.gigabyte_pages),
    ];
    let mut text = alloc::string::String::new();
    for (name, _) in named.iter().filter(|(_, has)| *has) {
        text.push(' ');
        text.push_str(name);
    }
    let megahertz = clock::hertz() / 1_000_000;
    told!(Info, "processor:{text}; clock at {megahertz} MHz");
    match boot.frequency {
        Frequency::Measured => {}
        Frequency::Told => {
            told!(Warning, "the timer could not be measured: the clock's frequency is the processor's word")
        }
        Frequency::Assumed => told!(
            Warning,
            "the timer could not be measured, and the processor tells no frequency: {megahertz} MHz is assumed, and every time is \
             wrong by some factor"
        ),
    }
}
