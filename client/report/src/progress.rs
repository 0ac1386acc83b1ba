//! Progress of long work, on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// How much a program says beyond its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Results and failures only.
    Quiet,
    /// The steps of long work as well.
    Normal,
    /// Details.
    Verbose,
}

impl Verbosity {
    /// What `-q` and `-v` ask for.
    pub fn of(quiet: bool, verbose: bool) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (_, true) => Self::Verbose,
            _ => Self::Normal,
        }
    }
}

/// Draws bars and prints steps.
#[derive(Debug, Clone)]
pub struct Progress {
    verbosity: Verbosity,
    json: bool,
}

impl Progress {
    /// Bars are drawn when stderr is a terminal; with JSON on stdout no step is printed on stdout.
    pub fn new(verbosity: Verbosity, json: bool) -> Self {
        Self { verbosity, json }
    }

    /// Whether results are JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// A step that a person likes to see on stdout.
    pub fn step(&self, text: &str) {
        if !self.json && self.verbosity >= Verbosity::Normal {
            println!("{text}");
        }
    }

    /// A detail, with `-v`, on stderr.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            eprintln!("{text}");
        }
    }

    /// A warning on stderr.
    pub fn warn(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            eprintln!("warning: {text}");
        }
    }

    /// A bar over `total` bytes.
    pub fn bytes(&self, doing: &str, total: u64) -> ProgressBar {
        let bar = self.bar(total);
        let template = "{msg:28} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(doing.to_owned());
        bar
    }

    fn bar(&self, total: u64) -> ProgressBar {
        let drawn = self.verbosity >= Verbosity::Normal && std::io::stderr().is_terminal();
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        ProgressBar::with_draw_target(Some(total), target)
    }
}
