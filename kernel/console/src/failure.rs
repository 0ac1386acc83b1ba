//! How a command fails: one line.

use alloc::string::String;

use crate::terminal::Interrupted;

/// Why a command ended before it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// By Ctrl-C.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// What was being done, to what, and what to do next.
    #[error("{0}")]
    Said(String),
}

/// A failure of one line, as `format!` makes it.
macro_rules! said {
    ($($text:tt)*) => { $crate::failure::Failure::Said(alloc::format!($($text)*)) };
}
pub(crate) use said;
