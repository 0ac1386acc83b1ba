//! `pkg history`, `rollback` and `status`.

use crate::activate::{self, Reason};
use crate::active::{generation, mount_generation};
use crate::pins;
use crate::policy::{self, BadLayers};
use crate::repositories::{self, State};
use crate::target::Target;
use plyos_blockstore::UsedMap;
use plyos_blockstore::layout::UNIT;
use plyos_namespace::generation::Generation;
use plyos_report::{ExitCode, Failure, OrFail, human, print_json};
use plyos_slots::{Slot, SlotState};
use plyos_storefile::{Action, Extent, History, HistoryEntry, RecordType, Store};
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
        println!(
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

/// `pkg rollback`
pub fn rollback(target: &Target, number: Option<u64>, dry_run: bool) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let present = writer.slots().active().copied().ok_or_else(|| {
        Failure::new(ExitCode::NotFound, "nothing is active, so there is nothing to go back from")
    })?;
    let history = activate::history(&writer)?;
    let wanted = match number {
        Some(number) => {
            history.entries().rev().find(|entry| entry.number == number).map(|entry| entry.generation)
        }
        None => before(&history, present.number).map(|entry| entry.generation),
    };
    let wanted = wanted.ok_or_else(|| {
        let line = match number {
            Some(number) => format!("generation {number} is not in the history; `pkg history` lists them"),
            None => "there is no generation before this one; `pkg history` lists them".to_owned(),
        };
        Failure::new(ExitCode::NotFound, line)
    })?;
    let to = generation(&writer, &wanted)?;
    if to.number == present.number {
        let line = format!("generation {} is active already", to.number);
        return Err(Failure::new(ExitCode::Store, line));
    }
    // All of it must be there and still be accepted, before anything is switched.
    let mounted = mount_generation(target, &writer, to)?;
    if let Some(layer) = mounted.layers.iter().find(|layer| !layer.stored.complete) {
        let line = format!(
            "{} {} is not complete in the store; install it again",
            layer.record.name, layer.record.version
        );
        return Err(Failure::new(ExitCode::Store, line));
    }
    // Mounting reads no map; a generation whose chunks nobody can find must not become the active one.
    for layer in &mounted.layers {
        layer.stored.place(0).map_err(|error| target.fail(&error))?;
    }
    let to = &mounted.generation;
    let command = match number {
        Some(number) => format!("pkg rollback {number}"),
        None => "pkg rollback".to_owned(),
    };
    policy::check_state(&writer, mounted.layers.iter().map(|layer| layer.index.descriptor()))?;
    if dry_run {
        if target.progress.json() {
            print_json(&json!({"dry_run": true, "generation": to.number, "from": present.number}));
        } else {
            let line = format!("Generation {} would be active again (now {}).", to.number, present.number);
            target.progress.step(&line);
        }
        return Ok(());
    }
    let reason = Reason { action: Action::Rollback, command, bad_layers: BadLayers::Refused };
    activate::roll_back(target, &mut writer, to, &reason)?;
    if target.progress.json() {
        print_json(&json!({"generation": to.number, "from": present.number}));
    } else {
        target.progress.step(&format!("Generation {} is active again (was {}).", to.number, present.number));
    }
    Ok(())
}

/// The generation that was active before generation `number` last became so.
pub fn before(history: &History, number: u64) -> Option<&HistoryEntry> {
    // A return names the generation that was given up, to which nobody goes back.
    let came =
        history.entries().rev().find(|entry| entry.number == number && entry.action != Action::Return)?;
    history.entries().rev().find(|before| before.number == came.from && came.from != 0)
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
    println!(
        "store         {} ({} of {} used)",
        target.path().display(),
        human(used),
        human(superblock.store_len())
    );
    println!("layers        {layers} in {generations} generations");
    for (name, slot) in [("A", &slots.a), ("B", &slots.b)] {
        let mark = if slots.active().is_some_and(|active| active == slot) { "  (active)" } else { "" };
        println!("slot {name}        {}{mark}", slot_line(slot));
    }
    for repository in repositories::list(&store)? {
        let state = match repository.state {
            State::Enabled => String::new(),
            other => format!(" ({})", other.as_str()),
        };
        println!("repository    {} {}{state}", repository.name, repository.url);
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
