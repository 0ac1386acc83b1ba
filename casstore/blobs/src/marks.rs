//! Names as claims and tombstones hold them: 16 bytes of hash for each key, and how long the list is good for.
//!
//! That two names have one mark does no harm: what is claimed or referred to by mistake is kept, and a writer that meets the
//! tombstone of another name waits for nothing. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;

use crate::digest::{bytes_of, hex};

/// First word of a list. Another one is of a version that is not known here, and is not passed over.
const TITLE: &str = "plyos-marks-1";
/// Bytes of a line with a mark.
const LINE: usize = 33;
/// Longest first line.
const LONGEST_HEAD: usize = 64;
/// Most marks in a list: above a composed blob's extents, a manifest's references, and a batch of a clean-up.
pub(crate) const MOST_MARKS: usize = 128 * 1024;
/// Longest list in bytes.
pub(crate) const LONGEST_LIST: usize = LONGEST_HEAD + MOST_MARKS * LINE;

/// What stands for a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Mark([u8; 16]);

impl Mark {
    /// The first bytes of the key's BLAKE3.
    pub(crate) fn of(key: &Path) -> Self {
        let mut mark = [0; 16];
        let mut hasher = blake3::Hasher::new();
        hasher.update(key.as_ref().as_bytes()).finalize_xof().fill(&mut mark);
        Self(mark)
    }

    /// Its first bits as a number, for parting marks evenly.
    pub(crate) fn rank(&self) -> u16 {
        let [first, second, ..] = self.0;
        u16::from_be_bytes([first, second])
    }
}

/// A list of marks, sorted, with its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkList {
    /// How long after its time of change it counts. Whoever wrote it stops well before.
    pub(crate) life: Duration,
    marks: Vec<Mark>,
}

impl MarkList {
    pub(crate) fn new(life: Duration, mut marks: Vec<Mark>) -> Self {
        marks.sort_unstable();
        marks.dedup();
        Self { life, marks }
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Whether a mark of `other`, sorted, is in this list.
    pub(crate) fn meets(&self, other: &[Mark]) -> bool {
        other.iter().any(|mark| self.marks.binary_search(mark).is_ok())
    }

    pub(crate) fn emit(&self) -> Bytes {
        let mut text = String::with_capacity(LONGEST_HEAD + self.marks.len() * LINE);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{TITLE} {} {}", self.life.as_secs(), self.marks.len());
        for Mark(mark) in &self.marks {
            let _ = writeln!(text, "{}", hex(mark));
        }
        text.into()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split('\n');
        let (life, count) = lines.next()?.strip_prefix(TITLE)?.strip_prefix(' ')?.split_once(' ')?;
        // Unsigned, and no more than a century, so that adding it to a time is a time.
        let life = Duration::from_secs(u64::from(life.parse::<u32>().ok()?));
        let marks: Option<Vec<Mark>> =
            lines.take(MOST_MARKS + 1).map(|line| bytes_of(line).ok().map(Mark)).collect();
        let marks = marks.filter(|marks| marks.len() <= MOST_MARKS && Ok(marks.len()) == count.parse())?;
        Some(Self::new(life, marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(key: &str) -> Mark {
        Mark::of(&Path::from(key))
    }

    #[test]
    fn a_list_is_read_back() {
        let list = MarkList::new(Duration::from_secs(600), vec![mark("b"), mark("a"), mark("b")]);
        assert_eq!(list.marks().len(), 2);
        assert_eq!(MarkList::parse(&list.emit()), Some(list.clone()));
        assert!(list.meets(&[mark("a"), mark("c")]) && !list.meets(&[mark("c")]));
        let empty = MarkList::new(Duration::ZERO, Vec::new());
        assert_eq!(MarkList::parse(&empty.emit()), Some(empty));
    }

    #[test]
    fn what_is_cut_or_strange_is_no_list() {
        let whole = MarkList::new(Duration::from_secs(600), vec![mark("a")]).emit();
        for end in 0..whole.len() {
            assert_eq!(MarkList::parse(&whole[..end]), None, "cut to {end}");
        }
        for text in [
            "plyos-marks-2 600 0\n",
            "plyos-marks-1 -1 0\n",
            "plyos-marks-1 600 1\nzz\n",
            "plyos-marks-1 600 1\n",
            "plyos-marks-1 600\n",
        ] {
            assert_eq!(MarkList::parse(text.as_bytes()), None, "{text}");
        }
        let marks = |count: usize| {
            let lines = format!("{}\n", "00".repeat(16)).repeat(count);
            MarkList::parse(format!("plyos-marks-1 600 {count}\n{lines}").as_bytes())
        };
        assert!(marks(MOST_MARKS).is_some() && marks(MOST_MARKS + 1).is_none());
    }
}
