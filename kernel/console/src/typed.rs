//! What was typed and not looked at yet, and what Ctrl-C does to it.
//!
//! Ctrl-C is for the command that runs; when none does, or the one that does ends before it looks, it is a key like others and gives
//! up the line. Either way it comes before all that was typed ahead of it, and that is forgotten, as terminals do.

use alloc::collections::VecDeque;

/// Bytes that are kept; more are lost: nobody types that far ahead.
const MOST: usize = 4096;

const CTRL_C: u8 = 3;

/// Bytes in the order in which they came. A Ctrl-C is always the first, and the only one.
#[derive(Debug, Default)]
pub(crate) struct Typed(VecDeque<u8>);

impl Typed {
    /// Takes a byte.
    pub(crate) fn push(&mut self, byte: u8) {
        if byte == CTRL_C {
            self.0.clear();
        }
        if self.0.len() < MOST {
            self.0.push_back(byte);
        }
    }

    /// The next byte.
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.0.pop_front()
    }

    /// Whether Ctrl-C waits for somebody to take it.
    pub(crate) fn has_interrupt(&self) -> bool {
        self.0.front() == Some(&CTRL_C)
    }

    /// Takes the Ctrl-C that waits: what it was to stop has stopped.
    pub(crate) fn take_interrupt(&mut self) {
        if self.has_interrupt() {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_comes_first_and_forgets_what_was_typed_ahead() {
        let mut typed = Typed::default();
        b"ab\x03\x03cd".iter().for_each(|byte| typed.push(*byte));
        assert!(typed.has_interrupt());
        typed.take_interrupt();
        assert!(!typed.has_interrupt());
        typed.take_interrupt();
        assert_eq!([typed.next(), typed.next(), typed.next()], [Some(b'c'), Some(b'd'), None]);
    }

    #[test]
    fn it_is_bounded_and_ctrl_c_has_room_in_it() {
        let mut typed = Typed::default();
        (0..2 * MOST).for_each(|_| typed.push(b'x'));
        assert_eq!(typed.0.len(), MOST);
        typed.push(CTRL_C);
        assert!(typed.has_interrupt());
    }
}
