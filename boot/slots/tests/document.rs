//! docs/slots.md holds the transition table for people. This walks every pair of slot states with every event and compares
//! what becomes of them with the document, both ways: no row is missing, none is too many.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may assert by panicking")]

use plyos_ids::{GenerationId, LayerSetId};
use plyos_slots::{BadReason, Candidate, Event, Slot, SlotName, SlotState, Slots};
use std::collections::{BTreeMap, BTreeSet};

const AT: u64 = 9;
const BEGIN: &str = "<!-- transition-table -->";

fn candidate(number: u64) -> Candidate {
    Candidate {
        number,
        generation: GenerationId::from_bytes([number as u8; 32]),
        layer_set: LayerSetId::from_bytes([number as u8; 32]),
    }
}

/// The states, as the document calls them. A trial's tries matter only in being left or not.
fn states() -> [(&'static str, SlotState); 7] {
    [
        ("empty", SlotState::Empty),
        ("staged", SlotState::Staged),
        ("trial", SlotState::Trial { left: 2, granted: 3 }),
        ("trial(0)", SlotState::Trial { left: 0, granted: 3 }),
        ("good", SlotState::Good),
        ("unconfirmed", SlotState::Unconfirmed),
        ("bad", SlotState::Bad(BadReason::Panic)),
    ]
}

fn events() -> [(&'static str, Event); 9] {
    [
        ("Stage", Event::Stage(candidate(7))),
        ("Activate", Event::Activate(candidate(7))),
        ("ActivateTrial", Event::ActivateTrial(candidate(7), 3)),
        ("BootPicked", Event::BootPicked),
        ("Promote", Event::Promote),
        ("FailHealth", Event::FailHealth(BadReason::Watchdog)),
        ("TriesUsedUp", Event::TriesUsedUp),
        ("Rollback (other slot)", Event::Rollback(candidate(2))),
        ("Rollback (elsewhere)", Event::Rollback(candidate(7))),
    ]
}

fn slot(number: u64, state: SlotState) -> Slot {
    if state == SlotState::Empty {
        return Slot::EMPTY;
    }
    let Candidate { number, generation, layer_set } = candidate(number);
    Slot { state, number, generation, layer_set, changed_at: 1 }
}

/// What the document says of a slot: its state, a star when it is preferred, `new` when the candidate came into it.
fn word(slots: &Slots, name: SlotName) -> String {
    let slot = slots.get(name);
    let state = match slot.state {
        SlotState::Trial { left: 0, .. } => "trial(0)",
        SlotState::Trial { .. } => "trial",
        state => states().iter().find(|(_, known)| state_name(*known) == state_name(state)).unwrap().0,
    };
    let star = if slots.preferred == Some(name) { "*" } else { "" };
    let new = if slot.number == 7 { "new " } else { "" };
    format!("{new}{state}{star}")
}

/// A state without its numbers.
fn state_name(state: SlotState) -> u8 {
    match state {
        SlotState::Empty => 0,
        SlotState::Staged => 1,
        SlotState::Trial { .. } => 2,
        SlotState::Good => 3,
        SlotState::Unconfirmed => 4,
        SlotState::Bad(_) => 5,
    }
}

/// The table as the function has it: from `first | second` to one outcome for each event. With a preferred slot that one
/// stands first; A and B are alike otherwise, so a pair and its mirror must do the same.
fn computed() -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for (_, a) in states() {
        for (_, b) in states() {
            for preferred in [Some(SlotName::A), None] {
                let Ok(slots) = Slots::checked(slot(1, a), slot(2, b), preferred) else { continue };
                let name =
                    |slots: &Slots| format!("{} | {}", word(slots, SlotName::A), word(slots, SlotName::B));
                let outcome = |event| match slots.apply(event, AT) {
                    Err(_) => String::from("-"),
                    Ok(next) if next == slots => String::from("="),
                    Ok(next) => name(&next).replace(" | ", ", "),
                };
                rows.insert(name(&slots), events().map(|(_, event)| outcome(event)).to_vec());
            }
        }
    }
    rows
}

/// A table in markdown.
fn print(rows: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = format!("{BEGIN}\n| A | B | {} |\n", events().map(|(name, _)| name).join(" | "));
    text.push_str(&format!("|{}\n", " --- |".repeat(events().len() + 2)));
    for (name, outcomes) in rows {
        text.push_str(&format!("| {name} | {} |\n", outcomes.join(" | ")));
    }
    text
}

#[test]
fn the_document_has_this_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/slots.md");
    let document = std::fs::read_to_string(path).unwrap();
    let after = document.split_once(BEGIN).unwrap_or_else(|| panic!("docs/slots.md has no {BEGIN}")).1;
    let found: BTreeSet<&str> = after.lines().filter(|line| line.starts_with('|')).collect();
    let expected = print(&computed());
    let expected: BTreeSet<&str> = expected.lines().filter(|line| line.starts_with('|')).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let wrong: Vec<_> = found.difference(&expected).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "docs/slots.md lacks {missing:#?}\nand should not have {wrong:#?}"
    );
    assert_eq!(
        after.lines().filter(|line| line.starts_with('|')).count(),
        expected.len(),
        "a row stands twice"
    );
}

/// The document shows a preferred slot A only, so what it says must hold for B with the sides exchanged.
#[test]
fn both_sides_are_alike() {
    let mirror =
        |slots: &Slots| Slots { a: slots.b, b: slots.a, preferred: slots.preferred.map(SlotName::other) };
    for (_, a) in states() {
        for (_, b) in states() {
            let Ok(slots) = Slots::checked(slot(1, a), slot(2, b), Some(SlotName::A)) else { continue };
            for (name, event) in events() {
                let (one, other) = (slots.apply(event, AT), mirror(&slots).apply(event, AT));
                assert_eq!(one.map(|next| mirror(&next)), other, "{name} at {slots:?}");
            }
        }
    }
}
