//! Which generations a store has, and which of them may be gone back to.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use plyos_blockstore::{Action, RecordType, StoreCopy};
use plyos_ids::GenerationId;
use plyos_namespace::generation::Generation;
use plyos_slots::{BadReason, Candidate, Event, Slot, SlotName, SlotState};

use crate::mount::{self, Named};
use crate::records::{self, RecordError};
use crate::store::Device;
use crate::{Limits, SwitchError};

/// Generations of one store that are listed; `pkg` keeps some dozens at most.
const MAX_LISTED: usize = 1024;

/// Why generations could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The store.
    #[error("cannot open the store: {0}")]
    Store(String),
    /// The history.
    #[error("{0}")]
    Record(#[from] RecordError),
}

/// A generation of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationInfo {
    /// Its number; 0 when its record cannot be read and no slot names it.
    pub number: u64,
    /// Its identity.
    pub id: GenerationId,
    /// When it was made, seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// The command that made it.
    pub created_by: String,
    /// How many layers it has.
    pub layers: usize,
    /// The slot that names it.
    pub slot: Option<(SlotName, SlotState)>,
    /// Whether it was good once, or is.
    pub was_good: bool,
    /// Why its record cannot be used, if it cannot.
    pub damage: Option<String>,
}

/// Every generation of the store, by number.
pub(crate) fn list<D: Device>(
    device: &D,
    copy: &StoreCopy,
    limits: Limits,
) -> Result<Vec<GenerationInfo>, ListError> {
    let history = records::history(device, &copy.directory, limits.lists)?;
    let mut left = limits.generations;
    let slots = &copy.superblock.slots;
    let every = (RecordType::Generation, [0; 32])..=(RecordType::Generation, [0xff; 32]);
    let mut found = Vec::new();
    for ((_, key), entry) in copy.directory.records.range(every).take(MAX_LISTED) {
        let key = *key;
        let id = GenerationId::from_bytes(key);
        let name = SlotName::BOTH.into_iter().find(|name| slots.get(*name).generation == id);
        let slot =
            name.map(|name| (name, slots.get(name).state)).filter(|(_, state)| *state != SlotState::Empty);
        let longest = left.min(mount::LONGEST_GENERATION);
        let read = records::record(device, &copy.directory, (RecordType::Generation, key), longest);
        left = left.saturating_sub(entry.extent.len);
        let parsed = match read {
            Ok(Some(bytes)) => Generation::parse(&bytes).map_err(|error| error.to_string()),
            Ok(None) => continue,
            Err(RecordError::TooLong(..)) if longest < mount::LONGEST_GENERATION => Err(alloc::format!(
                "not read: the records of all generations have more than {} bytes together",
                limits.generations
            )),
            Err(error) => Err(error.to_string()),
        };
        let number = match &parsed {
            Ok(generation) => generation.number,
            Err(_) => name.map_or(0, |name| slots.get(name).number),
        };
        let good = matches!(slot, Some((_, SlotState::Good))) || history.was_good(number);
        found.push(GenerationInfo {
            number,
            id,
            created_at: parsed.as_ref().map_or(0, |generation| generation.created_at),
            created_by: parsed
                .as_ref()
                .map_or_else(|_| String::new(), |generation| generation.created_by.clone()),
            layers: parsed.as_ref().map_or(0, |generation| generation.layers.len()),
            slot,
            was_good: good,
            damage: parsed.err(),
        });
    }
    found.sort_by_key(|generation| (generation.number, generation.id));
    Ok(found)
}

/// What a switch to a generation changes in the store.
pub(crate) struct Switch {
    pub to: Named,
    /// What happens to the slots, and what the history says of it; `None` when they name it already.
    pub change: Option<(Event, Action)>,
    /// The generation that is left, as the history has it.
    pub from: u64,
}

/// How the store gets from what it says now to generation `number`, by the rules of `pkg rollback`: to the active one, which ends
/// a trial, or to one that was good and whose layers did not turn out bad.
pub(crate) fn plan<D: Device>(
    device: &D,
    copy: &StoreCopy,
    number: u64,
    longest_list: u64,
) -> Result<Switch, SwitchError> {
    let slots = &copy.superblock.slots;
    let (active, trial) = (slots.active(), slots.trial().map(|name| slots.get(name)));
    if trial.is_some_and(|trial| trial.number == number) {
        return Err(SwitchError::OnTrial(number));
    }
    let named = |slot: &Slot| Named { number: slot.number, id: slot.generation };
    if let Some(active) = active.filter(|active| active.number == number) {
        let change = trial.map(|_| (Event::FailHealth(BadReason::Operator), Action::Return));
        return Ok(Switch { to: named(active), change, from: trial.map_or(0, |trial| trial.number) });
    }
    let history = records::history(device, &copy.directory, longest_list)?;
    let mut in_slots = SlotName::BOTH.into_iter().map(|name| slots.get(name));
    let in_slot = in_slots.find(|slot| slot.number == number && !slot.is_empty());
    let to = match in_slot {
        Some(slot) => named(slot),
        None => {
            let entry = history.entries().rev().find(|entry| entry.number == number);
            Named { number, id: entry.ok_or(SwitchError::NotFound(number))?.generation }
        }
    };
    let is_good = in_slot.is_some_and(Slot::is_good);
    if !is_good && !history.was_good(number) {
        return Err(SwitchError::NeverGood(number));
    }
    let generation = mount::generation(device, copy, to)?;
    let layer_set = generation.layer_set();
    if records::bad_sets(device, &copy.directory, longest_list)?.find(&layer_set).is_some() {
        return Err(SwitchError::Bad(number));
    }
    let candidate = Candidate { number, generation: to.id, layer_set };
    let change = Some((Event::Rollback(candidate), Action::Rollback));
    Ok(Switch { to, change, from: active.map_or(0, |active| active.number) })
}
