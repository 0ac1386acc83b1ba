//! The history: which generation became active when, from which, and by what command.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use plyos_bytemap::{View, put};
use plyos_ids::GenerationId;

use crate::ListError;
use crate::layout::{HISTORY_MAGIC, history_entry};
use crate::list;

/// What was done. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Layers were added.
    Install = 1,
    /// Layers were taken away.
    Remove = 2,
    /// Layers were replaced by newer ones.
    Upgrade = 3,
    /// Back to a former generation, by command.
    Rollback = 4,
    /// A trial was found good.
    Promotion = 5,
    /// Back to the former generation after a failed trial.
    Return = 6,
    /// Installed or upgraded from a bundle.
    Load = 7,
}

impl Action {
    const ALL: [Self; 7] = [
        Self::Install,
        Self::Remove,
        Self::Upgrade,
        Self::Rollback,
        Self::Promotion,
        Self::Return,
        Self::Load,
    ];

    /// The action of a number, if it is known here.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|action| *action as u8 == number)
    }

    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Remove => "remove",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Promotion => "promotion",
            Self::Return => "return after failure",
            Self::Load => "load",
        }
    }
}

/// One change of the active generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Number of the generation that became active.
    pub number: u64,
    /// Number of the one before, 0 none.
    pub from: u64,
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// The generation that became active.
    pub generation: GenerationId,
    /// What was done.
    pub action: Action,
    /// The command that did it; may be empty. At most 65,535 bytes are read, 1,024 written.
    pub command: String,
}

/// The history, oldest first, with at most [`History::MAX`] entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    compat: u32,
    entries: VecDeque<HistoryEntry>,
}

impl History {
    /// Most entries; the oldest goes first.
    pub const MAX: u32 = 4096;
    /// Longest command that is kept, in bytes.
    pub const MAX_COMMAND: usize = 1024;

    /// Entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Adds the newest entry; the oldest goes when there are too many. A long command is cut.
    pub fn push(&mut self, mut entry: HistoryEntry) {
        let end = entry.command.floor_char_boundary(Self::MAX_COMMAND);
        entry.command.truncate(end);
        self.entries.push_back(entry);
        while self.entries.len() > Self::MAX as usize {
            self.entries.pop_front();
        }
    }

    /// Whether a generation that is not active was good once: something says that it was found good or gone back to, or that
    /// it was the active one when the next came. A trial is never that; the one that a return comes from was a trial.
    pub fn was_good(&self, number: u64) -> bool {
        self.entries.iter().any(|entry| match entry.action {
            Action::Return => entry.number == number,
            Action::Promotion | Action::Rollback => entry.number == number || entry.from == number,
            Action::Install | Action::Remove | Action::Upgrade | Action::Load => entry.from == number,
        })
    }

