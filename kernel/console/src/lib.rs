//! The built-in console: lines in, answers out, until user programs come.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
