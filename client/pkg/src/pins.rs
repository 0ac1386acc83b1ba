//! `pkg pin` and `unpin`: generations that no clean-up takes. A pin is a record under the generation's identity that
//! holds its number.

use crate::active::active_generation;
use crate::inventory;
use crate::log;
use crate::target::{Target, record};
use plyos_ids::GenerationId;
use plyos_report::{ExitCode, Failure, print_json};
use plyos_storefile::{RecordType, Store};
use serde_json::json;

/// The pinned generations.
pub fn list(store: &Store) -> Vec<GenerationId> {
    store.records(RecordType::Pin).map(|entry| GenerationId::from_bytes(entry.key)).collect()
}

/// `pkg pin`
pub fn pin(target: &Target, number: Option<u64>) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let generation = match number {
        Some(number) => inventory::by_number(target, &writer, number)?,
        None => active_generation(&writer)?
            .ok_or_else(|| Failure::new(ExitCode::NotFound, "nothing is active that could be pinned"))?,
    };
    if !list(&writer).contains(&generation.id()) {
        let content = generation.number.to_le_bytes();
        writer
            .put_record(RecordType::Pin, generation.id().as_bytes(), &content)
            .map_err(|error| target.fail(&error))?;
        log::done(target, &mut writer, &format!("pkg pin {}", generation.number))?;
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    say(target, generation.number, true);
    Ok(())
}

/// `pkg unpin`
pub fn unpin(target: &Target, number: u64) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let mut found = None;
    for id in list(&writer) {
        let bytes = record(&writer, RecordType::Pin, id.as_bytes())?;
        if bytes.as_deref() == Some(&number.to_le_bytes()[..]) {
            found = Some(id);
        }
    }
    let id = found.ok_or_else(|| {
        Failure::new(
            ExitCode::NotFound,
            format!("generation {number} is not pinned; `pkg history` shows which are"),
        )
    })?;
    writer.remove_record(RecordType::Pin, id.as_bytes());
    log::done(target, &mut writer, &format!("pkg unpin {number}"))?;
    writer.commit(None).map_err(|error| target.fail(&error))?;
    say(target, number, false);
    Ok(())
}

fn say(target: &Target, number: u64, pinned: bool) {
    if target.progress.json() {
        print_json(&json!({"generation": number, "pinned": pinned}));
    } else if pinned {
        target.progress.step(&format!("Generation {number} is pinned: no clean-up takes it."));
    } else {
        target.progress.step(&format!("Generation {number} is not pinned any more."));
    }
}
