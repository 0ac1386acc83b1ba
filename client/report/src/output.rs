//! Writing to stdout and stderr: nobody who stops reading ends a program, and nobody's text steers a terminal.
//!
//! [`say!`](crate::say), [`put!`](crate::put) and [`tell!`](crate::tell) are written like `println!`, `print!` and `eprintln!`, which panic when a
//! pipe is closed: with `pkg upgrade | head` that would be between a flip and its health check. What a publisher wrote goes through
//! [`plain`] wherever it is shown.

use crate::{ExitCode, Failure};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

/// Why stdout could not be written, if it could not: a full disk, say, but not a pipe that nobody reads.
static FAILED: OnceLock<String> = OnceLock::new();

/// Prints a line on stdout.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::output::to_stdout(format_args!($($text)*), "\n") };
}

/// Prints on stdout without ending the line.
#[macro_export]
macro_rules! put {
    ($($text:tt)*) => { $crate::output::to_stdout(format_args!($($text)*), "") };
}

/// Prints a line on stderr.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => { $crate::output::to_stderr(format_args!($($text)*), "\n") };
}

/// Asks on stderr, and leaves the cursor there.
#[macro_export]
macro_rules! prompt {
    ($($text:tt)*) => { $crate::output::to_stderr(format_args!($($text)*), "") };
}

/// What the macros for stdout do. A failure is kept for [`check`].
pub fn to_stdout(text: fmt::Arguments<'_>, end: &str) {
    let mut out = io::stdout().lock();
    let text = lines(text, out.is_terminal(), end);
    keep(out.write_all(text.as_bytes()));
}

/// What the macros for stderr do. There is nobody to tell of a failure.
pub fn to_stderr(text: fmt::Arguments<'_>, end: &str) {
    let mut out = io::stderr().lock();
    let text = lines(text, out.is_terminal(), end);
    let _ = out.write_all(text.as_bytes());
}

/// Whether all that was said reached stdout, or nobody wanted it.
///
/// # Errors
/// When stdout could not be written.
pub fn check() -> Result<(), Failure> {
    keep(io::stdout().lock().flush());
    match FAILED.get() {
        Some(why) => Err(Failure::new(ExitCode::Failure, format!("writing to stdout: {why}"))),
        None => Ok(()),
    }
}

fn keep(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => _ = FAILED.set(error.to_string()),
        _ => {}
    }
}

fn lines(text: fmt::Arguments<'_>, terminal: bool, end: &str) -> String {
    let mut text = text.to_string();
    if terminal {
        text =
            text.chars().map(|c| if is_unseen(c) && !matches!(c, '\n' | '\t') { SIGN } else { c }).collect();
    }
    text + end
}

/// Stands for what is not shown.
const SIGN: char = char::REPLACEMENT_CHARACTER;

/// Whether a character moves a terminal's cursor, or makes a line read otherwise than it is written: control characters of ASCII and of
/// Latin-1, ends of lines, and marks of direction (Unicode standard annex 9).
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of somebody's text, which says what it seems to say.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(is_unseen) {
        text.chars().map(|c| if is_unseen(c) { SIGN } else { c }).collect()
    } else {
        text.into()
    }
}

/// A path or name for a terminal. For anybody else it is bytes, and stays as it is.
pub fn plain_bytes(name: &[u8]) -> Vec<u8> {
    plain(&String::from_utf8_lossy(name)).into_owned().into_bytes()
}

/// JSON with all of that as escapes, which mean the same.
pub(crate) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Line ends stand between members; within a text serde has escaped them.
        match c {
            c if is_unseen(c) && c != '\n' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[2J\u{9b}m\r\u{202e}b\u{2066}\u{61c}\nc\u{7f}é\t";

    #[test]
    fn texts_of_others_are_one_line_without_powers() {
        assert_eq!(
            plain(EVIL),
            "a\u{fffd}[2J\u{fffd}m\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}c\u{fffd}é\u{fffd}"
        );
        assert!(matches!(plain("a plain one, with é and 字"), Cow::Borrowed(_)));
        assert_eq!(plain_bytes(b"a\x1b\x9bb"), "a\u{fffd}\u{fffd}b".as_bytes());
    }

    #[test]
    fn a_terminal_gets_lines_and_a_pipe_gets_what_there_is() {
        assert_eq!(lines(format_args!("{EVIL}"), false, "\n"), format!("{EVIL}\n"));
        let shown = lines(format_args!("{EVIL}"), true, "");
        assert!(
            shown.ends_with("\nc\u{fffd}é\t") && !shown.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
            "{shown:?}"
        );
    }

    #[test]
    fn json_says_the_same_with_escapes() {
        let value = serde_json::json!({"summary": EVIL, "list": ["é"]});
        let text = escaped(&format!("{value:#}"));
        assert!(!text.contains(|c| is_unseen(c) && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
