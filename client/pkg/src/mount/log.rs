//! Lines of a server that runs for months: on stderr, a few each second at most, so that a damaged disk does not fill another.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are written within [`PERIOD`].
const MOST: u32 = 5;
/// How long lines are counted.
const PERIOD: Duration = Duration::from_secs(10);

/// Where lines go.
#[derive(Debug, Default)]
pub struct Log(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    began: Option<Instant>,
    written: u32,
    left_out: u32,
}

impl Log {
    /// Writes a line, or counts it when there were too many.
    pub fn line(&self, text: &str) {
        let (left_out, write) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if left_out > 0 {
            say(&format!("{left_out} more lines were left out"));
        }
        if write {
            say(text);
        }
    }
}

impl Period {
    /// How many lines were left out before this one, if that is to be said now, and whether this one is written.
    fn take(&mut self, now: Instant) -> (u32, bool) {
        let mut left_out = 0;
        if self.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            left_out = self.left_out;
            *self = Self { began: Some(now), written: 0, left_out: 0 };
        }
        let write = self.written < MOST;
        if write {
            self.written += 1
        } else {
            self.left_out += 1
        }
        (left_out, write)
    }
}

/// One line on stderr, whatever the text holds. That stderr is gone is no reason to stop serving.
pub fn say(text: &str) {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(std::io::stderr(), "pkg mount: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_lines_are_counted_and_told_later() {
        let mut period = Period::default();
        let start = Instant::now();
        for _ in 0..MOST {
            assert_eq!(period.take(start), (0, true));
        }
        assert_eq!(period.take(start), (0, false));
        assert_eq!(period.take(start + PERIOD / 2), (0, false));
        assert_eq!(period.take(start + PERIOD), (2, true));
        assert_eq!(period.take(start + PERIOD), (0, true));
    }
}
