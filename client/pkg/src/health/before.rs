//! What must be in order before a change begins that would be a trial.

use super::allowed;
use crate::active::{self, active_generation};
use crate::target::Target;
use crate::trial::{self, Policy};
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_report::{ExitCode, Failure};
use plyos_storefile::Store;

/// A policy is not changed while one decides about a trial.
pub fn no_trial(store: &Store) -> Result<(), Failure> {
    let Some((number, _)) = judged(store)? else { return Ok(()) };
    let line = format!(
        "generation {number} is on trial by the policy that stands; `pkg health run` decides about it, `pkg rollback` ends it"
    );
    Err(Failure::new(ExitCode::Store, line))
}

/// A plan is made from what is known to be good, so a change during a trial takes the trial's place: says what goes with it.
pub fn say_replaced(target: &Target, store: &Store) -> Result<(), Failure> {
    let Some((number, generation)) = judged(store)? else { return Ok(()) };
    let good = active_generation(store)?;
    let stays =
        |layer: &GenerationLayer| good.iter().flat_map(|good| &good.layers).any(|other| other.id == layer.id);
    let brought = generation.layers.iter().filter(|layer| !stays(layer));
    let brought: Vec<String> =
        brought.map(|layer| format!("{}/{} {}", layer.kind, layer.name, layer.version)).collect();
    let goes = match brought.as_slice() {
        [] => "what it took away is there again".to_owned(),
        brought => format!("with it goes what it brought ({})", brought.join(", ")),
    };
    target.progress.warn(&format!(
        "generation {number} is on trial, and this change takes its place: {goes}; to keep it, let `pkg health run` decide first"
    ));
    Ok(())
}

/// The generation on trial that this host shows, if a policy decides about it.
fn judged(store: &Store) -> Result<Option<(u64, Generation)>, Failure> {
    let Some(slot) = trial::shown(store).filter(|slot| slot.is_trial()) else { return Ok(None) };
    let generation = active::generation(store, &slot.generation)?;
    Ok(Policy::of(&generation).is_some().then_some((slot.number, generation)))
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
