//! Lines that were typed, bounded in number and bytes.

use alloc::{collections::VecDeque, vec::Vec};

/// Most lines that are kept.
const MAX_LINES: usize = 100;

/// Most bytes of all lines.
const MAX_BYTES: usize = 64 << 10;

/// The history, with the place in it that is being looked at.
#[derive(Debug, Default)]
pub struct History {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How many lines back; 0 is the line that is being typed.
    back: usize,
    /// The line that was being typed when somebody went back.
    draft: Vec<u8>,
}

impl History {
    /// The lines, the oldest first.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.lines.iter().map(Vec::as_slice)
    }

    /// Keeps a line, but no blank one and none twice in a row.
    pub(super) fn keep(&mut self, line: &[u8]) {
        if line.iter().all(|byte| *byte == b' ') || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_vec());
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// The line before the one that is looked at; `None` at the oldest. `line` is what stands there now.
    pub(super) fn earlier(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let found = self.at(self.back + 1)?;
        if self.back == 0 {
            self.draft = line.to_vec();
        }
        self.back += 1;
        Some(found)
    }

    /// The line after it, at last the one that was being typed; `None` when that is looked at.
    pub(super) fn later(&mut self) -> Option<Vec<u8>> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 { Some(core::mem::take(&mut self.draft)) } else { self.at(self.back) }
    }

    /// Back to a line that is being typed.
    pub(super) fn leave(&mut self) {
        self.back = 0;
        self.draft.clear();
    }

    fn at(&self, back: usize) -> Option<Vec<u8>> {
        self.lines.get(self.lines.len().checked_sub(back)?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_and_forth() {
        let mut history = History::default();
        assert_eq!(history.earlier(b"x"), None);
        for line in [&b"one"[..], b"two", b"two", b"  ", b"three"] {
            history.keep(line);
        }
        assert_eq!(history.lines().collect::<Vec<_>>(), [&b"one"[..], b"two", b"three"]);
        assert_eq!(history.earlier(b"draft").unwrap(), b"three");
        assert_eq!(history.earlier(b"three").unwrap(), b"two");
        assert_eq!(history.earlier(b"two").unwrap(), b"one");
        assert_eq!(history.earlier(b"one"), None);
        assert_eq!(history.later().unwrap(), b"two");
        assert_eq!(history.later().unwrap(), b"three");
        assert_eq!(history.later().unwrap(), b"draft");
        assert_eq!(history.later(), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut history = History::default();
        for number in 0..1000u32 {
            history.keep(alloc::format!("line {number}").as_bytes());
        }
        assert_eq!(history.lines().len(), MAX_LINES);
        for number in 0..20u8 {
            history.keep(&alloc::vec![b'a' + number; 16_000]);
        }
        assert!(history.lines().map(<[u8]>::len).sum::<usize>() <= MAX_BYTES);
        assert_eq!(history.lines().last().unwrap()[0], b'a' + 19, "the newest is kept");
    }
}
