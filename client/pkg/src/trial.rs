//! A generation on trial on a host that runs: it is shown before it is known to be good.
//!
//! What becomes of it is written by [`plyos_storefile::SlotWriter`], which never waits for a download: [`take_try`] before its check is
//! begun, [`conclude`] after it. Between the two the machine may go down at any point: the next run takes the next try.

use crate::activate;
use crate::policy;
use crate::target::{ONLY, Target};
use plyos_namespace::generation::{Generation, Health};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_slots::{BadReason, Event, Slot};
use plyos_storefile::{Action, BadEntry, HistoryEntry, RecordType, SlotWriter, Store, StoreError};

/// How often a commit is tried that somebody else's came before.
const TRIES: u32 = 5;

/// A health policy: a check, with the tries of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What is asked.
    pub health: Health,
    /// How often a run may break off; at least 1.
    pub tries: u8,
}

impl Policy {
    /// That of a generation.
    pub fn of(generation: &Generation) -> Option<Self> {
        let health = generation.health.clone()?;
        Some(Self { health, tries: generation.tries.max(1) })
    }
}

/// What is known of a trial.
pub enum Verdict<'a> {
    /// It is this generation, and well.
    Healthy(&'a Generation),
    /// There is evidence against it.
    Failed(&'a str),
    /// Nobody found out in as many tries as it had.
    TriesUsedUp(&'a str),
    /// Its check may not run here, so nobody can find out.
    NotJudged(&'a str),
    /// The operator ended it by this command: no evidence against its layers, which may be tried again.
    Ended(&'a str),
}

/// Whether something could still be written about a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It was on trial, and this stands in the store.
    Yes,
    /// Somebody else has ended the trial; nothing was written.
    TooLate,
}

/// The failure of who wanted to say something about a trial that others ended.
pub fn is_over(number: u64) -> Failure {
    let line = format!("generation {number} is not on trial any more; `pkg status` shows what is");
    Failure::new(ExitCode::Store, line)
}

/// The slot whose generation a running host shows: the one on trial, else the active one. A machine that boots from its
/// store shows a trial only after it has booted it, so there the active one counts.
pub fn shown(store: &Store) -> Option<&Slot> {
    on_trial(store).filter(|_| !store.superblock().boots).or_else(|| store.slots().active())
}

/// The slot on trial, if there is one.
pub fn on_trial(store: &Store) -> Option<&Slot> {
    store.slots().trial().map(|name| store.slots().get(name))
}

/// Counts a try of the trial.
pub fn take_try(target: &Target, slot: &Slot) -> Result<Written, Failure> {
    change(target, slot, |writer, at| {
        let slots = writer.slots().apply(Event::BootPicked, at);
        writer.set_slots(slots.or_fail(ExitCode::Store, "counting a try")?);
        Ok(())
    })
}

/// Ends the trial: promoted with its floors, or the former generation is shown again, with the reason in the history and,
/// when there is evidence, the set of layers among the bad ones.
pub fn conclude(target: &Target, slot: &Slot, verdict: &Verdict<'_>) -> Result<Written, Failure> {
    change(target, slot, |writer, at| {
        let event = match verdict {
            Verdict::Healthy(_) => Event::Promote,
            Verdict::Failed(_) => Event::FailHealth(BadReason::HealthCheck),
            Verdict::TriesUsedUp(_) | Verdict::NotJudged(_) => Event::TriesUsedUp,
            Verdict::Ended(_) => Event::FailHealth(BadReason::Operator),
        };
        let mut slots = *writer.slots();
        if matches!(verdict, Verdict::NotJudged(_)) {
            // No try would find out more.
            while let Ok(fewer) = slots.apply(Event::BootPicked, at) {
                slots = fewer;
            }
        }
        let slots = slots.apply(event, at).or_fail(ExitCode::Store, "ending the trial")?;
        let active = writer.slots().active().copied();
        let (shown, from, action, reason) = match verdict {
            Verdict::Healthy(generation) => {
                if let Some(floors) = policy::raised_floors(target, writer, generation)? {
                    put(target, writer, RecordType::Floors, &floors.emit())?;
                }
                (Some(*slot), active, Action::Promotion, "pkg health run")
            }
            Verdict::Failed(reason)
            | Verdict::TriesUsedUp(reason)
            | Verdict::NotJudged(reason)
            | Verdict::Ended(reason) => (active, Some(*slot), Action::Return, *reason),
        };
        let before = writer.bad_sets().map_err(|error| target.fail(&error))?;
        let mut bad = before.clone();
        match verdict {
            Verdict::Failed(_) => bad.remember(BadEntry {
                layer_set: slot.layer_set,
                number: slot.number,
                at,
                reason: BadReason::HealthCheck,
            }),
            // Forced, and well this time.
            Verdict::Healthy(_) => {
                bad.forget(&slot.layer_set);
            }
            Verdict::TriesUsedUp(_) | Verdict::NotJudged(_) | Verdict::Ended(_) => {}
        }
        if bad != before {
            put(target, writer, RecordType::BadSets, &bad.emit())?;
        }
        if let Some(shown) = shown {
            let mut history = activate::history(writer)?;
            history.push(HistoryEntry {
                number: shown.number,
                from: from.map_or(0, |slot| slot.number),
                at,
                generation: shown.generation,
                action,
                command: reason.to_owned(),
            });
            put(target, writer, RecordType::History, &history.emit())?;
        }
        writer.set_slots(slots);
        Ok(())
    })
}

fn put(target: &Target, writer: &mut SlotWriter, kind: RecordType, bytes: &[u8]) -> Result<(), Failure> {
    writer.put_record(kind, &ONLY, bytes).map_err(|error| target.fail(&error))
}

/// Makes a change while `slot` is on trial, again when another commit came first.
fn change(
    target: &Target,
    slot: &Slot,
    make: impl Fn(&mut SlotWriter, u64) -> Result<(), Failure>,
) -> Result<Written, Failure> {
    let mut tries = 1;
    loop {
        let mut writer = Store::slot_writer(target.path()).map_err(|error| target.fail(&error))?;
        let trial = writer.slots().trial().map(|name| *writer.slots().get(name));
        if trial.map(|trial| trial.generation) != Some(slot.generation) {
            return Ok(Written::TooLate);
        }
        let at = target.now(&writer);
        make(&mut writer, at)?;
        let active = writer.slots().active().map(|slot| slot.generation);
        match writer.commit(active) {
            Err(StoreError::Changed { .. }) if tries < TRIES => tries += 1,
            result => return result.map(|()| Written::Yes).map_err(|error| target.fail(&error)),
        }
    }
}
