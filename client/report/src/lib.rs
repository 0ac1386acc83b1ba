//! How the two programs speak: exit codes, one-line failures, sizes, progress, man pages and completions.
//!
//! Results go to stdout (as JSON with `--json`), everything about the way there to stderr. Progress is drawn only where
//! stderr is a terminal; a script sees nothing but results and failures.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod failure;
pub mod manual;
pub mod output;
mod progress;
mod size;

pub use failure::{ExitCode, Failure, OrFail};
pub use output::{is_unseen, plain};
pub use progress::{Download, LayerBar, Progress, Verbosity};
pub use size::{human, percent};

/// Prints one JSON document on stdout.
pub fn print_json(value: &serde_json::Value) {
    say!("{}", output::escaped(&format!("{value:#}")));
}
