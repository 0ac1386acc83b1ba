//! What follows a change of what is shown: services, and the question whether it did good.
//!
//! Services follow before the check is asked, and once more when its answer brought another generation back. A service that cannot be
//! started is an answer too: a generation on trial is given up for it. Where services run from a folder that does not show the generation yet,
//! neither they nor the check are bothered: both would see the one before.

use crate::active;
use crate::services::{self, Following};
use crate::target::Target;
use crate::trial::{self, Policy, Verdict, Written};
use plyos_ids::GenerationId;
use plyos_report::{ExitCode, Failure};
use plyos_transfer::block_on;

/// The generation that is shown, if any is and the store can be read.
pub fn shown(target: &Target) -> Option<GenerationId> {
    let store = target.store().ok()?;
    trial::shown(&store).map(|slot| slot.generation)
}

/// After a command that began when `before` was shown: nothing where it changed nothing. `ask` decides about a trial, if its second argument
/// says so, and tells what became of the change.
pub fn after(
    target: &Target,
    before: Option<GenerationId>,
    ask: impl AsyncFnOnce(&Target, bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if shown(target) == before { block_on(ask(target, true)) } else { always(target, ask) }
}

/// The same, whether or not anything changed.
pub fn always(
    target: &Target,
    ask: impl AsyncFnOnce(&Target, bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let units = services::usual_units();
    let before = shown(target);
    let first = services::follow(target, &units);
    let mut told = None;
    match &first {
        Following::AsItSays => {}
        Following::NotShown(line) => target.progress.warn(line),
        Following::Failed(failure) => told = Some(give_up(target, failure)?),
        Following::Unknown(failure) => told = Some(not_as_it_says(failure)),
    }
    let asked = block_on(ask(target, !matches!(first, Following::NotShown(_))));
    let second = if shown(target) == before { Following::AsItSays } else { services::follow(target, &units) };
    asked?;
    if let Some(failure) = told {
        return Err(failure);
    }
    match second {
        Following::Failed(failure) | Following::Unknown(failure) => Err(not_as_it_says(&failure)),
        Following::AsItSays | Following::NotShown(_) => Ok(()),
    }
}

/// Services failed: evidence against a trial, and the failure of the command otherwise. Gives what is to be told.
fn give_up(target: &Target, failure: &Failure) -> Result<Failure, Failure> {
    let store = target.store()?;
    // Where the store is booted from, a trial is not what runs now.
    let trial = trial::on_trial(&store).filter(|_| !store.superblock().boots).copied();
    let Some(slot) = trial else { return Ok(not_as_it_says(failure)) };
    if Policy::of(&active::generation(&store, &slot.generation)?).is_none() {
        return Ok(not_as_it_says(failure));
    }
    drop(store);
    let reason = format!("its services failed: {failure}");
    match trial::conclude(target, &slot, &Verdict::Failed(&reason))? {
        Written::TooLate => Ok(trial::is_over(slot.number)),
        Written::Yes => {
            let line =
                format!("generation {} was given up: {reason}; the one before is active again", slot.number);
            Ok(Failure::new(ExitCode::Store, line))
        }
    }
}

fn not_as_it_says(failure: &Failure) -> Failure {
    let line = format!("the generation is active, but its services are not as it says: {failure}");
    Failure::new(ExitCode::Store, line)
}
