//! The kernel's image.

#![no_std]
#![no_main]
