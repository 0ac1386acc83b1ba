//! The audit: what was done beside activations, and what was refused.
//!
//! The history says which generation became active; here stands what changes none (a repository, a hold, a setting) and
//! what came to nothing. Bounded, and refusals are rate-limited, because who is refused may try again at will.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use plyos_bytemap::{View, put};

use crate::ListError;
use crate::layout::{AUDIT_MAGIC, audit_entry, list as header};
use crate::list;

/// Something that was done or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Number of the generation that was active, 0 none.
    pub generation: u64,
    /// Exit code of the command; 0: it was done.
    pub code: u8,
    /// The command. At most 65,535 bytes are read, [`Audit::MAX_COMMAND`] written.
    pub command: String,
    /// The line of the refusal; may be empty. At most 65,535 bytes are read, [`Audit::MAX_SAID`] written.
    pub said: String,
}

impl AuditEntry {
    /// Whether it tells of a refusal.
    pub fn is_refusal(&self) -> bool {
        self.code != 0
    }

    fn is_same_refusal(&self, other: &Self) -> bool {
        (self.code, &self.command, &self.said) == (other.code, &other.command, &other.said)
    }
}

/// The audit, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    compat: u32,
    entries: VecDeque<AuditEntry>,
}

impl Audit {
    /// Most entries; the oldest goes first.
    pub const MAX: u32 = 512;
    /// Most bytes that are written; the oldest goes first.
    pub const MAX_LEN: usize = 64 << 10;
    /// Longest command that is kept, in bytes.
    pub const MAX_COMMAND: usize = 256;
    /// Longest line that is kept, in bytes.
    pub const MAX_SAID: usize = 512;
    /// Seconds in which the same refusal is not written again.
    pub const SAME: u64 = 600;
    /// Seconds over which refusals are counted.
    pub const WINDOW: u64 = 3600;
    /// Refusals that are written in that time.
    pub const PER_WINDOW: usize = 30;

    /// Entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &AuditEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Whether an entry is worth a write: what was done always, a refusal unless it was written already or there were too
    /// many of late. A clock that was set back a little counts as no time gone by; what is dated further ahead than that was
    /// written when the clock was wrong, and says nothing of what is of late.
    pub fn wants(&self, entry: &AuditEntry) -> bool {
        if !entry.is_refusal() {
            return true;
        }
        let cut = cut(entry.clone());
        let since = |other: &&AuditEntry, seconds| {
            other.at.saturating_sub(entry.at) < Self::WINDOW && entry.at.saturating_sub(other.at) < seconds
        };
        let refusals = || self.entries.iter().rev().filter(|other| other.is_refusal());
        let same = refusals().any(|other| since(&other, Self::SAME) && other.is_same_refusal(&cut));
        !same && refusals().filter(|other| since(other, Self::WINDOW)).count() < Self::PER_WINDOW
    }

    /// Adds the newest entry; the oldest go when there are too many. Long texts are cut.
    pub fn push(&mut self, entry: AuditEntry) {
        self.entries.push_back(cut(entry));
        while self.entries.len() > Self::MAX as usize || self.emitted_len() > Self::MAX_LEN {
            self.entries.pop_front();
        }
    }

    fn emitted_len(&self) -> usize {
        let texts: usize = self.entries.iter().map(|entry| entry.command.len() + entry.said.len()).sum();
        header::SIZE + self.entries.len() * audit_entry::SIZE + texts
    }

    /// Reads an audit. `bytes` is the whole record and no more.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let found = list::split(bytes, &AUDIT_MAGIC, audit_entry::SIZE, Self::MAX)?;
        let mut heap_at = 0;
        let mut entries = VecDeque::with_capacity(found.count);
        for record in found.entries.chunks(audit_entry::SIZE) {
            let view = View::new(record, &audit_entry::LAYOUT).ok_or(ListError::Malformed)?;
            if !view.is_zero(audit_entry::RESERVED) || !view.is_zero(audit_entry::RESERVED2) {
                return Err(ListError::Malformed);
            }
            entries.push_back(AuditEntry {
                at: view.u64(audit_entry::AT),
                generation: view.u64(audit_entry::GENERATION),
                code: view.u8(audit_entry::CODE),
                command: list::string(view.u64(audit_entry::COMMAND), found.heap, &mut heap_at)?,
                said: list::string(view.u64(audit_entry::SAID), found.heap, &mut heap_at)?,
            });
        }
        if heap_at != found.heap.len() {
            return Err(ListError::Malformed);
        }
        Ok(Self { compat: found.compat, entries })
    }

    /// The bytes of the record.
    pub fn emit(&self) -> Vec<u8> {
        let (mut entries, mut heap) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let mut out = [0; audit_entry::SIZE];
            put(&mut out, audit_entry::AT, &entry.at.to_le_bytes());
            put(&mut out, audit_entry::GENERATION, &entry.generation.to_le_bytes());
            put(&mut out, audit_entry::CODE, &[entry.code]);
            put(&mut out, audit_entry::COMMAND, &list::reference(&entry.command, &mut heap).to_le_bytes());
            put(&mut out, audit_entry::SAID, &list::reference(&entry.said, &mut heap).to_le_bytes());
            entries.extend_from_slice(&out);
        }
        list::join(AUDIT_MAGIC, self.compat, self.entries.len(), &entries, &heap)
    }
}

