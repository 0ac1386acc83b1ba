//! Plays init beside `pkg`, as a process of its own: `plays_init STORE STOP` counts in a record of its own (an audit, but not that
//! of `pkg`) and puts the other slot's generation on trial, boots and promotes it, again and again, until the file STOP is there. What
//! it says on stdout has been committed: `counted N`, `promoted N` (with its entry in the history), and last `refused N`, how often a
//! commit was refused because `pkg` had been quicker, and was planned again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code asserts by panicking")]

use plyos_slots::{Candidate, Event, SlotName};
use plyos_storefile::{Action, HistoryEntry, RecordType, SlotWriter, Store, StoreError};
use std::path::PathBuf;
use std::time::Duration;

/// Between two commits: init is busy here, but not so that nobody else gets a turn.
const PAUSE: Duration = Duration::from_millis(3);
/// Key of the record in which it counts.
const COUNTER: [u8; 32] = [1; 32];
/// The clock of a machine without one.
const NOW: u64 = 1_700_000_000;

fn main() {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(store), Some(stop)) = (args.next(), args.next()) else {
        panic!("usage: plays_init STORE STOP");
    };
    let mut init = Init { store, refused: 0 };
    let mut count = 0;
    while !stop.exists() {
        count += 1;
        init.count(count);
        println!("counted {count}");
        if let Some(number) = init.promote() {
            println!("promoted {number}");
        }
        std::thread::sleep(PAUSE);
    }
    println!("refused {}", init.refused);
}

struct Init {
    store: PathBuf,
    refused: u64,
}

impl Init {
    /// Writes the next number; what is there must be the one before, for nobody else writes it.
    fn count(&mut self, count: u64) {
        self.until_done(|writer| {
            let held = writer.record(RecordType::Audit, &COUNTER)?.unwrap_or_default();
            let before = if count == 1 { String::new() } else { (count - 1).to_string() };
            assert_eq!(String::from_utf8(held).unwrap(), before, "a commit that had returned is gone");
            writer.put_record(RecordType::Audit, &COUNTER, count.to_string().as_bytes()).unwrap();
            Ok(true)
        });
    }

    /// Trial, boot and promotion of the other slot's generation, each a commit; `None` when there is no other one, or
    /// `pkg` has put another one there meanwhile.
    fn promote(&mut self) -> Option<u64> {
        // Always the same time, so that slots which went there and back look untouched.
        let at = NOW;
        let mut picked = None;
        self.until_done(|writer| {
            let slots = *writer.slots();
            let other = slots.preferred.map(SlotName::other).map(|name| *slots.get(name));
            let Some(other) = other.filter(|slot| slot.is_good()) else { return Ok(false) };
            let candidate =
                Candidate { number: other.number, generation: other.generation, layer_set: other.layer_set };
            picked = Some(candidate);
            writer.set_slots(slots.apply(Event::ActivateTrial(candidate, 3), at).unwrap());
            Ok(true)
        });
        let candidate = picked?;
        let on_trial = |writer: &SlotWriter| {
            let slots = writer.slots();
            slots.trial().is_some_and(|name| slots.get(name).generation == candidate.generation)
        };
        self.until_done(|writer| {
            let goes = on_trial(writer);
            if goes {
                writer.set_slots(writer.slots().apply(Event::BootPicked, at).unwrap());
            }
            Ok(goes)
        });
        let promoted = self.until_done(|writer| {
            let goes = on_trial(writer);
            if goes {
                let from = writer.slots().active().map_or(0, |slot| slot.number);
                let mut history = writer.history()?;
                let (number, generation) = (candidate.number, candidate.generation);
                let command = String::from("init");
                history.push(HistoryEntry {
                    number,
                    from,
                    at,
                    generation,
                    action: Action::Promotion,
                    command,
                });
                writer.put_record(RecordType::History, &RecordType::ONLY, &history.emit()).unwrap();
                writer.set_slots(writer.slots().apply(Event::Promote, at).unwrap());
            }
            Ok(goes)
        });
        promoted.then_some(candidate.number)
    }

    /// Plans and commits until nobody else was quicker; `false` when there was nothing to plan.
    fn until_done(&mut self, mut plan: impl FnMut(&mut SlotWriter) -> Result<bool, StoreError>) -> bool {
        loop {
            let mut writer = Store::slot_writer(&self.store).unwrap();
            let active = writer.slots().active().map(|slot| slot.generation);
            let done = match plan(&mut writer) {
                Ok(false) => return false,
                planned => planned.and_then(|_| writer.commit(active)),
            };
            match done {
                Ok(()) => return true,
                Err(StoreError::Changed { .. }) => self.refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
