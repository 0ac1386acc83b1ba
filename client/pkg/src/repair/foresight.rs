//! `pkg repair --dry-run`: what a repair would do, told from what a look at everything found. Reads the store and nothing else.

use super::records::need_update;
use crate::target::Target;
use crate::verify::{self, LayerDamage, Report};
use plyos_report::{Failure, human, print_json};
use plyos_storefile::{RecordType, Store};
use serde_json::json;

/// Says it.
pub fn tell(target: &Target) -> Result<(), Failure> {
    let mut store = target.store()?;
    let mut report = verify::scan(target, &store, &[], None)?;
    if !report.is_clean() {
        store.refresh().map_err(|error| target.fail(&error))?;
        report.forget_gone(&store);
    }
    let would = lines(&store, &report);
    if target.progress.json() {
        print_json(
            &json!({"dry_run": true, "would": would, "repaired": [], "to_do": [], "downloaded_bytes": 0}),
        );
    } else if would.is_empty() {
        target.progress.step("Nothing is damaged.");
    } else {
        would.iter().for_each(|line| target.progress.step(&format!("Would {line}.")));
    }
    Ok(())
}

fn lines(store: &Store, report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let lost_generation = report.records.iter().any(|(entry, _)| entry.record_type == RecordType::Generation);
    lines.extend(report.layers.iter().map(|damage| layer(damage, lost_generation)));
    if need_update(store, report) {
        lines.push("run an update, for the catalog or keyring is damaged".to_owned());
    }
    let of_update =
        |kind| matches!(kind, RecordType::Keyring | RecordType::TufMetadata) && need_update(store, report);
    for (entry, defect) in report.records.iter().filter(|(entry, _)| !of_update(entry.record_type)) {
        lines.push(format!(
            "fetch or make again, or else take away, a record ({}): {defect}",
            entry.record_type
        ));
    }
    lines.extend(report.copy.iter().map(|(number, _)| format!("write superblock copy {number} anew")));
    lines
}

fn layer(damage: &LayerDamage, lost_generation: bool) -> String {
    let what = damage.what();
    let Some(listed) = damage.listed.as_ref() else {
        if lost_generation {
            return format!("fetch what is damaged of {what}");
        }
        return format!("take out what is damaged of {what}: nothing needs it");
    };
    let from = match listed.repo.as_str() {
        "" => "from whoever has it".to_owned(),
        repository => format!("from '{repository}'"),
    };
    let mut parts = Vec::new();
    if damage.index.is_some() {
        parts.push("its index".to_owned());
    }
    if damage.map.is_some() {
        parts.push("what its map cannot tell any more".to_owned());
    }
    if !damage.chunks.is_empty() {
        let bytes = damage.chunks.iter().map(|chunk| u64::from(chunk.check.place.length)).sum();
        parts.push(format!("{} damaged chunks ({})", damage.chunks.len(), human(bytes)));
    }
    format!("fetch again, {from}, {} of {what}, but for what is here elsewhere", parts.join(" and "))
}
