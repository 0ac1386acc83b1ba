//! Where answers go. A long one can be stopped.

use alloc::string::String;
use core::fmt;

use crate::glyph;

/// Ctrl-C was typed while a command ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped")]
pub struct Interrupted;

/// A terminal, or what stands for one.
pub trait Screen {
    /// Shows bytes as they are.
    ///
    /// # Errors
    /// [`Interrupted`] when Ctrl-C was typed since the command began; the command then ends.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Interrupted>;

    /// Called in the middle of work that shows nothing for a while, after at most some megabytes: here the image does what
    /// cannot wait, as answering the network.
    ///
    /// # Errors
    /// As [`Screen::write`].
    fn breathe(&mut self) -> Result<(), Interrupted>;
}

/// What commands write to: lines of text on a screen.
pub(crate) struct Out<'a, S>(pub(crate) &'a mut S);

impl<S: Screen> Out<'_, S> {
    /// One line. Texts of others in it must have been made harmless ([`crate::words::shown`], [`glyph::line`]).
    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) -> Result<(), Interrupted> {
        let mut line = alloc::fmt::format(text);
        line.push_str("\r\n");
        self.0.write(line.as_bytes())
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
        self.0.write(shown.as_bytes())
    }

    pub(crate) fn breathe(&mut self) -> Result<(), Interrupted> {
        self.0.breathe()
    }
}
