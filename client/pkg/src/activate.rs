//! From layers to the active generation: the manifest, history, slots, one commit.

use crate::active;
use crate::policy::{self, BadLayers};
use crate::target::{ONLY, Target, record};
use crate::trial::Policy;
use plyos_ids::{GenerationId, Mount};
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::{Generation, GenerationLayer, GenerationParts};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{Action, History, HistoryEntry, RecordType};
use plyos_storefile::{Store, Writer};

/// The record of a layer in a generation.
pub fn generation_layer(
    descriptor: &Descriptor,
    id: plyos_ids::LayerId,
    asked: bool,
    epoch: u32,
    repo: &str,
) -> GenerationLayer {
    GenerationLayer {
        id,
        kind: descriptor.kind(),
        mount: Mount::of(descriptor.kind(), descriptor.name()),
        asked,
        unsigned: false,
        epoch,
        name: descriptor.name().to_owned(),
        version: descriptor.version().to_owned(),
        arch: descriptor.arch().to_owned(),
        repo: repo.to_owned(),
    }
}

/// What an activation says of itself.
pub struct Reason {
    /// What was done.
    pub action: Action,
    /// The command.
    pub command: String,
    /// Whether layers that turned out bad may be tried again.
    pub bad_layers: BadLayers,
}

/// Writes a generation of `layers`, whose chunks are all in the writer, and flips to it: on trial when the active
/// generation has a health policy, which it takes over. The commit is refused when another process has activated something in between.
pub fn activate(
    target: &Target,
    writer: &mut Writer,
    layers: Vec<GenerationLayer>,
    reason: &Reason,
) -> Result<Generation, Failure> {
    let policy = active::active_generation(writer)?.as_ref().and_then(Policy::of);
    let worth = if policy.is_some() { Worth::OnTrial } else { Worth::Good };
    activate_with(target, writer, layers, policy, worth, reason)
}

/// What a generation is worth when it becomes the one that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// Good at once.
    Good,
    /// To be found out.
    OnTrial,
}

/// The same with this health policy.
pub fn activate_with(
    target: &Target,
    writer: &mut Writer,
    layers: Vec<GenerationLayer>,
    policy: Option<Policy>,
    worth: Worth,
    reason: &Reason,
) -> Result<Generation, Failure> {
    let now = target.now(writer);
    let parts = GenerationParts {
        number: writer.take_generation_number(),
        parent: writer.slots().active().map_or(0, |slot| slot.number),
        created_at: now,
        state_version: writer.superblock().state_version,
        tries: policy.as_ref().map_or(0, |policy| policy.tries),
        health: policy.map(|policy| policy.health),
        created_by: reason.command.clone(),
        layers,
    };
    let generation = Generation::new(parts).or_fail(ExitCode::Store, "making the generation")?;
    policy::check_bad(writer, &generation, reason.bad_layers)?;
    if worth == Worth::Good {
        policy::raise_floors(target, writer, &generation)?;
    }
    let bytes = generation.emit();
    let id = generation.id();
    writer.put_record(RecordType::Generation, id.as_bytes(), &bytes).map_err(|error| target.fail(&error))?;
    let candidate =
        Candidate { number: generation.number, generation: id, layer_set: generation.layer_set() };
    let event = match worth {
        Worth::Good => Event::Activate(candidate),
        Worth::OnTrial => Event::ActivateTrial(candidate, generation.tries),
    };
    flip(target, writer, candidate, event, reason, now)?;
    Ok(generation)
}

/// Makes a former generation active again; by force also one that was never good, which it is from now on.
pub fn roll_back(
    target: &Target,
    writer: &mut Writer,
    to: &Generation,
    reason: &Reason,
) -> Result<(), Failure> {
    let now = target.now(writer);
    let candidate = Candidate { number: to.number, generation: to.id(), layer_set: to.layer_set() };
    let event = match reason.bad_layers {
        BadLayers::Refused => Event::Rollback(candidate),
        BadLayers::Forced => {
            policy::raise_floors(target, writer, to)?;
            Event::Activate(candidate)
        }
    };
    flip(target, writer, candidate, event, reason, now)
}

fn flip(
    target: &Target,
    writer: &mut Writer,
    candidate: Candidate,
    event: Event,
    reason: &Reason,
    now: u64,
) -> Result<(), Failure> {
    // From the slot, not from its generation: one whose record is lost can be left.
    let before = writer.slots().active().copied();
    let slots = writer.slots().apply(event, now).or_fail(ExitCode::Store, "switching the generation")?;
    let mut history = history(writer)?;
    history.push(HistoryEntry {
        number: candidate.number,
        from: before.map_or(0, |slot| slot.number),
        at: now,
        generation: candidate.generation,
        action: reason.action,
        command: reason.command.clone(),
    });
    writer.put_record(RecordType::History, &ONLY, &history.emit()).map_err(|error| target.fail(&error))?;
    writer.set_slots(slots);
    let expected: Option<GenerationId> = before.map(|slot| slot.generation);
    writer.commit(expected).map_err(|error| target.fail(&error))
}

/// The history of activations.
pub fn history(store: &Store) -> Result<History, Failure> {
    match record(store, RecordType::History, &ONLY)? {
        Some(bytes) => History::parse(&bytes).or_fail(ExitCode::Store, "reading the history"),
        None => Ok(History::default()),
    }
}
