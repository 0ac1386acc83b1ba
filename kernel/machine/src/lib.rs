//! The machine: the one crate of the kernel with unsafe code.
//!
//! [`boot`] is entered first and hands the image a [`boot::Boot`]: the command line, the module and what the processor has, with
//! memory, traps and clock running. After that everything is asked for through safe functions. What each piece of unsafe code relies
//! on stands in docs/kernel.md, with a number, and beside the code.
//!
//! One processor runs. State that belongs to a processor is in [`processor::Processor`], so that more can come.

#![no_std]

extern crate alloc;

mod apic;
pub mod backtrace;
pub mod boot;
pub mod clock;
pub mod cpu;
pub mod interrupts;
pub mod memory;
mod memory_functions;
pub mod pci;
pub mod port;
pub mod power;
pub mod processor;
pub mod provoke;
mod registers;
pub mod serial;
mod traps;
pub mod virtio;
pub mod zstd;
