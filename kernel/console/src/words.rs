//! Words of a line, and names as they are shown. One notation for both: what is shown as a word can be typed as one.
//!
//! Words stand between blanks. In `'…'` every byte stands for itself. In `"…"` and outside, a backslash takes the power from
//! the sign after it, and `\n`, `\t`, `\r`, `\xHH` and three octal digits (as `ls -b` prints them) are bytes.

use alloc::{string::String, vec::Vec};

use crate::glyph::{Glyph, glyphs};

/// Why a line has no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote that is not closed.
    #[error("cannot read the line: a {} is not closed; close it, or put \\ before it", char::from(*.0))]
    Open(u8),
    /// A backslash before nothing that it could mean.
    #[error(
        "cannot read the line: \\ is followed by nothing it could mean; \\\\ is a backslash, \\xHH a byte"
    )]
    Escape,
}

/// The words of a line.
///
/// # Errors
/// [`WordError`] for a quote or an escape that has no end.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, WordError> {
    let mut words = Vec::new();
    // `None` between words, so that '' is one.
    let mut word: Option<Vec<u8>> = None;
    let mut rest = line.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take()),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(WordError::Open(byte))? {
                        b'\'' => break,
                        other => word.push(other),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(WordError::Open(byte))? {
                        b'"' => break,
                        b'\\' => word.push(escaped(&mut rest)?),
                        other => word.push(other),
                    }
                }
            }
            b'\\' => word.get_or_insert_default().push(escaped(&mut rest)?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The byte of an escape whose backslash was read.
fn escaped(rest: &mut impl Iterator<Item = u8>) -> Result<u8, WordError> {
    let digit = |byte: Option<u8>, radix: u32| {
        let value = byte.and_then(|byte| char::from(byte).to_digit(radix));
        value.map(|value| value as u8).ok_or(WordError::Escape)
    };
    match rest.next().ok_or(WordError::Escape)? {
        b'n' => Ok(b'\n'),
        b't' => Ok(b'\t'),
        b'r' => Ok(b'\r'),
        b'x' => Ok(digit(rest.next(), 16)? * 16 + digit(rest.next(), 16)?),
        high @ b'0'..=b'3' => Ok((high - b'0') * 64 + digit(rest.next(), 8)? * 8 + digit(rest.next(), 8)?),
        byte if byte.is_ascii_alphanumeric() => Err(WordError::Escape),
        byte => Ok(byte),
    }
}

/// Any bytes as one word.
pub fn shown(name: &[u8]) -> String {
    if name.is_empty() {
        return String::from("''");
    }
    let mut out = String::with_capacity(name.len());
    for glyph in glyphs(name) {
        if let Glyph::Seen(text) = glyph
            && text.starts_with([' ', '\\', '\'', '"'])
        {
            out.push('\\');
        }
        glyph.show(&mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).unwrap();
        words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn blanks_quotes_and_backslashes() {
        assert_eq!(words("  ls   -l\t/usr "), ["ls", "-l", "/usr"]);
        assert_eq!(words(r#"cat 'a b'"c d"e\ f"#), ["cat", "a bc de f"]);
        assert_eq!(words(r#"'a\b' "\"\\\x41" '' "#), ["a\\b", "\"\\A", ""]);
        assert_eq!(split(br"\xff\377\000\n").unwrap(), [b"\xff\xff\0\n"]);
        assert_eq!(words(""), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_does_not_end_is_refused() {
        assert_eq!(split(b"a 'b"), Err(WordError::Open(b'\'')));
        assert_eq!(split(b"\"b\\\""), Err(WordError::Open(b'"')));
        for line in [&b"a\\"[..], b"\\x4", b"\\xg0", b"\\q", b"\\8", b"\\400", b"\\18"] {
            assert_eq!(split(line), Err(WordError::Escape), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn names_are_shown_without_powers() {
        assert_eq!(shown(b"usr/bin/jq"), "usr/bin/jq");
        assert_eq!(shown(b"a b\n'c'\"\\\xff\x1b"), r#"a\ b\x0a\'c\'\"\\\xff\x1b"#);
        assert_eq!(shown("ünïcödé\u{202e}".as_bytes()), "ünïcödé\\xe2\\x80\\xae");
        assert_eq!(shown(b""), "''");
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_typed(names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5)) {
            let line = names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(line.as_bytes()).unwrap(), names);
            prop_assert!(!line.chars().any(crate::glyph::is_unseen));
        }

        #[test]
        fn any_line_is_words_or_an_error(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(words) = split(&line) {
                prop_assert!(words.iter().map(Vec::len).sum::<usize>() <= line.len());
            }
        }
    }
}
