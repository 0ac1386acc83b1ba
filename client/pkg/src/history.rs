//! `pkg history` and `status`: what the store remembers of its generations, and how it stands.

use crate::activate;
use crate::active::generation;
use crate::pins;
use crate::repositories::{self, State};
use crate::target::Target;
use plyos_blockstore::UsedMap;
use plyos_blockstore::layout::UNIT;
use plyos_namespace::generation::Generation;
use plyos_report::{ExitCode, Failure, OrFail, human, print_json, say};
use plyos_slots::{Slot, SlotState};
use plyos_storefile::{Extent, HistoryEntry, RecordType, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `pkg history`
pub fn history(target: &Target) -> Result<(), Failure> {
    let store = target.store()?;
    let history = activate::history(&store)?;
    let active = store.slots().active().map(|slot| slot.number);
    // The same generation may have been active more than once: the last time counts.
    let last = history.entries().rev().find(|entry| Some(entry.number) == active);
    let pins = pins::list(&store);
    let stored: BTreeSet<_> = store.records(RecordType::Generation).map(|entry| entry.key).collect();
    let present = |entry: &HistoryEntry| stored.contains(entry.generation.as_bytes());
    if target.progress.json() {
        let rows: Vec<Value> = history
            .entries()
            .map(|entry| {
                json!({"generation": entry.number, "from": entry.from, "at": entry.at, "action": entry.action.as_str(),
                       "command": entry.command, "id": entry.generation.to_string(), "active": last == Some(entry),
                       "pinned": pins.contains(&entry.generation), "present": present(entry)})
            })
            .collect();
        print_json(&json!(rows));
        return Ok(());
    }
    for entry in history.entries() {
        let mark = if last == Some(entry) { "*" } else { " " };
        let note = match (pins.contains(&entry.generation), present(entry)) {
            (true, _) => "  (pinned)",
            (false, true) => "",
            (false, false) => "  (cleaned up)",
        };
        say!(
            "{mark} {:>4}  {}  {:<10} {}{note}",
            entry.number,
            plyos_trust::time::print(entry.at),
            // One word, or the columns are none: of a return the reason stands behind it.
            entry.action.as_str().split(' ').next().unwrap_or_default(),
            entry.command
        );
    }
    Ok(())
}

/// The generation that the history knows by this number.
pub fn generation_of_number(store: &Store, number: u64) -> Result<Generation, Failure> {
    let history = activate::history(store)?;
    let entry = history.entries().rev().find(|entry| entry.number == number).ok_or_else(|| {
        let line = format!("generation {number} is not in the history; `pkg history` lists them");
        Failure::new(ExitCode::NotFound, line)
    })?;
    if !store.records(RecordType::Generation).any(|record| record.key == *entry.generation.as_bytes()) {
        let line = format!("generation {number} was cleaned up; `pkg history` shows which are left");
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    generation(store, &entry.generation)
}

/// `pkg status`
pub fn status(target: &Target) -> Result<(), Failure> {
    let store = target.store()?;
    let superblock = store.superblock();
    let slots = store.slots();
    let layers = store.layers().len();
    let generations = store.records(RecordType::Generation).count();
    let used = used_bytes(target, &store)?;
    if target.progress.json() {
        let names: Vec<Value> = repositories::list(&store)?
            .iter()
            .map(|repository| json!({"name": repository.name, "url": repository.url, "state": repository.state.as_str()}))
            .collect();
        print_json(&json!({
            "store": target.path(), "bytes": superblock.store_len(), "used_bytes": used, "sequence": superblock.sequence,
            "layers": layers, "generations": generations, "active": slots.active().map(|slot| slot.number),
            "slots": {"a": slot_json(&slots.a), "b": slot_json(&slots.b)}, "time_floor": superblock.time_floor,
            "repositories": names,
        }));
        return Ok(());
    }
    say!(
        "store         {} ({} of {} used)",
        target.path().display(),
        human(used),
        human(superblock.store_len())
    );
    say!("layers        {layers} in {generations} generations");
    for (name, slot) in [("A", &slots.a), ("B", &slots.b)] {
        let mark = if slots.active().is_some_and(|active| active == slot) { "  (active)" } else { "" };
        say!("slot {name}        {}{mark}", slot_line(slot));
    }
    for repository in repositories::list(&store)? {
        let state = match repository.state {
            State::Enabled => String::new(),
            other => format!(" ({})", other.as_str()),
        };
        say!("repository    {} {}{state}", repository.name, repository.url);
    }
    Ok(())
}

/// Bytes that the two superblock copies reach.
fn used_bytes(target: &Target, store: &Store) -> Result<u64, Failure> {
    let content = UsedMap::content(store.device(), store.view())
        .or_fail(ExitCode::Store, format_args!("reading the maps of {}", target.path().display()))?;
    let mut all = content.0;
    for (start, end) in UsedMap::metadata(store.view()).runs() {
        all.insert(Extent { offset: start * UNIT, len: (end - start) * UNIT });
    }
    Ok(all.unit_count() * UNIT)
}

fn state_word(state: SlotState) -> String {
    match state {
        SlotState::Empty => "empty".to_owned(),
        SlotState::Staged => "staged".to_owned(),
        SlotState::Trial { left, granted } => format!("trial, {left} of {granted} tries left"),
        SlotState::Good => "good".to_owned(),
        SlotState::Unconfirmed => "unconfirmed".to_owned(),
        SlotState::Bad(reason) => format!("bad: {reason}"),
    }
}

fn slot_line(slot: &Slot) -> String {
    match slot.state {
        SlotState::Empty => "empty".to_owned(),
        state => format!("generation {}, {}", slot.number, state_word(state)),
    }
}

fn slot_json(slot: &Slot) -> Value {
    match slot.state {
        SlotState::Empty => json!({"state": "empty"}),
        state => {
            json!({"state": state_word(state), "generation": slot.number, "id": slot.generation.to_string()})
        }
    }
}
