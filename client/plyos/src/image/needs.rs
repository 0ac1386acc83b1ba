//! Whether a layer that is left out is missed: by the rule of `pkg remove`, for the system of the image could not be upgraded
//! without it, and its programs may not start.

use plyos_layer_format::index::{Limits, check as check_index};
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_plan::dependency::Dependency;
use plyos_plan::resolve::{Facts, missed};
use plyos_report::{ExitCode, Failure};
use plyos_storefile::Store;

/// Needs that a refusal names.
const NAMED: usize = 5;

/// Refuses to leave layers out of a generation that others in it need.
pub fn check(leave_out: &[String], store: &Store, generation: &Generation) -> Result<(), Failure> {
    if !generation.layers.iter().any(|layer| leave_out.contains(&layer.name)) {
        return Ok(());
    }
    let facts: Vec<Facts> = generation.layers.iter().map(|layer| facts(store, layer)).collect();
    let (gone, stays): (Vec<&Facts>, Vec<&Facts>) =
        facts.iter().partition(|facts| leave_out.contains(&facts.name));
    let mut needs: Vec<(&str, &str)> =
        missed(&stays, &gone).map(|(lost, by)| (lost.name.as_str(), by.name.as_str())).collect();
    needs.dedup();
    let Some((first, _)) = needs.first() else { return Ok(()) };
    let mut line = format!("cannot leave out '{first}' of generation {}", generation.number);
    for (number, (lost, by)) in needs.iter().take(NAMED).enumerate() {
        line += &format!("{} {by} needs {lost}", if number == 0 { ":" } else { "," });
    }
    if needs.len() > NAMED {
        line += &format!(", and {} needs more", needs.len() - NAMED);
    }
    Err(Failure::new(ExitCode::Conflict, line + "; leave that out too, or keep both"))
}

/// What a layer is, needs and provides. One whose index cannot be read, as it may be left out for that very reason, is known by its
/// name and version alone; that it cannot go in is said when it is read.
fn facts(store: &Store, layer: &GenerationLayer) -> Facts {
    let index = store.layer(&layer.id).ok().flatten().and_then(|stored| stored.index_bytes().ok());
    let index = index.as_deref().and_then(|bytes| check_index(bytes, &Limits::default()).ok());
    let relations = |of: fn(&plyos_layer_format::descriptor::Descriptor) -> &[String]| {
        let texts = index.as_ref().map(|index| of(index.descriptor())).unwrap_or_default();
        texts.iter().filter_map(|text| Dependency::parse(text)).collect()
    };
    Facts {
        kind: layer.kind,
        name: layer.name.clone(),
        version: layer.version.clone(),
        arch: layer.arch.clone(),
        abi: None,
        compatible: Vec::new(),
        provides: relations(|descriptor| descriptor.provides()),
        depends: relations(|descriptor| descriptor.depends()),
        // Nothing is chosen here, so nothing stands in another's way.
        conflicts: Vec::new(),
        replaces: Vec::new(),
        upgrade_from: None,
        layer: layer.id,
    }
}
