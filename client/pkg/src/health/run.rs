//! From a generation on trial to a verdict.
//!
//! One process at a time finds out ([`TrialLock`]): a run of the timer leaves at once when somebody else is at it, a command that began the
//! trial waits for the verdict, whoever finds it. What is decided meanwhile by others is told as it is ([`became`]).

use super::check;
use super::interrupted::Interruptions;
use crate::activate;
use crate::active;
use crate::carry_out::Changed;
use crate::target::Target;
use crate::trial::{self, Policy, Verdict, Written};
use plyos_namespace::generation::{Generation, Health};
use plyos_report::{ExitCode, Failure, print_json};
use plyos_slots::{Slot, SlotState};
use plyos_storefile::{Action, Store, TrialLock};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest that one look may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Between two attempts to get the lock.
const TURN: Duration = Duration::from_millis(100);

/// How a trial ended.
enum Outcome {
    Promoted,
    Returned(String),
}

impl Outcome {
    fn json(&self) -> Value {
        match self {
            Self::Promoted => json!({"promoted": true, "reason": null}),
            Self::Returned(reason) => json!({"promoted": false, "reason": reason}),
        }
    }
}

/// `pkg health run`
pub async fn run(target: &Target) -> Result<(), Failure> {
    let nothing = || {
        tell(target, None, None, "No generation is on trial.");
        Ok(())
    };
    let Some(Trial { slot, .. }) = on_trial(target)? else { return nothing() };
    let Some(_lock) = lock(target)? else {
        let line = format!("The check of generation {} is running already.", slot.number);
        tell(target, Some(slot.number), None, &line);
        return Ok(());
    };
    // Who had the lock before may have decided.
    let Some(trial) = on_trial(target)? else { return nothing() };
    let number = trial.slot.number;
    let outcome = decide_or_end(target, &trial).await?;
    tell(target, Some(number), Some(&outcome), &stays(number));
    match outcome {
        Outcome::Promoted => Ok(()),
        Outcome::Returned(reason) => Err(given_up(number, &reason)),
    }
}

/// What `pkg health run` says when it ends well; for programs also what came of the trial otherwise.
fn tell(target: &Target, on_trial: Option<u64>, outcome: Option<&Outcome>, line: &str) {
    if target.progress.json() {
        let said = outcome.map_or(Value::Null, Outcome::json);
        print_json(&json!({"on_trial": on_trial, "promoted": said["promoted"], "reason": said["reason"]}));
    } else if !matches!(outcome, Some(Outcome::Returned(_))) {
        target.progress.step(line);
    }
}

/// After a change: decides about it, unless nobody wants to wait. With JSON the facts of the change and the verdict are one
/// document.
pub async fn after_change(target: &Target, changed: &Changed, waits: bool) -> Result<(), Failure> {
    let number = changed.generation.number;
    let outcome = match changed.generation.health {
        Some(_) if waits => Some(verdict(target, number).await),
        Some(_) => {
            let line = "`pkg health run` decides about it, and `pkg rollback` ends it.";
            target.progress.step(line);
            None
        }
        None => None,
    };
    if target.progress.json() {
        let trial = match &outcome {
            None if changed.generation.health.is_none() => Value::Null,
            None => json!({"promoted": null, "reason": null}),
            Some(Ok(outcome)) => outcome.json(),
            Some(Err(failure)) => json!({"promoted": null, "reason": failure.message}),
        };
        let mut facts = changed.facts.clone();
        if let Value::Object(members) = &mut facts {
            members.insert("trial".to_owned(), trial);
        }
        print_json(&facts);
    }
    match outcome {
        None => Ok(()),
        Some(Err(failure)) => Err(failure),
        Some(Ok(Outcome::Promoted)) => {
            target.progress.step(&stays(number));
            Ok(())
        }
        Some(Ok(Outcome::Returned(reason))) => Err(given_up(number, &reason)),
    }
}