fn cut(mut entry: AuditEntry) -> AuditEntry {
    let short = |text: &mut String, most| {
        let end = text.floor_char_boundary(most);
        text.truncate(end);
    };
    short(&mut entry.command, Audit::MAX_COMMAND);
    short(&mut entry.said, Audit::MAX_SAID);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(at: u64, code: u8, said: &str) -> AuditEntry {
        AuditEntry {
            at,
            generation: 1,
            code,
            command: String::from("pkg install x"),
            said: String::from(said),
        }
    }

    fn audits() -> impl Strategy<Value = Audit> {
        let entry = (any::<[u64; 2]>(), any::<u8>(), "[a-z é]{0,9}", "[a-z é]{0,9}").prop_map(
            |([at, generation], code, command, said)| AuditEntry { at, generation, code, command, said },
        );
        proptest::collection::vec(entry, 0..6).prop_map(|entries| {
            let mut audit = Audit::default();
            entries.into_iter().for_each(|entry| audit.push(entry));
            audit
        })
    }

    proptest! {
        #[test]
        fn value_round_trip(audit in audits()) {
            prop_assert_eq!(Audit::parse(&audit.emit()), Ok(audit));
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(
            audit in audits(), at in any::<prop::sample::Index>(), value: u8
        ) {
            let mut bytes = audit.emit();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(found) = Audit::parse(&bytes) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Audit::parse(&bytes);
        }
    }

    #[test]
    fn the_same_refusal_is_written_once_in_a_while() {
        let mut audit = Audit::default();
        audit.push(entry(1000, 5, "wrong"));
        assert!(!audit.wants(&entry(1001, 5, "wrong")));
        assert!(!audit.wants(&entry(10, 5, "wrong")), "the clock was set back");
        assert!(audit.wants(&entry(1001, 5, "another")));
        assert!(audit.wants(&entry(1000 + Audit::SAME, 5, "wrong")));
        let long = "é".repeat(1000);
        audit.push(entry(2000, 5, &long));
        assert!(!audit.wants(&entry(2001, 5, &long)), "what was cut is compared as it was cut");
    }

    #[test]
    fn refusals_are_limited_and_what_was_done_is_not() {
        let mut audit = Audit::default();
        for number in 0..Audit::PER_WINDOW as u64 {
            let refusal = entry(10_000 + number, 4, &alloc::format!("refusal {number}"));
            assert!(audit.wants(&refusal));
            audit.push(refusal);
        }
        assert!(!audit.wants(&entry(10_100, 4, "one more")));
        assert!(audit.wants(&entry(10_100, 0, "")));
        assert!(audit.wants(&entry(10_000 + Audit::WINDOW, 4, "one more")));
        assert!(
            audit.wants(&entry(10_000 - Audit::WINDOW, 4, "one more")),
            "they are of a clock that was wrong"
        );
    }

    #[test]
    fn it_stays_small_and_the_oldest_goes_first() {
        let mut audit = Audit::default();
        (0..1000).for_each(|at| audit.push(entry(at, 0, "")));
        assert_eq!(audit.entries().len(), 512);
        assert_eq!(audit.entries().next().map(|entry| entry.at), Some(488));
        (0..1000).for_each(|at| audit.push(entry(at, 0, &"é".repeat(999))));
        assert!(audit.emit().len() <= Audit::MAX_LEN && audit.entries().len() > 90);
        assert_eq!(audit.entries().next_back().map(|entry| entry.said.len()), Some(512));
        assert_eq!(Audit::parse(&audit.emit()), Ok(audit));
    }
}
