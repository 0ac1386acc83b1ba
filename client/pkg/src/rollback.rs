//! `pkg rollback`: back to a former good generation, at once and without trial.
//!
//! A number counts as good once it was more than a trial ([`History::was_good`]): what failed its check, or was replaced before anybody
//! knew, comes back by `--force` only, and so do layers that turned out bad later. Everything of a generation is checked
//! before the flip, as for an installation; nothing is fetched.

use crate::activate::{self, Reason};
use crate::active::{self, Active, mount_generation};
use crate::policy::{self, BadLayers};
use crate::target::Target;
use crate::trial::{self, Policy, Verdict, Written, on_trial, shown};
use plyos_ids::GenerationId;
use plyos_report::{ExitCode, Failure, print_json};
use plyos_slots::Slot;
use plyos_storefile::{Action, History, HistoryEntry, Store};
use serde_json::json;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Number of the generation; the one before when none.
    pub number: Option<u64>,
    /// Whether one that was never good, or whose layers turned out bad, is taken as well.
    pub bad_layers: BadLayers,
    /// Check it, say which it is, and stop.
    pub dry_run: bool,
}

impl Request {
    fn command(&self) -> String {
        match self.number {
            Some(number) => format!("pkg rollback {number}"),
            None => "pkg rollback".to_owned(),
        }
    }
}

/// `pkg rollback`
pub fn rollback(target: &Target, request: &Request) -> Result<(), Failure> {
    if let Some(trial) = ends(&target.store()?, request)? {
        return end(target, &trial, request);
    }
    let mut writer = target.writer()?;
    // The installation that this waited for may have begun one.
    if let Some(trial) = ends(&writer, request)? {
        return end(target, &trial, request);
    }
    let was = shown(&writer).map_or(0, |slot| slot.number);
    let present = *writer.slots().active().ok_or_else(|| {
        Failure::new(ExitCode::NotFound, "nothing is active, so there is nothing to go back from")
    })?;
    let to = wanted(&writer, &present, request)?;
    let mounted = whole(target, &writer, &to)?;
    let to = &mounted.generation;
    policy::check_bad(&writer, to, request.bad_layers)?;
    policy::check_state(&writer, mounted.layers.iter().map(|layer| layer.index.descriptor()))?;
    if request.dry_run {
        if target.progress.json() {
            print_json(&json!({"dry_run": true, "generation": to.number, "from": was}));
        } else {
            let line = format!("Generation {} would be active again (now {was}).", to.number);
            target.progress.step(&line);
        }
        return Ok(());
    }
    // One whose record is lost can be left.
    let policy = active::generation(&writer, &present.generation).ok().as_ref().and_then(Policy::of);
    let reason =
        Reason { action: Action::Rollback, command: request.command(), bad_layers: request.bad_layers };
    activate::roll_back(target, &mut writer, to, &reason)?;
    if target.progress.json() {
        print_json(&json!({"generation": to.number, "from": was}));
        return Ok(());
    }
    target.progress.step(&format!("Generation {} is active again (was {was}).", to.number));
    match (policy, Policy::of(to)) {
        (Some(_), None) => target
            .progress
            .step("It has no health policy, so changes are good at once; `pkg health set` makes one."),
        (before, Some(now)) if before.as_ref() != Some(&now) => {
            target.progress.step("Its own health policy counts again; `pkg health show` shows it.");
        }
        _ => {}
    }
    Ok(())
}

/// The trial that the request ends: whoever names no generation, or the good one, wants away from what is on trial.
fn ends(store: &Store, request: &Request) -> Result<Option<Slot>, Failure> {
    let (Some(trial), Some(active)) = (on_trial(store), store.slots().active()) else { return Ok(None) };
    match request.number {
        Some(number) if number == trial.number && request.bad_layers == BadLayers::Refused => {
            let line = format!(
                "generation {number} is on trial; `pkg health run` decides about it, and `pkg rollback` ends it"
            );
            Err(Failure::new(ExitCode::Store, line))
        }
        Some(number) if number != active.number => Ok(None),
        _ => Ok(Some(*trial)),
    }
}

/// Ends a trial: the good generation, which never stopped being the active one, is shown again.
fn end(target: &Target, trial: &Slot, request: &Request) -> Result<(), Failure> {
    let store = target.store()?;
    let to = store.slots().active().map_or(0, |slot| slot.number);
    if !request.dry_run {
        let ended = trial::conclude(target, trial, &Verdict::Ended(&request.command()))?;
        if ended == Written::TooLate {
            return Err(trial::is_over(trial.number));
        }
    }
    if target.progress.json() {
        let said = match request.dry_run {
            true => json!({"dry_run": true, "generation": to, "from": trial.number}),
            false => json!({"generation": to, "from": trial.number}),
        };
        print_json(&said);
        return Ok(());
    }
    let line = if request.dry_run {
        format!("Generation {to} would be active again (now {}, on trial).", trial.number)
    } else {
        format!("Generation {to} is active again (was {}, whose trial is over).", trial.number)
    };
    target.progress.step(&line);
    Ok(())
}

/// Which generation is asked for, if it may be gone back to.
fn wanted(store: &Store, present: &Slot, request: &Request) -> Result<GenerationId, Failure> {
    let history = activate::history(store)?;
    let entry = match request.number {
        Some(number) => history.entries().rev().find(|entry| entry.number == number),
        None => before(&history, present.number),
    };
    let entry = entry.ok_or_else(|| {
        let line = match request.number {
            Some(number) => format!("generation {number} is not in the history; `pkg history` lists them"),
            None => "there is no generation before this one; `pkg history` lists them".to_owned(),
        };
        Failure::new(ExitCode::NotFound, line)
    })?;
    let number = entry.number;
    if number == present.number {
        return Err(Failure::new(ExitCode::Store, format!("generation {number} is active already")));
    }
    if request.bad_layers == BadLayers::Refused && !history.was_good(number) {
        let line = format!(
            "generation {number} was on trial and never found good, so nobody goes back to it; `pkg history` says why (--force takes it on your own word)"
        );
        return Err(Failure::new(ExitCode::Store, line));
    }
    Ok(entry.generation)
}

/// The generation, when all of it is there and still accepted.
fn whole(target: &Target, store: &Store, id: &GenerationId) -> Result<Active, Failure> {
    let mounted = mount_generation(target, store, active::generation(store, id)?)?;
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
    Ok(mounted)
}

/// The generation that was active before generation `number` last became so.
pub fn before(history: &History, number: u64) -> Option<&HistoryEntry> {
    // A return names the generation that was given up, to which nobody goes back.
    let came =
        history.entries().rev().find(|entry| entry.number == number && entry.action != Action::Return)?;
    history.entries().rev().find(|before| before.number == came.from && came.from != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(entries: &[(Action, u64, u64)]) -> History {
        let mut history = History::default();
        for (action, number, from) in entries {
            history.push(HistoryEntry {
                number: *number,
                from: *from,
                at: 0,
                generation: GenerationId::from_bytes([u8::try_from(*number).unwrap(); 32]),
                action: *action,
                command: String::new(),
            });
        }
        history
    }

    #[test]
    fn the_one_before_is_what_was_active_then() {
        let history = history(&[
            (Action::Install, 1, 0),
            (Action::Upgrade, 2, 1),
            (Action::Upgrade, 3, 2),
            (Action::Return, 2, 3),
        ]);
        assert_eq!(before(&history, 2).map(|entry| entry.number), Some(1));
        assert_eq!(before(&history, 1), None);
    }
}
