//! What decides beside signatures whether a generation may become active: bad layer sets, the machine's state, and the
//! floors of security epochs, which rise when a generation becomes good.

use crate::active::{self, floors};
use crate::target::{ONLY, Target, record};
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::Generation;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{BadSets, Floors, RecordType, Store, Writer};

/// Whether a set of layers that turned out bad may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLayers {
    /// It is refused.
    Refused,
    /// The operator insists.
    Forced,
}

/// A set of layers that turned out bad is not activated again, unless forced.
pub fn check_bad(store: &Store, generation: &Generation, bad_layers: BadLayers) -> Result<(), Failure> {
    let Some(bytes) = record(store, RecordType::BadSets, &ONLY)? else { return Ok(()) };
    let bad = BadSets::parse(&bytes).or_fail(ExitCode::Store, "reading the list of bad generations")?;
    match bad.find(&generation.layer_set()) {
        Some(entry) if bad_layers == BadLayers::Refused => {
            let line = format!(
                "these layers were tried as generation {} and turned out bad; nothing was changed (--force tries again)",
                entry.number
            );
            Err(Failure::new(ExitCode::Store, line))
        }
        _ => Ok(()),
    }
}

/// A layer that cannot read the machine's state, as it was left by what ran before, is refused.
pub fn check_state<'a>(
    store: &Store,
    descriptors: impl IntoIterator<Item = &'a Descriptor>,
) -> Result<(), Failure> {
    let state = u64::from(store.superblock().state_version);
    if state == 0 {
        return Ok(());
    }
    for descriptor in descriptors {
        let Some(reads) = descriptor.state_versions() else { continue };
        if !reads.contains(&state) {
            let line = format!(
                "{} {} reads the machine's state in version {} to {}, and it is {state}; nothing was changed",
                descriptor.name(),
                descriptor.version(),
                reads.start(),
                reads.end()
            );
            return Err(Failure::new(ExitCode::Store, line));
        }
    }
    Ok(())
}

/// Raises the floor of each layer's name to its epoch, with the commit that makes the generation good.
pub fn raise_floors(target: &Target, writer: &mut Writer, generation: &Generation) -> Result<(), Failure> {
    match raised_floors(target, writer, generation)? {
        Some(raised) => {
            writer.put_record(RecordType::Floors, &ONLY, &raised.emit()).map_err(|error| target.fail(&error))
        }
        None => Ok(()),
    }
}

/// The floors as a generation raises them when it becomes good; `None` when it raises none. Says when that shuts a way back.
pub fn raised_floors(
    target: &Target,
    store: &Store,
    generation: &Generation,
) -> Result<Option<Floors>, Failure> {
    let before = floors(store)?;
    let mut raised = before.clone();
    for layer in &generation.layers {
        raised
            .raise(layer.kind, &layer.name, layer.epoch)
            .or_fail(ExitCode::Store, format_args!("raising the floor of {}", layer.name))?;
    }
    if raised == before {
        return Ok(None);
    }
    warn_of_other_slot(target, store, generation, &raised)?;
    Ok(Some(raised))
}

/// Says when the other slot falls below the floors: a rollback there will be refused.
fn warn_of_other_slot(
    target: &Target,
    store: &Store,
    generation: &Generation,
    floors: &Floors,
) -> Result<(), Failure> {
    let Some(other) = active::active_generation(store)?.filter(|other| other.number != generation.number)
    else {
        return Ok(());
    };
    for layer in &other.layers {
        let floor = floors.get(layer.kind, &layer.name);
        if layer.epoch < floor {
            target.progress.warn(&format!(
                "generation {} falls below the security floor ({} {} has epoch {}, the least is now {floor}); it can no longer be gone back to",
                other.number, layer.name, layer.version, layer.epoch
            ));
        }
    }
    Ok(())
}
