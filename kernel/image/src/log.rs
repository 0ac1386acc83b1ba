//! The kernel's log: lines with level and time, on the serial line and in a ring that the console shows.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use plyos_kernel_logic::{Level, Line, Log, LogRing};
use plyos_kernel_machine::{clock, serial};
use spin::Mutex;

/// Lines and bytes that are kept.
const LINES: usize = 512;
const BYTES: usize = 64 << 10;

static JOURNAL: Mutex<Journal> =
    Mutex::new(Journal { ring: LogRing::new(LINES, BYTES), shown: Level::Info, prompt: false });

struct Journal {
    ring: LogRing,
    /// The least important level that is shown at once.
    shown: Level,
    /// Whether the console waits for a line: then what is shown begins on a line of its own.
    prompt: bool,
}

/// The log as the crates below take it.
#[derive(Debug, Clone, Copy)]
pub struct Journaled;

impl Log for Journaled {
    fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        line(level, text);
    }
}

/// Says from which level on lines are shown at once.
pub fn show(least: Level) {
    JOURNAL.lock().shown = least;
}

/// Says whether the console waits for a line.
pub fn prompt(waits: bool) {
    JOURNAL.lock().prompt = waits;
}

/// Takes a line.
pub fn line(level: Level, text: fmt::Arguments<'_>) {
    let at = clock::uptime();
    let mut journal = JOURNAL.lock();
    journal.ring.push(at.as_micros() as u64, level, text);
    if level > journal.shown {
        return;
    }
    // As it was kept: bounded, and without control characters.
    if let Some(Line { text, .. }) = journal.ring.lines().next_back() {
        let start = if journal.prompt { "\n" } else { "" };
        // The line cannot fail.
        let _ =
            writeln!(serial::Line, "{start}[{:5}.{:06}] {level}: {text}", at.as_secs(), at.subsec_micros());
    }
}

/// The last lines of at least this importance, the oldest first.
pub fn last(least: Level, most: usize) -> Vec<Line> {
    let journal = JOURNAL.lock();
    let mut found: Vec<Line> =
        journal.ring.lines().rev().filter(|line| line.level <= least).take(most).cloned().collect();
    found.reverse();
    found
}

/// A line of the log, as `format!`.
macro_rules! told {
    ($level:ident, $($text:tt)+) => {
        $crate::log::line(plyos_kernel_logic::Level::$level, format_args!($($text)+))
    };
}
pub(crate) use told;
