//! Damaged records. What a publisher signed is fetched again, what follows from other records is made again, and what is
//! lost is taken away, so that it stops nothing, and said.

use super::{Outcome, layers};
use crate::active;
use crate::catalogs::Offers;
use crate::repositories::Repository;
use crate::target::{ONLY, Target, key_of};
use crate::verify::{Report, generations, listed_layers};
use plyos_ids::{GenerationId, LayerId, ManifestDigest};
use plyos_namespace::generation::GenerationLayer;
use plyos_report::{ExitCode, Failure};
use plyos_slots::SlotState;
use plyos_storefile::{Action, Floors, History, HistoryEntry, RecordEntry, RecordType, Store, Writer};
use plyos_trust::tuf;

/// Whether `pkg update` would fetch what is damaged. Without a repository's address or its root it cannot.
pub fn need_update(store: &Store, report: &Report) -> bool {
    let known = readable_repositories(store);
    let is = |wanted: RecordType| report.records.iter().any(|(entry, _)| entry.record_type == wanted);
    let roots = report.records.iter().any(|(entry, _)| is_root(entry, &known));
    (is(RecordType::Keyring) || is(RecordType::TufMetadata)) && !roots && !is(RecordType::Repository)
}

/// Repairs every damaged record; what was made is still to be committed.
pub async fn repair(
    target: &Target,
    writer: &mut Writer,
    report: &Report,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    for (entry, _) in &report.records {
        match entry.record_type {
            RecordType::Generation => generation(writer, entry, outcome),
            RecordType::Certificate => certificate(target, writer, entry, outcome)?,
            RecordType::Manifest => manifest(target, writer, entry, outcome).await?,
            RecordType::History => history(target, writer, outcome)?,
            RecordType::Floors => floors(target, writer, outcome)?,
            RecordType::Repository | RecordType::Keyring | RecordType::TufMetadata => {
                trust(writer, entry, outcome);
            }
            RecordType::BadSets => {
                drop_it(writer, entry);
                outcome.repaired.push("the list of bad layer sets: it is lost and begins anew".to_owned());
            }
            RecordType::Pin => pin(target, writer, entry, outcome)?,
            RecordType::Audit => {
                drop_it(writer, entry);
                outcome.repaired.push("the log of what was refused: it is lost and begins anew".to_owned());
            }
            RecordType::Settings => {
                drop_it(writer, entry);
                let lost = "a record (settings) is lost, and the holds with it: enter it again (`pkg config`, `pkg hold`)";
                outcome.to_do.push(lost.to_owned());
            }
            RecordType::EnrolledKey | RecordType::Source => {
                drop_it(writer, entry);
                let what = entry.record_type;
                outcome.to_do.push(format!("a record ({what}) is lost, enter it again if it is needed"));
            }
        }
    }
    Ok(())
}

fn drop_it(writer: &mut Writer, entry: &RecordEntry) {
    writer.remove_record(entry.record_type, &entry.key);
}

/// The repositories whose records can be read.
pub fn readable_repositories(store: &Store) -> Vec<Repository> {
    let keys: Vec<_> = store.records(RecordType::Repository).map(|entry| entry.key).collect();
    let read = |key: [u8; 32]| Repository::parse(&store.record(RecordType::Repository, &key).ok()??).ok();
    keys.into_iter().filter_map(read).collect()
}

fn is_root(entry: &RecordEntry, known: &[Repository]) -> bool {
    entry.record_type == RecordType::TufMetadata
        && known.iter().any(|repository| repository.role_key(tuf::ROOT) == entry.key)
}

/// A generation names layers, and nothing else does. One that no slot names is taken away.
fn generation(writer: &mut Writer, entry: &RecordEntry, outcome: &mut Outcome) {
    let id = GenerationId::from_bytes(entry.key);
    let slots = writer.slots();
    let held = [&slots.a, &slots.b].into_iter().find(|slot| slot.state.is_live() && slot.generation == id);
    let Some(slot) = held else {
        drop_it(writer, entry);
        outcome.repaired.push(format!("{id}: the record of a former generation is lost and was taken away"));
        return;
    };
    let number = slot.number;
    let active = slots.active().is_some_and(|active| active.generation == id);
    outcome.to_do.push(if active {
        format!("the record of generation {number}, which is active, is lost: go to another one (`pkg history`, `pkg rollback N`) or install anew into a new store")
    } else {
        format!("the record of generation {number} is lost: it goes with the next install or upgrade and `pkg repair` after it")
    });
}

/// The catalog that is kept holds the certificates of what it offers.
fn certificate(
    target: &Target,
    writer: &mut Writer,
    entry: &RecordEntry,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let id = LayerId::from_bytes(entry.key);
    let offers = Offers::load(target, writer);
    let offer =
        offers.as_ref().ok().and_then(|offers| offers.all.iter().find(|offer| offer.custom.layer == id));
    if let Some(offer) = offer {
        let bytes = offer.custom.certificate.emit();
        writer
            .put_record(RecordType::Certificate, &entry.key, &bytes)
            .map_err(|error| target.fail(&error))?;
        outcome.repaired.push(format!("the certificate of {}", offer.descriptor.name()));
        return Ok(());
    }
    match listed_layers(writer).get(&id) {
        Some(layer) => outcome.to_do.push(format!(
            "the certificate of {} {} is lost: run `pkg update` and `pkg repair`, or upgrade it",
            layer.name, layer.version
        )),
        None => {
            drop_it(writer, entry);
            outcome
                .repaired
                .push("the certificate of a layer that nothing needs: it was taken away".to_owned());
        }
    }
    Ok(())
}

