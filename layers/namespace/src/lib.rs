//! What a generation is, and what it looks like as one file tree.
//!
//! [`generation`] is the activation manifest. [`rules`] says which paths a layer of a mount type may hold,
//! [`conflicts`] which layers cannot stand side by side, [`namespace`] answers for one path or walks over all of them, [`diff`]
//! tells two of them apart.
//! All of them read layer indexes through `plyos-layer-format` and do no I/O of their own, so that the registry, `pkg`, the
//! loader and the kernel see the same tree.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod conflicts;
pub mod diff;
pub mod generation;
pub mod layer;
mod merge;
pub mod namespace;
mod precedence;
pub mod rules;
#[cfg(test)]
mod samples;

pub use generation::LAYOUTS;
