//! The line that is being typed: a VT100 subset that a dumb pipe can do without.
//!
//! [`Editor::key`] takes a byte and appends what the terminal is to show. As long as somebody only types at the end of a line that
//! fits, the echo is what was typed: a test harness sees no escape sequence. A line longer than the screen is seen
//! through a window that moves, for a serial line tells no width and a wrapped line could not be drawn again.

mod history;
mod keys;

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use crate::glyph::{Glyph, glyphs};
pub use history::History;
use keys::{Decoder, Key};

/// Longest line in bytes: a path of Linux's 4,096 bytes with every byte escaped. More is answered with the bell.
pub const MAX_LINE: usize = 16_500;

/// Columns of the screen that are used: what every terminal has.
const COLUMNS: usize = 80;

/// Columns by which the window jumps, so that it is not drawn anew for each letter.
const JUMP: usize = 20;

/// What came of a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The line goes on.
    Going,
    /// It was ended; the screen is on a new line.
    Line(Vec<u8>),
    /// It was given up by Ctrl-C; the screen is on a new line.
    Dropped,
    /// The screen was cleared: the prompt is to be shown again, then [`Editor::redraw`].
    Cleared,
}

/// The line editor.
#[derive(Debug)]
pub struct Editor {
    keys: Decoder,
    line: Vec<u8>,
    /// Byte of the line before which the next one is inserted; always between two glyphs.
    cursor: usize,
    /// First byte of the line that is seen; between two glyphs.
    first: usize,
    history: History,
    /// Columns before the line.
    prompt: usize,
}

impl Editor {
    /// An empty line behind a prompt of so many columns (at least 1).
    pub fn new(prompt: usize) -> Self {
        let prompt = prompt.clamp(1, COLUMNS / 2);
        Self {
            keys: Decoder::default(),
            line: Vec::new(),
            cursor: 0,
            first: 0,
            history: History::default(),
            prompt,
        }
    }

    /// The lines that were typed.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Takes a byte from the terminal; what is to be shown is appended to `echo`.
    pub fn key(&mut self, byte: u8, echo: &mut String) -> Edit {
        let mut edit = Edit::Going;
        for key in self.keys.push(byte).into_iter().flatten() {
            edit = self.act(key, echo);
        }
        edit
    }

    /// Draws the line again; the cursor may be anywhere on its row.
    pub fn redraw(&mut self, echo: &mut String) {
        self.move_window();
        self.to_column(0, echo);
        let mut columns = 0;
        for glyph in glyphs(self.line.get(self.first..).unwrap_or_default()) {
            columns += glyph.columns();
            if columns > self.room() {
                break;
            }
            glyph.show(echo);
        }
        echo.push_str("\x1b[K");
        self.to_column(self.columns(self.first, self.cursor), echo);
    }

    fn act(&mut self, key: Key, echo: &mut String) -> Edit {
        match key {
            Key::Text(bytes) => self.insert(&bytes, echo),
            Key::Enter => return self.end(echo),
            Key::Interrupt => {
                echo.push_str("^C\r\n");
                self.take();
                return Edit::Dropped;
            }
            Key::Clear => {
                echo.push_str("\x1b[H\x1b[2J");
                return Edit::Cleared;
            }
            Key::Backspace if self.cursor > 0 => {
                let before = self.before(self.cursor);
                self.remove(before, self.cursor, echo);
            }
            Key::Delete if self.cursor < self.line.len() => {
                self.remove(self.cursor, self.after(self.cursor), echo)
            }
            Key::KillLine if self.cursor > 0 => self.remove(0, self.cursor, echo),
            Key::KillRest if self.cursor < self.line.len() => self.remove(self.cursor, self.line.len(), echo),
            Key::KillWord if self.cursor > 0 => self.remove(self.word(), self.cursor, echo),
            Key::Left => self.go_to(self.before(self.cursor), echo),
            Key::Right => self.go_to(self.after(self.cursor), echo),
            Key::Home => self.go_to(0, echo),
            Key::End => self.go_to(self.line.len(), echo),
            Key::Up => {
                let found = self.history.earlier(&self.line);
                self.replace(found, echo);
            }
            Key::Down => {
                let found = self.history.later();
                self.replace(found, echo);
            }
            Key::Backspace | Key::Delete | Key::KillLine | Key::KillRest | Key::KillWord | Key::Unknown => {}
        }
        Edit::Going
    }

