//! The editor before a model of a terminal: after any keys the screen shows the line, with the cursor where it belongs.

use alloc::{string::ToString, vec};

use super::*;
use proptest::prelude::*;
use unicode_width::UnicodeWidthChar;

/// One row of a terminal of 80 columns, which knows what the editor uses and refuses everything else.
struct Terminal {
    /// Each cell has a character and the marks over it; nothing, if it is the right half of the one before it.
    rows: Vec<Vec<String>>,
    column: usize,
}

impl Terminal {
    fn new() -> Self {
        let mut terminal = Self { rows: vec![Vec::new()], column: 0 };
        terminal.write("plyos> ");
        terminal
    }

    fn write(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let row = self.rows.last_mut().unwrap();
            match character {
                '\r' => self.column = 0,
                '\n' => self.rows.push(Vec::new()),
                '\x08' => self.column = self.column.checked_sub(1).expect("backspace at the edge"),
                '\x07' => {}
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['));
                    let mut number = String::new();
                    let last = loop {
                        match rest.next().expect("a sequence ends") {
                            digit @ '0'..='9' => number.push(digit),
                            last => break last,
                        }
                    };
                    match (number.as_str(), last) {
                        (columns, 'C') => self.column += columns.parse::<usize>().unwrap(),
                        ("", 'K') => {
                            halve(row, self.column);
                            row.truncate(self.column);
                        }
                        ("", 'H') => self.column = 0,
                        ("2", 'J') => self.rows = vec![Vec::new()],
                        other => panic!("a terminal need not know {other:?}"),
                    }
                }
                seen => {
                    assert!(!crate::glyph::is_unseen(seen), "{seen:?} was sent");
                    let width = seen.width().unwrap();
                    if width == 0 {
                        let under = row[..self.column].iter_mut().rfind(|cell| !cell.is_empty());
                        under.expect("a mark over nothing").push(seen);
                    }
                    let end = self.column + width;
                    row.resize(row.len().max(end), " ".to_string());
                    halve(row, self.column);
                    halve(row, end);
                    for (number, cell) in row[self.column..end].iter_mut().enumerate() {
                        *cell = if number == 0 { seen.to_string() } else { String::new() };
                    }
                    self.column = end;
                }
            }
            assert!(self.column < COLUMNS, "the row is wrapped");
        }
    }

    fn row(&self) -> String {
        self.rows.last().unwrap().concat().trim_end().to_string()
    }
}

/// What lies across the place before this column is cut in two, and neither half is seen.
fn halve(row: &mut [String], column: usize) {
    if row.get(column).is_some_and(String::is_empty) {
        row[column - 1] = " ".to_string();
        row[column] = " ".to_string();
    }
}

struct Typed {
    editor: Editor,
    terminal: Terminal,
}

impl Typed {
    fn new() -> Self {
        Self { editor: Editor::new(7), terminal: Terminal::new() }
    }

    fn keys(&mut self, keys: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for byte in keys {
            let mut echo = String::new();
            let edit = self.editor.key(*byte, &mut echo);
            self.terminal.write(&echo);
            match edit {
                Edit::Going => continue,
                Edit::Line(line) => lines.push(line),
                Edit::Dropped => {}
                Edit::Cleared => {
                    self.terminal.write("plyos> ");
                    let mut echo = String::new();
                    self.editor.redraw(&mut echo);
                    self.terminal.write(&echo);
                    continue;
                }
            }
            self.terminal.write("plyos> ");
        }
        lines
    }

    /// The window of the line as the screen must show it.
    fn check(&self) {
        let editor = &self.editor;
        let (mut shown, mut columns) = (String::from("plyos> "), 0);
        for glyph in glyphs(&editor.line[editor.first..]) {
            columns += glyph.columns();
            if columns > editor.room() {
                break;
            }
            glyph.show(&mut shown);
        }
        assert_eq!(self.terminal.row(), shown.trim_end());
        assert_eq!(self.terminal.column, 7 + editor.columns(editor.first, editor.cursor));
    }
}

fn line_of(keys: &[u8]) -> String {
    let mut typed = Typed::new();
    let lines = typed.keys(&[keys, b"\r"].concat());
    assert_eq!(lines.len(), 1, "{lines:?}");
    String::from_utf8(lines[0].clone()).unwrap()
}

