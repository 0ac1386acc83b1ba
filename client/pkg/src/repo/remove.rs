//! `pkg repo remove`: what a repository offers is forgotten. What is installed from it stays and works: its root and
//! keyring are kept for as long as a generation in the store has a layer from it, for by them those layers are judged.

use super::installed_from;
use crate::active;
use crate::log;
use crate::repositories::{self, Repository, State};
use crate::target::{Act, Target};
use plyos_ids::GenerationId;
use plyos_report::{Failure, print_json};
use plyos_storefile::{RecordType, Store, Writer};
use plyos_trust::tuf;
use serde_json::json;

/// `pkg repo remove`
pub fn remove(target: &Target, name: &str, act: Act) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let repository = repositories::find(&writer, name)?;
    let used = is_used(&writer, &repository);
    let installed = installed_from(&writer, &repository)?;
    if act == Act::Now && !(used && repository.state == State::Removed) {
        forget(target, &mut writer, &repository, used)?;
        log::done(target, &mut writer, &format!("pkg repo remove {name}"))?;
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    if target.progress.json() {
        print_json(&json!({
            "name": name, "dry_run": act == Act::DryRun, "installed": installed, "keeps_keyring": used,
        }));
        return Ok(());
    }
    let verb = if act == Act::DryRun { "would be removed" } else { "is removed" };
    target.progress.step(&match (installed.is_empty(), used) {
        (false, _) => format!(
            "'{name}' {verb}. {} installed layers came from it: they stay and work, and get no new versions.",
            installed.len()
        ),
        (true, true) => {
            format!("'{name}' {verb}. Its keyring stays for former generations that have layers from it.")
        }
        (true, false) => format!("'{name}' {verb}."),
    });
    Ok(())
}

/// Whether any generation in the store has a layer from it. One that cannot be read may have.
fn is_used(store: &Store, repository: &Repository) -> bool {
    let ids: Vec<GenerationId> =
        store.records(RecordType::Generation).map(|entry| GenerationId::from_bytes(entry.key)).collect();
    ids.iter().any(|id| match active::generation(store, id) {
        Ok(generation) => generation.layers.iter().any(|layer| layer.repo == repository.name),
        Err(_) => true,
    })
}

fn forget(target: &Target, writer: &mut Writer, repository: &Repository, used: bool) -> Result<(), Failure> {
    // With them it is known, should it come back, which catalog was the newest: an older one is refused.
    let floors = [tuf::TIMESTAMP, tuf::SNAPSHOT];
    for role in repositories::roles().filter(|role| !used || !floors.contains(role)) {
        writer.remove_record(RecordType::TufMetadata, &repository.role_key(role));
    }
    if used {
        let removed = Repository { state: State::Removed, ..repository.clone() };
        return writer
            .put_record(RecordType::Repository, &removed.key(), &removed.emit())
            .map_err(|error| target.fail(&error));
    }
    writer.remove_record(RecordType::TufMetadata, &repository.role_key(tuf::ROOT));
    writer.remove_record(RecordType::Keyring, &repository.key());
    writer.remove_record(RecordType::Repository, &repository.key());
    Ok(())
}
