//! Bytes as they are shown: what can be seen as it is, everything else as `\xHH`, so that no name and no file has power over a
//! terminal.
//!
//! Columns are those of Unicode standard annex 11, character by character, as terminals count them: two for East Asian wide ones and
//! for pictures, none for marks that are drawn over the character before them. A mark without one is not seen, but told.

use alloc::string::String;

use unicode_width::UnicodeWidthChar;

/// One unit of text: what the cursor passes over in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glyph<'a> {
    /// A character that is seen, with the marks over it.
    Seen(&'a str),
    /// A character that is not, or a byte that is none.
    Unseen(&'a [u8]),
}

impl Glyph<'_> {
    /// Bytes of the line that it stands for.
    pub(crate) const fn length(&self) -> usize {
        match self {
            Self::Seen(text) => text.len(),
            Self::Unseen(bytes) => bytes.len(),
        }
    }

    /// Columns that it takes: at least one.
    pub(crate) fn columns(&self) -> usize {
        match self {
            Self::Seen(text) => text.chars().map(columns).sum(),
            Self::Unseen(bytes) => bytes.len() * 4,
        }
    }

    /// Appends what is shown.
    pub(crate) fn show(&self, out: &mut String) {
        match self {
            Self::Seen(text) => out.push_str(text),
            Self::Unseen(bytes) => bytes.iter().for_each(|byte| escape(*byte, out)),
        }
    }
}

/// Columns of a character by itself.
fn columns(character: char) -> usize {
    character.width().unwrap_or_default()
}

/// Whether a character is drawn over the one before it.
fn is_mark(character: char) -> bool {
    !is_unseen(character) && columns(character) == 0
}

/// Appends a byte as `\xHH`.
pub(crate) fn escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\x");
    for digit in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(digit)).map(|digit| char::from(*digit)));
    }
}

/// Whether a character moves a terminal's cursor, makes a line read otherwise than it is written, or is nothing to look at: control
/// characters, ends of lines, and all that Unicode 15.1 gives the property Default_Ignorable_Code_Point, marks of direction among it.
/// So no two names look alike for what nobody can see; an emoji that is joined of several is shown in its parts.
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The glyphs of some bytes, in order; together they are all of them. Those of the bytes behind a glyph are the same ones.
pub(crate) fn glyphs(bytes: &[u8]) -> impl Iterator<Item = Glyph<'_>> {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| of_text(chunk.valid()).chain(chunk.invalid().chunks(1).map(Glyph::Unseen)))
}

fn of_text(mut rest: &str) -> impl Iterator<Item = Glyph<'_>> {
    core::iter::from_fn(move || {
        let mut characters = rest.char_indices();
        let (_, first) = characters.next()?;
        let is_seen = !is_unseen(first) && !is_mark(first);
        let end = match characters.find(|(_, next)| !is_seen || !is_mark(*next)) {
            Some((at, _)) => at,
            None => rest.len(),
        };
        let (glyph, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(if is_seen { Glyph::Seen(glyph) } else { Glyph::Unseen(glyph.as_bytes()) })
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

/// Marks over one character that [`whole`] looks for; of more, those behind a cut are told as bytes.
const MARKS: usize = 16;

/// How many of these bytes are whole glyphs, if more bytes follow: what is shown in pieces is cut there. The start of a character waits
/// for its end, and the last character for marks over it.
pub(crate) fn whole(bytes: &[u8]) -> usize {
    let Some(last) = bytes.utf8_chunks().last() else { return 0 };
    if !last.invalid().is_empty() && !is_start(last.invalid()) {
        return bytes.len();
    }
    let end = bytes.len() - last.invalid().len();
    let mut behind = last.valid().char_indices().rev().take(MARKS);
    let waits = behind.find(|(_, character)| !is_mark(*character)).filter(|(_, base)| !is_unseen(*base));
    waits.map_or(end, |(at, _)| end - (last.valid().len() - at))
}

/// Whether these bytes could become a character.
pub(crate) fn is_start(bytes: &[u8]) -> bool {
    !bytes.is_empty() && core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn glyphs_are_all_of_the_bytes() {
        let line = b"a\xc3\xbc\xff\xcc\x88x\xcc\x88\xcc\x88\x1b[2J\xe2\x80\xae\xf0\x9f\x8e";
        let bytes = |glyph| match glyph {
            Glyph::Seen(text) => text.as_bytes(),
            Glyph::Unseen(bytes) => bytes,
        };
        assert_eq!(glyphs(line).flat_map(bytes).copied().collect::<Vec<u8>>(), line);
        assert_eq!(glyphs(line).map(|glyph| glyph.length()).sum::<usize>(), line.len());
        // From any place between two of them on they are the same.
        let all: Vec<Glyph<'_>> = glyphs(line).collect();
        let mut at = 0;
        for number in 0..all.len() {
            assert_eq!(glyphs(&line[at..]).collect::<Vec<_>>(), all[number..]);
            at += all[number].length();
        }
    }

    #[test]
    fn columns_are_those_of_terminals() {
        let columns = |text: &str| glyphs(text.as_bytes()).map(|glyph| glyph.columns()).collect::<Vec<_>>();
        assert_eq!(columns("aü\u{434}\u{30b}"), [1, 1, 1], "a mark belongs to what is before it");
        assert_eq!(columns("日本\u{ff21}🎉"), [2, 2, 2, 2]);
        assert_eq!(columns("日\u{301}x"), [2, 1]);
        assert_eq!(columns("\u{301}x"), [8, 1], "a mark over nothing is told");
        assert_eq!(columns("\x1b\u{301}"), [4, 8]);
        assert_eq!(columns("\u{200b}"), [12], "what has nothing to look at is told");
    }

    #[test]
    fn what_is_shown_has_no_powers() {
        assert_eq!(text(b"a\tb\nc\x1b[2J\xffd\xc3\xbc\r"), "a\tb\nc\\x1b[2J\\xffdü\\x0d");
        assert_eq!(line("a\nb\u{202e}"), "a\\x0ab\\xe2\\x80\\xae");
    }

    #[test]
    fn a_glyph_is_never_cut() {
        assert_eq!(whole("aü\n".as_bytes()), 4);
        assert_eq!(whole("aü".as_bytes()), 1, "a mark may follow");
        assert_eq!(whole("au\u{308}".as_bytes()), 1);
        assert_eq!(whole(b"\na\xc3"), 1);
        assert_eq!(whole(b"a\xff"), 2, "a byte that is no character is not waited for");
        assert_eq!(whole(b"\xf0\x9f\x8e"), 0);
        assert_eq!(whole(b""), 0);
        let many = ["u", "\u{308}".repeat(MARKS).as_str()].concat();
        assert_eq!(whole(many.as_bytes()), many.len(), "a bound on what waits");
    }
}
