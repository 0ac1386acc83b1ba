//! Where answers go and keys come from. A long answer can be stopped.

use alloc::string::String;
use core::fmt;

use crate::{glyph, typed::Typed};

/// Ctrl-C was typed while a command ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Interrupted;

/// A terminal, or what stands for one. It only carries bytes; what they mean is decided here.
pub trait Terminal {
    /// Shows bytes as they are.
    fn write(&mut self, bytes: &[u8]);

    /// The next byte that was typed, if there is one.
    fn receive(&mut self) -> Option<u8>;

    /// Called in the middle of work that shows nothing for a while, after at most some megabytes: here the image does what
    /// cannot wait, as answering the network.
    fn breathe(&mut self);
}

/// What commands write to: lines of text on a terminal, until Ctrl-C is typed there.
pub(crate) struct Out<'a, T> {
    pub(crate) terminal: &'a mut T,
    /// Where that goes which is typed meanwhile.
    pub(crate) typed: &'a mut Typed,
}

impl<T: Terminal> Out<'_, T> {
    /// One line. Texts of others in it must have been made harmless ([`crate::words::shown`], [`glyph::line`]).
    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) -> Result<(), Interrupted> {
        let mut line = alloc::fmt::format(text);
        line.push_str("\r\n");
        self.raw(&line)
    }

    /// A piece of somebody's text, as far as it can be shown.
    pub(crate) fn text(&mut self, bytes: &[u8]) -> Result<(), Interrupted> {
        let mut shown = String::with_capacity(bytes.len());
        for piece in glyph::text(bytes).split_inclusive('\n') {
            match piece.strip_suffix('\n') {
                Some(line) => {
                    shown.push_str(line);
                    shown.push_str("\r\n");
                }
                None => shown.push_str(piece),
            }
        }
        self.raw(&shown)
    }

    /// Text of this crate, as it is.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Interrupted> {
        if !text.is_empty() {
            self.terminal.write(text.as_bytes());
        }
        self.listen()
    }

    /// To be called in the middle of work that shows nothing ([`Terminal::breathe`]).
    pub(crate) fn breathe(&mut self) -> Result<(), Interrupted> {
        self.terminal.breathe();
        self.listen()
    }

    /// Takes what was typed meanwhile.
    fn listen(&mut self) -> Result<(), Interrupted> {
        while let Some(byte) = self.terminal.receive() {
            self.typed.push(byte);
        }
        if self.typed.has_interrupt() { Err(Interrupted) } else { Ok(()) }
    }
}
