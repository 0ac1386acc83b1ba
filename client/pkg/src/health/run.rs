//! From a generation on trial to a verdict.

use super::check;
use crate::active;
use crate::target::Target;
use crate::trial::{self, Policy, Verdict};
use plyos_namespace::generation::{Generation, Health};
use plyos_report::{ExitCode, Failure, print_json};
use plyos_slots::{Slot, SlotState};
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest that one look may take.
const LONGEST: Duration = Duration::from_secs(10);

/// How a trial ended.
enum Outcome {
    Promoted,
    Returned(String),
}

/// `pkg health run`
pub async fn run(target: &Target) -> Result<(), Failure> {
    let Some(trial) = on_trial(target)? else {
        if target.progress.json() {
            print_json(&json!({"on_trial": null}));
        } else {
            target.progress.step("No generation is on trial.");
        }
        return Ok(());
    };
    let slot = trial.slot;
    let outcome = decide(target, &trial).await?;
    if target.progress.json() {
        let reason = match &outcome {
            Outcome::Promoted => None,
            Outcome::Returned(reason) => Some(reason),
        };
        print_json(&json!({"on_trial": slot.number, "promoted": reason.is_none(), "reason": reason}));
    }
    tell(target, &slot, outcome)
}

/// After a change: decides about it, unless nobody wants to wait.
pub async fn after_change(target: &Target, waits: bool) -> Result<(), Failure> {
    if !waits {
        return Ok(());
    }
    let Some(trial) = on_trial(target)? else { return Ok(()) };
    let outcome = decide(target, &trial).await?;
    tell(target, &trial.slot, outcome)
}

fn tell(target: &Target, slot: &Slot, outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Promoted => {
            target.progress.step(&format!("Generation {} is well and stays.", slot.number));
            Ok(())
        }
        Outcome::Returned(reason) => {
            let line = format!(
                "generation {} was given up: {reason}; the one before is active again, `pkg history` keeps the reason",
                slot.number
            );
            Err(Failure::new(ExitCode::Store, line))
        }
    }
}

/// A trial that a check decides.
struct Trial {
    slot: Slot,
    generation: Generation,
    health: Health,
}

/// The trial that is under way, if its generation has a health policy. One without is decided by whoever began it: the init of a machine that
/// boots from the store.
fn on_trial(target: &Target) -> Result<Option<Trial>, Failure> {
    let store = target.store()?;
    let Some(slot) = store.slots().trial().map(|name| *store.slots().get(name)) else { return Ok(None) };
    let generation = active::generation(&store, &slot.generation)?;
    let policy = Policy::of(&generation);
    Ok(policy.map(|Policy { health, .. }| Trial { slot, generation, health }))
}

/// Asks until the check passes or its time is over.
async fn decide(target: &Target, trial: &Trial) -> Result<Outcome, Failure> {
    let Trial { slot, generation, health } = trial;
    if matches!(slot.state, SlotState::Trial { left: 0, .. }) {
        let reason = String::from("every run of its check broke off");
        trial::conclude(target, slot, &Verdict::TriesUsedUp(&reason))?;
        return Ok(Outcome::Returned(reason));
    }
    // First, so that a check that takes the machine with it is not begun for ever.
    trial::take_try(target, slot)?;
    let (began, time) = (Instant::now(), Duration::from_secs(health.timeout.into()));
    loop {
        let left = time.saturating_sub(began.elapsed());
        let Err(why) = check::once(health, slot.number, left.min(LONGEST)).await else {
            trial::conclude(target, slot, &Verdict::Healthy(generation))?;
            return Ok(Outcome::Promoted);
        };
        target.progress.detail(&format!("not yet: {why}"));
        if began.elapsed() + PAUSE >= time {
            let reason = format!("its health check failed for {} s: {why}", health.timeout);
            trial::conclude(target, slot, &Verdict::Failed(&reason))?;
            return Ok(Outcome::Returned(reason));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
