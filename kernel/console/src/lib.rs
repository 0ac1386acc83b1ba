//! The built-in console: lines in, answers out, until user programs come. And the text of the status page.
//!
//! The image gives it bytes as they are typed ([`Console::key`]) and gets text to be shown ([`Screen`]) and, rarely, a wish
//! ([`Wish`]); it never touches a device. What it tells about comes from [`machine::Machine`] (memory, disks, network, log),
//! which the image implements, and from [`system::System`] (generations and files), which `plyos-kernel-logic` has.
//!
//! | module | idea |
//! | --- | --- |
//! | [`editor`] | a line, as it is typed and changed, on a terminal or a dumb pipe |
//! | [`words`] | words of a line, and names as they are shown: one notation for both |
//! | [`screen`] | where answers go, and how Ctrl-C stops them |
//! | [`machine`], [`system`] | what it asks |
//! | [`command`] | which commands there are and what they take |
//! | [`status`] | the facts of the status page, as Prometheus text and as HTML; the answer to a browser |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod command;
mod commands;
mod console;
pub mod editor;
mod failure;
mod glyph;
pub mod machine;
pub mod screen;
pub mod status;
pub mod system;
pub mod words;

#[cfg(test)]
mod fakes;

pub use console::{Console, PROMPT, Standing, Wish};
pub use screen::{Interrupted, Screen};
