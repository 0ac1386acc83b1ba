//! Cut rule 1: where the chunks of a canonical stream end (docs/formats.md, "Chunks and cut rules").
//!
//! A stream is a sequence of *runs*: the content of each file of [`LARGE_FILE`] bytes or more is a run of its own, all that
//! lies between is another. A [`Cutter`] is told where runs begin, is fed with bytes in whatever pieces they arrive, and
//! gives out chunks; the boundaries depend on the bytes and on the runs, never on the pieces.
//!
//! Which parts of a stream are which run is the layer builder's matter; this crate knows bytes only.
#![forbid(unsafe_code)]

mod cutter;
mod rule;

pub use cutter::Cutter;
pub use rule::{LARGE_FILE, Run, Sizes};
