//! From a generation on trial to a verdict.
//!
//! One process at a time finds out ([`TrialLock`]): a run of the timer leaves at once when somebody else is at it, a command that began the
//! trial waits for the verdict, whoever finds it. What is decided meanwhile by others is told as it is ([`became`]).

use super::interrupted::Interruptions;
use super::{allowed, check};
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
/// Between two attempts to get the lock.
const TURN: Duration = Duration::from_millis(100);

/// How a trial ended.
enum Outcome {
    Promoted,
    Returned(String),
}

/// Whether it was promoted, and why not; `None` when nobody knows.
fn verdict_of(outcome: Option<&Outcome>) -> (Option<bool>, Option<&str>) {
    match outcome {
        Some(Outcome::Promoted) => (Some(true), None),
        Some(Outcome::Returned(reason)) => (Some(false), Some(reason)),
        None => (None, None),
    }
}

/// `pkg health run`
pub async fn run(target: &Target) -> Result<(), Failure> {
    let nothing = || {
        let line = match trial::on_trial(&target.store()?) {
            Some(slot) => format!("Generation {} is on trial from the next boot on.", slot.number),
            None => "No generation is on trial.".to_owned(),
        };
        tell(target, None, None, &line);
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
        let (promoted, reason) = verdict_of(outcome);
        print_json(&json!({"on_trial": on_trial, "promoted": promoted, "reason": reason}));
    } else if !matches!(outcome, Some(Outcome::Returned(_))) {
        target.progress.step(line);
    }
}

/// After a change: decides about it, unless nobody wants to wait. With JSON the facts of the change and the verdict are one
/// document.
pub async fn after_change(target: &Target, changed: &Changed, waits: bool) -> Result<(), Failure> {
    let number = changed.generation.number;
    let has_policy = changed.generation.health.is_some();
    let outcome = match waits {
        _ if !has_policy => None,
        _ if target.store()?.superblock().boots => {
            target.progress.step("The trial begins with the next boot; `pkg rollback` ends it.");
            None
        }
        true => Some(verdict(target, number).await),
        false => {
            target.progress.step("`pkg health run` decides about it, and `pkg rollback` ends it.");
            None
        }
    };
    if target.progress.json() {
        let (promoted, reason) = match &outcome {
            Some(Err(failure)) => (None, Some(failure.message.as_str())),
            Some(Ok(outcome)) => verdict_of(Some(outcome)),
            None => verdict_of(None),
        };
        let trial = if has_policy { json!({"promoted": promoted, "reason": reason}) } else { Value::Null };
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

/// Asks until the check has passed for long enough or its time is over. To be called with the lock: without it a run that is under way could not be
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
    if let Some(reason) = allowed::refusal(health)? {
        return conclude(&Verdict::NotJudged(&reason), Outcome::Returned(reason.clone()));
    }
    // First, so that a check that takes the machine with it is not begun for ever.
    if trial::take_try(target, slot)? == Written::TooLate {
        return became(target, slot.number);
    }
    let wanted = Wanted {
        time: Duration::from_secs(health.timeout.into()),
        hold: Duration::from_secs(health.hold.into()),
    };
    let began = Instant::now();
    // When the first look began of those that passed, one after the other.
    let mut well: Option<Duration> = None;
    let mut was_well = false;
    loop {
        let now = began.elapsed();
        let looked = check::once(health, slot.number, wanted.look(now, well)).await;
        match &looked {
            Ok(()) => (well, was_well) = (well.or(Some(now)), true),
            Err(why) => {
                well = None;
                target.progress.detail(&format!("not yet: {why}"));
            }
        }
        match (wanted.after(began.elapsed(), well), looked) {
            (Next::Promote, _) => return conclude(&Verdict::Healthy(generation), Outcome::Promoted),
            (Next::GiveUp, Err(why)) => {
                let reason = match was_well {
                    false => format!("its health check failed for {} s: {why}", health.timeout),
                    true => format!(
                        "its health check passed, but not for {} s on end within {} s: {why}",
                        health.hold, health.timeout
                    ),
                };
                return conclude(&Verdict::Failed(&reason), Outcome::Returned(reason.clone()));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// What a policy wants: to pass for `hold` on end, and to begin with that within `time`.
struct Wanted {
    time: Duration,
    hold: Duration,
}

/// What comes after a look.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Promote,
    GiveUp,
    LookAgain,
}

impl Wanted {
    /// How long the look may take that begins now; one that has passed before is not cut short by the end of the time.
    fn look(&self, now: Duration, well: Option<Duration>) -> Duration {
        let left = self.time.saturating_sub(now);
        if well.is_some() { left.max(self.hold) } else { left }
    }

    /// What to do now, when all looks have passed since the one that began at `well`. A long look covers the time that it takes.
    fn after(&self, now: Duration, well: Option<Duration>) -> Next {
        match well {
            Some(well) if now.saturating_sub(well) >= self.hold => Next::Promote,
            Some(_) => Next::LookAgain,
            None if now + PAUSE >= self.time => Next::GiveUp,
            None => Next::LookAgain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_success_is_not_enough() {
        let wanted = Wanted { time: seconds(60), hold: seconds(5) };
        assert_eq!(wanted.after(seconds(1), Some(seconds(1))), Next::LookAgain);
        assert_eq!(wanted.after(seconds(6), Some(seconds(1))), Next::Promote);
        assert_eq!(wanted.after(seconds(6), None), Next::LookAgain);
        assert_eq!(wanted.after(seconds(60), None), Next::GiveUp);
        // It began to pass in time, and may go on until it has passed long enough.
        assert_eq!(wanted.after(seconds(63), Some(seconds(59))), Next::LookAgain);
        assert_eq!(wanted.after(seconds(64), Some(seconds(59))), Next::Promote);
        let once = Wanted { hold: seconds(0), ..wanted };
        assert_eq!(once.after(seconds(1), Some(seconds(1))), Next::Promote);
    }

    #[test]
    fn a_look_has_all_the_time_that_is_left() {
        let wanted = Wanted { time: seconds(25), hold: seconds(5) };
        assert_eq!(wanted.look(seconds(0), None), seconds(25));
        assert_eq!(wanted.look(seconds(24), None), seconds(1));
        assert_eq!(wanted.look(seconds(24), Some(seconds(22))), seconds(5));
    }
}