#[test]
fn editing_keys() {
    assert_eq!(line_of(b"ls /usr"), "ls /usr");
    assert_eq!(line_of(b"acd\x1b[D\x1b[Db"), "abcd");
    assert_eq!(line_of(b"bc\x01a\x05d"), "abcd");
    assert_eq!(line_of(b"bc\x1b[Ha\x1b[Fd"), "abcd");
    assert_eq!(line_of(b"bc\x1bOHa\x1b[4~d"), "abcd");
    assert_eq!(line_of(b"abx\x7fc"), "abc");
    assert_eq!(line_of(b"abxc\x1b[D\x08"), "abc");
    assert_eq!(line_of(b"abxc\x1b[D\x1b[D\x1b[3~"), "abc");
    assert_eq!(line_of(b"abxc\x1b[D\x1b[D\x04"), "abc");
    assert_eq!(line_of(b"abc def\x01\x0bxyz"), "xyz");
    assert_eq!(line_of(b"abc def\x1b[D\x15"), "f");
    assert_eq!(line_of(b"cat  two words  \x17x"), "cat  two x");
    assert_eq!(line_of("grüße\x7f\x7fn".as_bytes()), "grün");
    assert_eq!(line_of("日本\x1b[D\x7fx".as_bytes()), "x本");
    assert_eq!(line_of("u\u{308}x\x1b[D\x7f".as_bytes()), "x", "a mark goes with its character");
    assert_eq!(line_of(b"a\x0cb"), "ab", "clearing the screen keeps the line");
    assert_eq!(line_of(b"\x7f\x04\x1b[D\x1b[3~\x17\x15\x0ba"), "a", "nothing to remove");
    assert_eq!(line_of(b"dropped\x03kept"), "kept");
    assert_eq!(line_of(b"a\x1b[1;5Zb\x1b[20~c\x1bd\x00\x1f"), "abcd", "what is not known does nothing");
}

#[test]
fn history_keys() {
    let mut typed = Typed::new();
    let lines = typed.keys(b"one\rtwo\r\x1b[A\x1b[A\rdraft\x10\x0e\r");
    assert_eq!(lines, [&b"one"[..], b"two", b"one", b"draft"]);
}

#[test]
fn every_end_of_a_line_is_one() {
    assert_eq!(Typed::new().keys(b"a\rb\nc\r\nd\r\n\n"), [&b"a"[..], b"b", b"c", b"d", b""]);
}

#[test]
fn what_is_typed_at_the_end_is_echoed_and_nothing_else() {
    let mut editor = Editor::new(7);
    let mut echo = String::new();
    for byte in "ls -l '/ünï'\x7f\r".bytes() {
        editor.key(byte, &mut echo);
    }
    assert_eq!(echo, "ls -l '/ünï'\x08 \x08\r\n");
}

#[test]
fn wide_characters_and_marks_stand_where_the_cursor_says() {
    let mut typed = Typed::new();
    typed.keys("a日u\u{308}本b".as_bytes());
    assert_eq!(typed.terminal.column, 7 + 7);
    for column in [6, 4, 3, 1, 0] {
        typed.keys(b"\x1b[D");
        assert_eq!(typed.terminal.column, 7 + column);
        typed.check();
    }
    typed.keys(b"\x04\x04");
    typed.check();
    assert_eq!(typed.terminal.row(), "plyos> u\u{308}本b");
    // Typed at the end, a wide character is an echo like any other; a mark is not, for it changes what is there.
    typed.keys("\x05本\x7fx\u{301}\u{323}".as_bytes());
    typed.check();
    assert_eq!(typed.terminal.row(), "plyos> u\u{308}本bx\u{301}\u{323}");
}

#[test]
fn giving_up_a_long_line_wraps_nothing() {
    let mut typed = Typed::new();
    typed.keys(&[b'a'; 70]);
    typed.keys(b"\x03");
    typed.check();
}

#[test]
fn a_line_has_a_bound() {
    let mut typed = Typed::new();
    let line = typed.keys(&[&vec![b'a'; MAX_LINE + 10], &b"\r"[..]].concat()).remove(0);
    assert_eq!(line.len(), MAX_LINE);
}

proptest! {
    #[test]
    fn the_screen_shows_the_line(keys in proptest::collection::vec(prop_oneof![
        5 => proptest::collection::vec(b' '..=b'~', 1..30),
        3 => Just(b"\x1b[D".to_vec()),
        1 => Just(b"\x1b[C".to_vec()),
        1 => Just(b"\x1b[A".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just("ü🎉".as_bytes().to_vec()),
        2 => proptest::collection::vec(prop_oneof![Just("日"), Just("\u{308}"), Just("x"), Just("\u{200b}")], 1..40)
            .prop_map(|text| text.concat().into_bytes()),
        2 => proptest::collection::vec(any::<u8>(), 1..4),
        2 => (1u8..32).prop_map(|byte| vec![byte]),
    ], 0..40)) {
        let mut typed = Typed::new();
        for keys in keys {
            typed.keys(&keys);
            // In the middle of a character or a sequence nothing is shown yet.
            typed.check();
            prop_assert!(typed.editor.boundaries().any(|at| at == typed.editor.cursor));
        }
    }
}
