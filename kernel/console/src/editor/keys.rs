//! Bytes of a terminal as keys: control characters, VT100 sequences, characters of UTF-8 that come byte by byte.

use alloc::vec::Vec;

use crate::glyph::is_start;

/// A key, or what a terminal sent for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A character, or bytes that are none.
    Text(Vec<u8>),
    Enter,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    Backspace,
    Delete,
    /// From the start to the cursor.
    KillLine,
    /// From the cursor to the end.
    KillRest,
    KillWord,
    Interrupt,
    Clear,
    /// Nothing that does anything here.
    Unknown,
}

/// Longest sequence that is waited for; what is longer is dropped up to its end.
const MAX_SEQUENCE: usize = 16;

/// Puts bytes together to keys.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    /// Whether the last byte was a carriage return: a line feed after it belongs to it.
    after_return: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Plain,
    /// The start of a character.
    Character(Vec<u8>),
    /// ESC was read.
    Escape,
    /// ESC [ or ESC O was read; the parameters so far.
    Sequence(Vec<u8>),
}

impl Decoder {
    /// The keys that this byte completes: none, one, or the bytes that are no character after all and the key after them.
    pub(super) fn push(&mut self, byte: u8) -> [Option<Key>; 2] {
        let after_return = core::mem::take(&mut self.after_return);
        match core::mem::take(&mut self.state) {
            State::Plain => [self.plain(byte, after_return), None],
            State::Character(mut bytes) if matches!(byte, 0x80..=0xbf) => {
                bytes.push(byte);
                if is_start(&bytes) {
                    self.state = State::Character(bytes);
                    return [None, None];
                }
                [Some(Key::Text(bytes)), None]
            }
            State::Character(bytes) => [Some(Key::Text(bytes)), self.plain(byte, false)],
            State::Escape => {
                if matches!(byte, b'[' | b'O') {
                    self.state = State::Sequence(Vec::new());
                    return [None, None];
                }
                // A lone Escape does nothing; what was typed after it counts.
                [self.plain(byte, false), None]
            }
            State::Sequence(mut parameters) => {
                if matches!(byte, 0x20..=0x3f) {
                    if parameters.len() < MAX_SEQUENCE {
                        parameters.push(byte);
                    }
                    self.state = State::Sequence(parameters);
                    return [None, None];
                }
                if byte < 0x20 {
                    // No sequence goes on with a control character: the line was disturbed.
                    return [self.plain(byte, false), None];
                }
                [Some(sequence(&parameters, byte)), None]
            }
        }
    }

    fn plain(&mut self, byte: u8, after_return: bool) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.after_return = true;
                Key::Enter
            }
            b'\n' if after_return => return None,
            b'\n' => Key::Enter,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::Interrupt,
            0x04 => Key::Delete,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::Backspace,
            0x0b => Key::KillRest,
            0x0c => Key::Clear,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::KillLine,
            0x17 => Key::KillWord,
            0x00..=0x1f => Key::Unknown,
            0xc2..=0xf4 => {
                self.state = State::Character(alloc::vec![byte]);
                return None;
            }
            _ => Key::Text(alloc::vec![byte]),
        })
    }
}

fn sequence(parameters: &[u8], last: u8) -> Key {
    match (parameters, last) {
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (_, b'C') => Key::Right,
        (_, b'D') => Key::Left,
        (_, b'H') | (b"1" | b"7", b'~') => Key::Home,
        (_, b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"3", b'~') => Key::Delete,
        _ => Key::Unknown,
    }
}