/// The manifest is needed to repair its layer only; a repository has it by its digest.
async fn manifest(
    target: &Target,
    writer: &mut Writer,
    entry: &RecordEntry,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let digest = ManifestDigest::from_bytes(entry.key);
    let listed = listed_layers(writer);
    let layer = writer.layers().find(|layer| layer.manifest == Some(digest)).map(|layer| layer.id);
    let Some(layer) = layer.and_then(|id| listed.get(&id)) else {
        drop_it(writer, entry);
        outcome.repaired.push("the manifest of a layer that nothing needs: it was taken away".to_owned());
        return Ok(());
    };
    let what = format!("the manifest of {} {}", layer.name, layer.version);
    let known = readable_repositories(writer);
    let Some(repository) = known.iter().find(|repository| repository.name == layer.repo) else {
        outcome
            .to_do
            .push(format!("{what} is lost and its repository is not known: add it, then `pkg repair`"));
        return Ok(());
    };
    target.need_network(&format!("fetching {what}"))?;
    let http = target.client(writer, repository)?;
    match layers::fetch_manifest(&http, repository, layer, &digest).await {
        Ok(bytes) => {
            let put = writer.put_record(RecordType::Manifest, &entry.key, &bytes);
            put.map_err(|error| target.fail(&error))?;
            outcome.fetched += bytes.len() as u64;
            outcome.repaired.push(what);
        }
        Err(failure) if failure.code == ExitCode::Network => return Err(failure),
        Err(failure) => outcome.to_do.push(format!("{what} is lost: {failure}")),
    }
    Ok(())
}

/// The generations that are here tell when they were made and from which.
fn history(target: &Target, writer: &mut Writer, outcome: &mut Outcome) -> Result<(), Failure> {
    let mut made: Vec<_> = generations(writer).collect();
    made.sort_by_key(|generation| generation.number);
    let mut history = History::default();
    for generation in made {
        let action = match generation.created_by.split(' ').nth(1) {
            Some("remove") => Action::Remove,
            Some("upgrade") => Action::Upgrade,
            _ => Action::Install,
        };
        history.push(HistoryEntry {
            number: generation.number,
            from: generation.parent,
            at: generation.created_at,
            generation: generation.id(),
            action,
            command: generation.created_by.clone(),
        });
    }
    writer.put_record(RecordType::History, &ONLY, &history.emit()).map_err(|error| target.fail(&error))?;
    outcome
        .repaired
        .push("the history, from the generations that are here; rollbacks are not in it".to_owned());
    Ok(())
}

/// Floors rise with what became good, so they are at least those of the good slots.
fn floors(target: &Target, writer: &mut Writer, outcome: &mut Outcome) -> Result<(), Failure> {
    let mut floors = Floors::default();
    let slots = *writer.slots();
    for slot in [slots.a, slots.b].into_iter().filter(|slot| slot.state == SlotState::Good) {
        let Ok(generation) = active::generation(writer, &slot.generation) else { continue };
        for GenerationLayer { kind, name, epoch, .. } in &generation.layers {
            // A name of a generation is always one that a floor can have.
            let _ = floors.raise(*kind, name, *epoch);
        }
    }
    writer.put_record(RecordType::Floors, &ONLY, &floors.emit()).map_err(|error| target.fail(&error))?;
    outcome.repaired.push("the floors of security epochs, from the good generations".to_owned());
    Ok(())
}

/// A pin holds the number of the generation that it stands under.
fn pin(
    target: &Target,
    writer: &mut Writer,
    entry: &RecordEntry,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let Ok(generation) = active::generation(writer, &GenerationId::from_bytes(entry.key)) else {
        drop_it(writer, entry);
        outcome.repaired.push("the pin of a generation that is lost: it was taken away".to_owned());
        return Ok(());
    };
    let number = generation.number.to_le_bytes();
    writer.put_record(RecordType::Pin, &entry.key, &number).map_err(|error| target.fail(&error))?;
    outcome.repaired.push(format!("the pin of generation {}", generation.number));
    Ok(())
}

/// What is left here of keyrings and metadata is what `pkg update` could not fetch.
fn trust(writer: &mut Writer, entry: &RecordEntry, outcome: &mut Outcome) {
    let known = readable_repositories(writer);
    match entry.record_type {
        RecordType::Repository => {
            let layers = listed_layers(writer);
            let name = layers.values().map(|layer| &layer.repo).find(|name| key_of(name) == entry.key);
            let name =
                name.map_or_else(|| "a repository".to_owned(), |name| format!("the repository '{name}'"));
            drop_it(writer, entry);
            outcome.to_do.push(format!(
                "the address of {name} is lost: `pkg repo add URL --root FILE`, then `pkg update`"
            ));
        }
        _ if is_root(entry, &known) => {
            drop_it(writer, entry);
            let name =
                known.iter().find(|one| one.role_key(tuf::ROOT) == entry.key).map_or("", |one| &one.name);
            outcome.to_do.push(format!(
                "the trusted root of '{name}' is lost: `pkg repo add URL --root FILE` again, then `pkg update`"
            ));
        }
        what => {
            drop_it(writer, entry);
            outcome.to_do.push(format!("a record ({what}) is lost: `pkg update` fetches it"));
        }
    }
}
