//! The last lines of the log, bounded by number and bytes.

use alloc::collections::VecDeque;
use alloc::string::String;
use core::fmt::{self, Write as _};

use crate::Level;

/// A line that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, counted from 0 since the start; a gap to the line before is what was dropped.
    pub sequence: u64,
    /// When, in microseconds since the start.
    pub at: u64,
    /// How much it matters.
    pub level: Level,
    /// What it says, without a line break. At most [`LogRing::LONGEST`] bytes.
    pub text: String,
}

/// A ring of lines. The owner locks it.
#[derive(Debug, Clone)]
pub struct LogRing {
    lines: VecDeque<Line>,
    most_lines: usize,
    most_bytes: usize,
    bytes: usize,
    next: u64,
}

impl LogRing {
    /// Longest line that is kept, in bytes; the rest is cut and marked.
    pub const LONGEST: usize = 1024;
    /// What marks a line that was cut.
    const CUT: &'static str = "...";

    /// A ring of at most so many lines with so many bytes of text together. At least the newest line is kept.
    pub const fn new(most_lines: usize, most_bytes: usize) -> Self {
        Self { lines: VecDeque::new(), most_lines, most_bytes, bytes: 0, next: 0 }
    }

    /// Adds a line; the oldest go. Control characters become spaces: a name on a hostile disk must not command a terminal.
    pub fn push(&mut self, at: u64, level: Level, text: fmt::Arguments<'_>) {
        let mut bounded = Bounded(String::new());
        // A full buffer ends the formatting early.
        let cut = bounded.write_fmt(text).is_err();
        let mut text = bounded.0;
        if cut {
            text.push_str(Self::CUT);
        }
        self.bytes += text.len();
        let line = Line { sequence: self.next, at, level, text };
        self.next += 1;
        while !self.lines.is_empty() && (self.lines.len() >= self.most_lines || self.bytes > self.most_bytes)
        {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.text.len());
        }
        self.lines.push_back(line);
    }

    /// The lines that are kept, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.lines.iter()
    }

    /// Lines since the start, those that were dropped included.
    pub const fn total(&self) -> u64 {
        self.next
    }
}

/// Text that stops growing.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LogRing::LONGEST - LogRing::CUT.len();
        for character in text.chars() {
            if self.0.len() + character.len_utf8() > room {
                return Err(fmt::Error);
            }
            self.0.push(if character.is_control() { ' ' } else { character });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn push(ring: &mut LogRing, text: &str) {
        ring.push(0, Level::Info, format_args!("{text}"));
    }

    fn kept(ring: &LogRing) -> Vec<u64> {
        ring.lines().map(|line| line.sequence).collect()
    }

    #[test]
    fn the_oldest_lines_go_by_number_and_by_bytes() {
        let mut ring = LogRing::new(3, 10);
        for text in ["a", "b", "c", "d"] {
            push(&mut ring, text);
        }
        assert_eq!(kept(&ring), [1, 2, 3]);
        push(&mut ring, "123456789");
        assert_eq!(kept(&ring), [3, 4], "ten bytes together");
        push(&mut ring, "longer than the ring");
        assert_eq!(kept(&ring), [5], "the newest is kept whatever its length");
        assert_eq!(ring.total(), 6);
    }

    #[test]
    fn long_lines_are_cut_at_a_character_and_control_characters_are_gone() {
        let mut ring = LogRing::new(2, 1 << 20);
        let long = "é".repeat(2000);
        push(&mut ring, &long);
        push(&mut ring, "a\x1b[2J\nb");
        let texts: Vec<&str> = ring.lines().map(|line| line.text.as_str()).collect();
        assert!(texts[0].len() <= LogRing::LONGEST && texts[0].ends_with("é..."), "{}", texts[0].len());
        assert_eq!(texts[1], "a [2J b");
    }
}
