//! New certificates for layers that are installed: without them a key could not be replaced, for the layers that it signed
//! would be refused from the moment on at which it is revoked.

use crate::active;
use crate::repositories::Repository;
use crate::target::record;
use plyos_ids::{GenerationId, LayerId};
use plyos_layer_format::descriptor::Descriptor;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{RecordType, Store, Writer};
use plyos_trust::certificate::Certificate;
use plyos_trust::custom::LayerCustom;
use plyos_trust::keyring::VerifiedKeyring;
use plyos_trust::tuf::Catalog;
use std::collections::BTreeMap;

/// Takes over each certificate that the catalog has for a layer from this repository, if the keyring accepts it and its
/// epoch is not lower; says whether there was one.
pub fn certificates(
    writer: &mut Writer,
    repository: &Repository,
    catalog: &Catalog,
    keyring: &VerifiedKeyring,
) -> Result<bool, Failure> {
    let origins = origins(writer)?;
    let mut dirty = false;
    for file in catalog.targets.values() {
        // An entry that cannot be read renews nothing; `pkg install` says what is wrong with it.
        let Ok(custom) = LayerCustom::parse(&file.custom) else { continue };
        if origins.get(&custom.layer).is_none_or(|origin| *origin != repository.name) {
            continue;
        }
        let Ok(descriptor) = Descriptor::from_json(&custom.descriptor) else { continue };
        let new = &custom.certificate;
        if keyring.accept(new, custom.layer, descriptor.kind(), descriptor.name(), 0).is_err() {
            continue;
        }
        let held = record(writer, RecordType::Certificate, custom.layer.as_bytes()).unwrap_or_default();
        let held = held.and_then(|bytes| Certificate::parse(&bytes).ok());
        let better = held.is_none_or(|held| held != *new && held.statement.epoch <= new.statement.epoch);
        if better {
            writer
                .put_record(RecordType::Certificate, custom.layer.as_bytes(), &new.emit())
                .or_fail(ExitCode::Store, "writing a renewed certificate")?;
            dirty = true;
        }
    }
    Ok(dirty)
}

/// The repository of each layer that a generation names; where they differ, what the active generation says.
fn origins(store: &Store) -> Result<BTreeMap<LayerId, String>, Failure> {
    let mut origins = BTreeMap::new();
    let ids: Vec<GenerationId> =
        store.records(RecordType::Generation).map(|entry| GenerationId::from_bytes(entry.key)).collect();
    // A record that is damaged names nothing; `pkg verify` tells of it.
    let generations = ids.iter().filter_map(|id| active::generation(store, id).ok());
    for generation in generations.chain(active::active_generation(store).ok().flatten()) {
        origins.extend(generation.layers.iter().map(|layer| (layer.id, layer.repo.clone())));
    }
    Ok(origins)
}
