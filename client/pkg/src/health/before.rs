//! What must be in order before a change begins that would be a trial.

use super::allowed;
use crate::active::{self, active_generation};
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

/// The policy that the next generation takes over can be asked on this machine.
pub fn can_judge(store: &Store) -> Result<(), Failure> {
    let policy = active_generation(store)?.as_ref().and_then(Policy::of);
    let Some(Policy { health, .. }) = policy else { return Ok(()) };
    match allowed::refusal(&health)? {
        Some(reason) => {
            let line = format!(
                "nobody could tell whether the next generation is well: {reason}; `pkg health set --command` allows it, `pkg health clear` drops the policy"
            );
            Err(Failure::new(ExitCode::Store, line))
        }
        None => Ok(()),
    }
}
