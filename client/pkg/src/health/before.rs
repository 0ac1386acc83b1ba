//! What must be in order before a change begins that would be a trial.

use crate::active;
use crate::trial::{self, Policy};
use plyos_report::{ExitCode, Failure};
use plyos_storefile::Store;

/// One trial at a time: a plan is made from what is known to be good, so a second change would silently take the first
/// back. A trial that this host does not show, and one without a policy, are replaced as the slots' rules say.
pub fn no_trial(store: &Store) -> Result<(), Failure> {
    let Some(slot) = trial::shown(store).filter(|slot| slot.is_trial()) else { return Ok(()) };
    if Policy::of(&active::generation(store, &slot.generation)?).is_none() {
        return Ok(());
    }
    let line = format!(
        "generation {} is on trial, and one change is judged at a time; `pkg health run` decides about it, `pkg rollback` ends it",
        slot.number
    );
    Err(Failure::new(ExitCode::Store, line))
}
