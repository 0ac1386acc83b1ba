//! Bytes as they are shown: what can be seen as it is, everything else as `\xHH`, so that no name and no file has power over a
//! terminal.

use alloc::string::String;

/// One unit of text: what the cursor passes over in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glyph<'a> {
    /// A character that is seen.
    Seen(char),
    /// A character that is not, or a byte that is none.
    Unseen(&'a [u8]),
}

impl Glyph<'_> {
    /// Bytes of the line that it stands for.
    pub(crate) const fn length(&self) -> usize {
        match self {
            Self::Seen(character) => character.len_utf8(),
            Self::Unseen(bytes) => bytes.len(),
        }
    }

    /// Columns that it takes. Every character counts as one: widths would need a table of Unicode.
    pub(crate) const fn columns(&self) -> usize {
        match self {
            Self::Seen(_) => 1,
            Self::Unseen(bytes) => bytes.len() * 4,
        }
    }

    /// Appends what is shown.
    pub(crate) fn show(&self, out: &mut String) {
        match self {
            Self::Seen(character) => out.push(*character),
            Self::Unseen(bytes) => bytes.iter().for_each(|byte| escape(*byte, out)),
        }
    }
}

/// Appends a byte as `\xHH`.
pub(crate) fn escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    for digit in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(digit)).map(|digit| char::from(*digit)));
    }
}

/// Whether a character moves a terminal's cursor, or makes a line read otherwise than it is written: control characters, ends of
/// lines, and marks of direction (Unicode standard annex 9).
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The glyphs of some bytes, in order; together they are all of them.
pub(crate) fn glyphs(bytes: &[u8]) -> impl Iterator<Item = Glyph<'_>> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid();
        let characters = valid.char_indices().map(move |(at, character)| {
            let end = at + character.len_utf8();
            if is_unseen(character) {
                Glyph::Unseen(valid.as_bytes().get(at..end).unwrap_or_default())
            } else {
                Glyph::Seen(character)
            }
        });
        characters.chain(chunk.invalid().chunks(1).map(Glyph::Unseen))
    })
}

/// Text of others, with line ends and tabs as they are and everything else that is unseen as `\xHH`.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for glyph in glyphs(bytes) {
        match glyph {
            Glyph::Unseen([byte @ (b'\n' | b'\t')]) => out.push(char::from(*byte)),
            glyph => glyph.show(&mut out),
        }
    }
    out
}

/// The same as one line: line ends are escaped, too.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    glyphs(text.as_bytes()).for_each(|glyph| glyph.show(&mut out));
    out
}

/// How many of these bytes are whole characters, if the rest is only the start of one: what is shown in pieces is cut there.
pub(crate) fn whole(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let cut =
        last.map(|chunk| chunk.invalid().to_vec()).filter(|rest| is_start(rest)).map_or(0, |rest| rest.len());
    bytes.len() - cut
}

/// Whether these bytes could become a character.
pub(crate) fn is_start(bytes: &[u8]) -> bool {
    !bytes.is_empty() && core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// All of the glyphs' bytes, for tests.
#[cfg(test)]
fn bytes(glyph: Glyph<'_>) -> alloc::vec::Vec<u8> {
    match glyph {
        Glyph::Seen(character) => alloc::string::String::from(character).into_bytes(),
        Glyph::Unseen(bytes) => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_all_of_the_bytes() {
        let line = b"a\xc3\xbc\xff\x1b[2J\xe2\x80\xae\xf0\x9f\x8e";
        let again: alloc::vec::Vec<u8> = glyphs(line).flat_map(bytes).collect();
        assert_eq!(again, line);
        assert_eq!(glyphs(line).map(|glyph| glyph.length()).sum::<usize>(), line.len());
    }

    #[test]
    fn what_is_shown_has_no_powers() {
        assert_eq!(text(b"a\tb\nc\x1b[2J\xffd\xc3\xbc\r"), "a\tb\nc\\x1b[2J\\xffdü\\x0d");
        assert_eq!(line("a\nb\u{202e}"), "a\\x0ab\\xe2\\x80\\xae");
    }

    #[test]
    fn a_character_is_never_cut() {
        assert_eq!(whole("aü".as_bytes()), 3);
        assert_eq!(whole(b"a\xc3"), 1);
        assert_eq!(whole(b"a\xff"), 2, "a byte that is no character is not waited for");
        assert_eq!(whole(b"\xf0\x9f\x8e"), 0);
        assert_eq!(whole(b""), 0);
    }
}