    fn insert(&mut self, bytes: &[u8], echo: &mut String) {
        if self.line.len() + bytes.len() > MAX_LINE {
            echo.push('\x07');
            return;
        }
        let (from, at_end) = (self.cursor, self.cursor == self.line.len());
        self.line.splice(self.cursor..self.cursor, bytes.iter().copied());
        // Alone they may be no character and together with a neighbour one, or a mark over it: the cursor stays between two glyphs.
        self.cursor = self.boundary(from + bytes.len());
        let apart = core::str::from_utf8(bytes).is_ok() && self.boundary(from) == from;
        if at_end && apart && self.columns(self.first, self.cursor) <= self.room() {
            glyphs(bytes).for_each(|glyph| glyph.show(echo));
        } else {
            self.redraw(echo);
        }
    }

    fn remove(&mut self, from: usize, to: usize, echo: &mut String) {
        let at_end = to == self.line.len() && self.cursor == to;
        let removed: Vec<u8> = self.line.drain(from..to).collect();
        self.cursor = self.boundary(from);
        let columns: usize = glyphs(&removed).map(|glyph| glyph.columns()).sum();
        if at_end && columns == 1 && self.cursor > self.first {
            echo.push_str("\x08 \x08");
        } else {
            self.redraw(echo);
        }
    }

    fn go_to(&mut self, cursor: usize, echo: &mut String) {
        if cursor != self.cursor {
            self.cursor = cursor;
            self.redraw(echo);
        }
    }

    fn replace(&mut self, line: Option<Vec<u8>>, echo: &mut String) {
        let Some(line) = line else { return };
        self.line = line;
        self.cursor = self.line.len();
        self.redraw(echo);
    }

    fn end(&mut self, echo: &mut String) -> Edit {
        echo.push_str("\r\n");
        let line = self.take();
        self.history.keep(&line);
        Edit::Line(line)
    }

    fn take(&mut self) -> Vec<u8> {
        (self.cursor, self.first) = (0, 0);
        self.history.leave();
        core::mem::take(&mut self.line)
    }

    /// Columns right of the prompt; the last three of the row stay empty: two for `^C`, and one because a terminal may wrap when its
    /// last one is written to.
    const fn room(&self) -> usize {
        COLUMNS - 3 - self.prompt
    }

    fn to_column(&self, column: usize, echo: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(echo, "\r\x1b[{}C", self.prompt + column);
    }

    fn columns(&self, from: usize, to: usize) -> usize {
        glyphs(self.line.get(from..to).unwrap_or_default()).map(|glyph| glyph.columns()).sum()
    }

    /// Moves the window so that the cursor is in it.
    fn move_window(&mut self) {
        self.first = self.boundary(self.first.min(self.line.len()));
        if self.cursor < self.first || self.columns(self.first, self.cursor) > self.room() {
            let keep = if self.cursor < self.first { JUMP } else { self.room() - JUMP };
            self.first = self.cursor;
            while self.first > 0 && self.columns(self.before(self.first), self.cursor) <= keep {
                self.first = self.before(self.first);
            }
        }
    }

    /// The end of the glyph in which `at` lies, or `at` when it is between two.
    fn boundary(&self, at: usize) -> usize {
        self.boundaries().find(|end| *end >= at).unwrap_or(self.line.len())
    }

    fn before(&self, at: usize) -> usize {
        self.boundaries().take_while(|end| *end < at).last().unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        self.boundaries().find(|end| *end > at).unwrap_or(self.line.len())
    }

    /// The places between glyphs, the start and the end of the line among them.
    fn boundaries(&self) -> impl Iterator<Item = usize> + '_ {
        core::iter::once(0).chain(glyphs(&self.line).scan(0, |end, glyph: Glyph<'_>| {
            *end += glyph.length();
            Some(*end)
        }))
    }

    /// Where the word before the cursor begins.
    fn word(&self) -> usize {
        let before = self.line.get(..self.cursor).unwrap_or_default();
        let end = before.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        before.iter().take(end).rposition(|byte| *byte == b' ').map_or(0, |blank| blank + 1)
    }
}

#[cfg(test)]
mod tests;