    /// Reads a history. `bytes` is the whole record and no more.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let found = list::split(bytes, &HISTORY_MAGIC, history_entry::SIZE, Self::MAX)?;
        let mut heap_at = 0;
        let mut entries = VecDeque::with_capacity(found.count);
        for record in found.entries.chunks(history_entry::SIZE) {
            let view = View::new(record, &history_entry::LAYOUT).ok_or(ListError::Malformed)?;
            let number = view.u8(history_entry::ACTION);
            let command = list::string(view.u64(history_entry::COMMAND), found.heap, &mut heap_at)?;
            if !view.is_zero(history_entry::RESERVED) || !view.is_zero(history_entry::RESERVED2) {
                return Err(ListError::Malformed);
            }
            entries.push_back(HistoryEntry {
                number: view.u64(history_entry::NUMBER),
                from: view.u64(history_entry::FROM),
                at: view.u64(history_entry::AT),
                generation: GenerationId::from_bytes(view.array(history_entry::GENERATION_ID)),
                action: Action::from_number(number).ok_or(ListError::Unknown(number))?,
                command,
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
            let mut out = [0; history_entry::SIZE];
            put(&mut out, history_entry::NUMBER, &entry.number.to_le_bytes());
            put(&mut out, history_entry::FROM, &entry.from.to_le_bytes());
            put(&mut out, history_entry::AT, &entry.at.to_le_bytes());
            put(&mut out, history_entry::GENERATION_ID, entry.generation.as_bytes());
            put(&mut out, history_entry::ACTION, &[entry.action as u8]);
            put(&mut out, history_entry::COMMAND, &list::reference(&entry.command, &mut heap).to_le_bytes());
            entries.extend_from_slice(&out);
        }
        list::join(HISTORY_MAGIC, self.compat, self.entries.len(), &entries, &heap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::list as header;
    use proptest::prelude::*;

    fn histories() -> impl Strategy<Value = History> {
        let entry = (any::<[u64; 3]>(), any::<[u8; 32]>(), 1u8..=7, "[a-z é/]{0,12}").prop_map(
            |([number, from, at], id, action, command)| HistoryEntry {
                number,
                from,
                at,
                generation: GenerationId::from_bytes(id),
                action: Action::from_number(action).unwrap(),
                command,
            },
        );
        proptest::collection::vec(entry, 0..6).prop_map(|entries| {
            let mut history = History::default();
            entries.into_iter().for_each(|entry| history.push(entry));
            history
        })
    }

    proptest! {
        #[test]
        fn value_round_trip(history in histories()) {
            prop_assert_eq!(History::parse(&history.emit()), Ok(history));
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(
            history in histories(), at in any::<prop::sample::Index>(), value: u8
        ) {
            let mut bytes = history.emit();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(found) = History::parse(&bytes) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = History::parse(&bytes);
        }
    }

    fn entry(number: u64, command: &str) -> HistoryEntry {
        HistoryEntry {
            number,
            from: 0,
            at: 0,
            generation: GenerationId::default(),
            action: Action::Install,
            command: String::from(command),
        }
    }

    #[test]
    fn what_was_only_on_trial_was_never_good() {
        let mut found = History::default();
        let push = |found: &mut History, action, number, from| {
            found.push(HistoryEntry { action, number, from, ..entry(number, "") });
        };
        for (action, number, from) in [
            (Action::Install, 1, 0),
            (Action::Install, 2, 1),
            // A trial that failed, one that was replaced by the next, and one that was promoted.
            (Action::Upgrade, 3, 2),
            (Action::Return, 2, 3),
            (Action::Upgrade, 4, 2),
            (Action::Upgrade, 5, 2),
            (Action::Promotion, 5, 2),
            (Action::Install, 6, 5),
        ] {
            push(&mut found, action, number, from);
        }
        let all: Vec<u64> = (0..8).filter(|number| found.was_good(*number)).collect();
        assert_eq!(all, [0, 1, 2, 5], "0 is where the first came from, and stands for none");
        // By force.
        push(&mut found, Action::Rollback, 3, 5);
        assert!(found.was_good(3) && !found.was_good(4));
    }

    #[test]
    fn the_oldest_entry_goes_first() {
        let mut history = History::default();
        (1..=4100).for_each(|number| history.push(entry(number, "")));
        assert_eq!(history.entries().len(), 4096);
        assert_eq!(history.entries().next().map(|entry| entry.number), Some(5));
        assert_eq!(History::parse(&history.emit()), Ok(history));
    }

    #[test]
    fn a_long_command_is_cut_at_a_character() {
        let mut history = History::default();
        history.push(entry(1, &"é".repeat(2000)));
        let kept = history.entries().next().unwrap().command.len();
        assert_eq!(kept, 1024);
        history.push(entry(2, &alloc::format!("a{}", "é".repeat(2000))));
        assert_eq!(history.entries().next_back().unwrap().command.len(), 1023);
    }

    #[test]
    fn heap_with_a_hole_a_shared_string_or_a_wrong_count_is_refused() {
        let mut history = History::default();
        history.push(entry(1, "ab"));
        history.push(entry(2, "cd"));
        let good = history.emit();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            History::parse(&bytes)
        };
        let second = 64 + 80 + history_entry::COMMAND.offset;
        assert_eq!(with(second, 0), Err(ListError::Malformed), "shared");
        assert_eq!(with(second, 3), Err(ListError::Malformed), "hole");
        assert_eq!(with(second + 6, 1), Err(ListError::Malformed), "reserved");
        assert_eq!(with(header::HEAP_LEN.offset, 3), Err(ListError::Malformed));
        assert_eq!(with(header::COUNT.offset, 1), Err(ListError::Malformed));
        assert_eq!(with(header::COUNT.offset + 3, 1), Err(ListError::TooMany(2 + (1 << 24))));
        assert_eq!(with(64 + history_entry::ACTION.offset, 8), Err(ListError::Unknown(8)));
    }
}
