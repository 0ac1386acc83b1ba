//! The built-in console: lines in, answers out, until user programs come. And the text of the status page.
//!
//! The image gives it a [`Terminal`] and lets it look there again and again ([`Console::turn`]); rarely it gets a wish
//! ([`Wish`]) back. The console never touches a device. What it tells about comes from [`machine::Machine`] (memory, disks, network, log),
//! which the image implements, and from [`system::System`] (generations and files), which `plyos-kernel-logic` has.
//!
//! | module | idea |
//! | --- | --- |
//! | [`editor`] | a line, as it is typed and changed, on a terminal or a dumb pipe |
//! | [`words`] | words of a line, and names as they are shown: one notation for both |
//! | [`terminal`], `typed` | where answers go and keys come from, and what Ctrl-C stops |
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
pub mod status;
pub mod system;
pub mod terminal;
mod typed;
pub mod words;

#[cfg(test)]
mod fakes;

pub use console::{Console, PROMPT, Standing, Turn, Wish};
pub use terminal::{Interrupted, Terminal};