/// The verdict on the generation of this number, which is on trial or was.
async fn verdict(target: &Target, number: u64) -> Result<Outcome, Failure> {
    let mut told = false;
    let _lock = loop {
        if let Some(lock) = lock(target)? {
            break lock;
        }
        if !told {
            target.progress.step("Its check is running already; waiting for the verdict.");
            told = true;
        }
        tokio::time::sleep(TURN).await;
    };
    match on_trial(target)? {
        Some(trial) if trial.slot.number == number => decide_or_end(target, &trial).await,
        _ => became(target, number),
    }
}

fn lock(target: &Target) -> Result<Option<TrialLock>, Failure> {
    Store::trial_lock(target.path()).map_err(|error| target.fail(&error))
}

fn stays(number: u64) -> String {
    format!("Generation {number} is well and stays.")
}

fn given_up(number: u64, reason: &str) -> Failure {
    let line = format!(
        "generation {number} was given up: {reason}; the one before is active again, `pkg history` keeps the reason"
    );
    Failure::new(ExitCode::Store, line)
}

/// A trial that a check decides.
struct Trial {
    slot: Slot,
    generation: Generation,
    health: Health,
}

/// The trial that is under way, if its generation has a health policy and this host shows it. What a machine boots is decided by its
/// init: its loader has counted the try, and until the next boot nobody has seen the generation run.
fn on_trial(target: &Target) -> Result<Option<Trial>, Failure> {
    let store = target.store()?;
    let shown = trial::shown(&store).filter(|slot| slot.is_trial());
    let Some(slot) = shown.copied() else { return Ok(None) };
    let generation = active::generation(&store, &slot.generation)?;
    let policy = Policy::of(&generation);
    Ok(policy.map(|Policy { health, .. }| Trial { slot, generation, health }))
}

/// What somebody else made of a trial.
fn became(target: &Target, number: u64) -> Result<Outcome, Failure> {
    let store = target.store()?;
    if store.slots().active().is_some_and(|active| active.number == number) {
        return Ok(Outcome::Promoted);
    }
    let history = activate::history(&store)?;
    let returned =
        history.entries().rev().find(|entry| entry.action == Action::Return && entry.from == number);
    returned.map(|entry| Outcome::Returned(entry.command.clone())).ok_or_else(|| trial::is_over(number))
}

/// The same as [`decide`], until somebody wants this process to end: the check ends with it, and the trial goes on.
async fn decide_or_end(target: &Target, trial: &Trial) -> Result<Outcome, Failure> {
    let mut interruptions = Interruptions::new()?;
    tokio::select! {
        outcome = decide(target, trial) => outcome,
        () = interruptions.first() => {
            let line = format!(
                "the check of generation {} was broken off, so it stays on trial; `pkg health run` asks again, `pkg rollback` ends it",
                trial.slot.number
            );
            Err(Failure::new(ExitCode::Failure, line))
        }
    }
}

/// Asks until the check passes or its time is over. To be called with the lock: without it a run that is under way could not be
/// told from one that broke off.
async fn decide(target: &Target, trial: &Trial) -> Result<Outcome, Failure> {
    let Trial { slot, generation, health } = trial;
    let conclude = |verdict: &Verdict<'_>, outcome: Outcome| match trial::conclude(target, slot, verdict)? {
        Written::Yes => Ok(outcome),
        Written::TooLate => became(target, slot.number),
    };
    if matches!(slot.state, SlotState::Trial { left: 0, .. }) {
        let reason = String::from("every run of its check broke off");
        return conclude(&Verdict::TriesUsedUp(&reason), Outcome::Returned(reason.clone()));
    }
    // First, so that a check that takes the machine with it is not begun for ever.
    if trial::take_try(target, slot)? == Written::TooLate {
        return became(target, slot.number);
    }
    let (began, time) = (Instant::now(), Duration::from_secs(health.timeout.into()));
    loop {
        let left = time.saturating_sub(began.elapsed());
        let Err(why) = check::once(health, slot.number, left.min(LONGEST)).await else {
            return conclude(&Verdict::Healthy(generation), Outcome::Promoted);
        };
        target.progress.detail(&format!("not yet: {why}"));
        if began.elapsed() + PAUSE >= time {
            let reason = format!("its health check failed for {} s: {why}", health.timeout);
            return conclude(&Verdict::Failed(&reason), Outcome::Returned(reason.clone()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
