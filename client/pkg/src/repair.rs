//! `pkg repair`: what `pkg verify` finds damaged is fetched again, or made again from what is left.
//!
//! Nothing is written over: new chunks, indexes, maps and records go to new places, and one commit replaces the old ones.
//! A commit also writes the damaged superblock copy anew. When the network fails nothing is changed, but chunks that came
//! before it failed are kept, and a layer whose map could not be read and that could be made whole.

pub mod foresight;
mod layers;
mod records;

use crate::target::{Act, Target};
use crate::verify::LayerDamage;
use crate::{update, verify};
use plyos_report::{ExitCode, Failure, print_json};
use plyos_storefile::{RecordType, Writer};
use serde_json::json;

/// What a repair did.
#[derive(Default)]
pub struct Outcome {
    /// What was damaged and is whole again.
    pub repaired: Vec<String>,
    /// What is lost or still damaged, and what to do about it.
    pub to_do: Vec<String>,
    /// Bytes fetched.
    pub fetched: u64,
}

/// `pkg repair`
pub async fn repair(target: &Target) -> Result<(), Failure> {
    let mut writer = target.repairer()?;
    let mut report = verify::scan(target, &writer, &[], None)?;
    if report.is_clean() {
        return say(target, &Outcome::default());
    }
    let mut outcome = Outcome::default();
    let unreadable = report.layers.iter().any(LayerDamage::has_unreadable_map);
    if unreadable {
        // Nobody but a repair writes while a map cannot be read, not even the update below. So the layers come first, and
        // the older copy too must let go of the map.
        layers::repair(target, &mut writer, &report, &mut outcome).await?;
        commit(target, &mut writer)?;
        writer.settle().map_err(|error| target.fail(&error))?;
    }
    if records::need_update(&writer, &report) {
        // `pkg update` fetches anew what it cannot read. It takes the lock itself.
        drop(writer);
        update::update(&target.quiet(), Act::Now).await?;
        writer = target.repairer()?;
        let damaged = report.records.len();
        report.forget_gone(&writer);
        if report.records.len() < damaged {
            outcome.repaired.push("catalog and keyring, by an update".to_owned());
        }
    }
    if !unreadable {
        layers::repair(target, &mut writer, &report, &mut outcome).await?;
    }
    records::repair(target, &mut writer, &report, &mut outcome).await?;
    if let Some((number, _)) = &report.copy {
        renew_superblock(target, &mut writer)?;
        outcome.repaired.push(format!("superblock copy {number}"));
    }
    commit(target, &mut writer)?;
    say(target, &outcome)
}

fn commit(target: &Target, writer: &mut Writer) -> Result<(), Failure> {
    writer.commit(None).map_err(|error| target.fail(&error))
}

/// Sees to it that there is something to commit, for a commit writes the damaged copy anew: a record that is written again
/// as it is.
fn renew_superblock(target: &Target, writer: &mut Writer) -> Result<(), Failure> {
    for record_type in [RecordType::Repository, RecordType::History, RecordType::Generation] {
        let keys: Vec<_> = writer.records(record_type).map(|entry| entry.key).collect();
        for key in keys {
            if let Ok(Some(bytes)) = writer.record(record_type, &key) {
                return writer.put_record(record_type, &key, &bytes).map_err(|error| target.fail(&error));
            }
        }
    }
    Ok(())
}

fn say(target: &Target, outcome: &Outcome) -> Result<(), Failure> {
    if target.progress.json() {
        print_json(&json!({
            "repaired": outcome.repaired, "to_do": outcome.to_do, "downloaded_bytes": outcome.fetched,
        }));
    }
    let progress = &target.progress;
    if outcome.repaired.is_empty() && outcome.to_do.is_empty() {
        progress.step("Nothing is damaged.");
        return Ok(());
    }
    outcome.repaired.iter().for_each(|what| progress.step(&format!("Repaired {what}.")));
    match outcome.to_do.as_slice() {
        [] => Ok(()),
        to_do => {
            Err(Failure::new(ExitCode::Signature, format!("not all could be repaired: {}", to_do.join("; "))))
        }
    }
}
