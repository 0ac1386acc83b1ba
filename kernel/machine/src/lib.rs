//! The machine: the one crate of the kernel with unsafe code.

#![no_std]

extern crate alloc;
