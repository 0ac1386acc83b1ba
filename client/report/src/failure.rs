//! Failures with their exit code.

use std::fmt;

/// Exit codes of the design; frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Anything else.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Nothing is called that.
    NotFound = 3,
    /// Dependencies, or two layers with one path.
    Conflict = 4,
    /// A signature or hash is wrong, or metadata has expired.
    Signature = 5,
    /// Wrong architecture or ABI.
    Machine = 6,
    /// The store, or an activation.
    Store = 7,
    /// The network or a server.
    Network = 8,
}

/// One clear line: what was being done, to what, what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub code: ExitCode,
    /// The line.
    pub message: String,
}

impl Failure {
    /// A failure with its code.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Prints the line on stderr and gives the process's exit code.
    pub fn report(&self, program: &str) -> std::process::ExitCode {
        // One line, whatever an error's text holds.
        let line: String = self.message.chars().map(|c| if crate::is_unseen(c) { ' ' } else { c }).collect();
        crate::tell!("{program}: {line}");
        std::process::ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Turns any error into a failure.
pub trait OrFail<T> {
    /// With `code`, and `doing` before the error's text.
    fn or_fail(self, code: ExitCode, doing: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, code: ExitCode, doing: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(code, format!("{doing}: {error}")))
    }
}
