//! What the kernel decides, without the machine: which slot to boot, whether to trust it, what its files hold.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod frames;
