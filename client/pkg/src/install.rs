//! `pkg install`, `upgrade` and `remove`: plan, check, ask, fetch, check again, flip.

use crate::activate::{self, Reason};
use crate::active::{self, active_generation};
use crate::admission;
use crate::candidate::Candidate;
use crate::catalogs::{self, Offers};
use crate::clean;
use crate::cli::Consent;
use crate::conflicts::{self, Verdict};
use crate::health;
use crate::policy::BadLayers;
use crate::pull::{self, Job};
use crate::room;
use crate::target::{ABIS, Target};
use plyos_ids::{Kind, LayerId};
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_plan::resolve::{self, Change, KeptBack, Machine, Plan};
use plyos_report::{ExitCode, Failure, OrFail, human, percent, print_json};
use plyos_storefile::Writer;
use plyos_storefile::{Action, RecordType};
use plyos_transfer::Http;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufRead, IsTerminal, Write};

/// `pkg install`
pub async fn install(target: &Target, names: &[String], consent: Consent) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let offers = Offers::load(target, &writer)?;
    let installed = active::installed(target, &writer)?;
    let plan = resolve::install(&offers.facts, &installed, machine(), names)
        .map_err(|error| offers.no_plan(error))?;
    let reason = reason(Action::Install, "install", names, consent);
    carry_out(target, &mut writer, &offers, &plan, consent, &reason).await?;
    // Nobody else waits for the writer while the check runs.
    drop(writer);
    health::after_change(target, consent.waits()).await
}

/// `pkg upgrade`
pub async fn upgrade(target: &Target, names: &[String], consent: Consent) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let offers = Offers::load(target, &writer)?;
    let installed = active::installed(target, &writer)?;
    let plan = resolve::upgrade(&offers.facts, &installed, machine(), names)
        .map_err(|error| offers.no_plan(error))?;
    let reason = reason(Action::Upgrade, "upgrade", names, consent);
    carry_out(target, &mut writer, &offers, &plan, consent, &reason).await?;
    // Nobody else waits for the writer while the check runs.
    drop(writer);
    health::after_change(target, consent.waits()).await
}

/// `pkg remove`
pub async fn remove(target: &Target, names: &[String], consent: Consent) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let installed = active::installed(target, &writer)?;
    let changes = resolve::remove(&installed, names).map_err(catalogs::no_plan)?;
    let gone = |layer: &GenerationLayer| {
        changes.iter().any(
            |change| matches!(change, Change::Remove { kind, name } if *kind == layer.kind && *name == layer.name),
        )
    };
    let present = active_generation(&writer)?;
    let stays: Vec<GenerationLayer> =
        present.iter().flat_map(|g| g.layers.iter()).filter(|layer| !gone(layer)).cloned().collect();
    let lines: Vec<String> = changes.iter().filter_map(line_of_what_is_there).collect();
    if !agree(target, consent, &lines, None)? {
        return Ok(());
    }
    let generation =
        activate::activate(target, &mut writer, stays, &reason(Action::Remove, "remove", names, consent))?;
    report(target, &generation, &[], &Plan { changes, kept_back: Vec::new() }, Totals::default());
    clean::after_change(target, &mut writer);
    drop(writer);
    health::after_change(target, consent.waits()).await
}

/// This machine.
pub fn machine() -> Machine<'static> {
    Machine {
        arch: plyos_plan::machine_arch(std::env::consts::ARCH),
        abis: ABIS,
        compatible: admission::hardware(),
    }
}

fn reason(action: Action, verb: &str, names: &[String], consent: Consent) -> Reason {
    let bad_layers = if consent.force { BadLayers::Forced } else { BadLayers::Refused };
    let command = std::iter::once("pkg").chain([verb]).chain(names.iter().map(String::as_str));
    Reason { action, bad_layers, command: command.collect::<Vec<_>>().join(" ").chars().take(1000).collect() }
}

/// What a command moved.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    moved: u64,
    full: u64,
}

/// One layer that is added or replaced.
struct Row {
    kind: Kind,
    name: String,
    version: String,
    from: Option<String>,
    layer: LayerId,
    blob: u64,
}

async fn carry_out(
    target: &Target,
    writer: &mut Writer,
    offers: &Offers,
    plan: &Plan,
    consent: Consent,
    reason: &Reason,
) -> Result<(), Failure> {
    let present = active_generation(writer)?;
    let changes = &plan.changes;
    plan.kept_back.iter().for_each(|kept| target.progress.step(&kept.to_string()));
    if changes.is_empty() {
        return nothing_to_do(target, present.as_ref(), &plan.kept_back);
    }
    let http = Http::new()?;
    let floors = active::floors(writer)?;
    let mut known = pull::known(target, writer)?;
    let mut promised = HashSet::new();
    let (mut rows, mut jobs, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        let (number, from, asked) = match change {
            Change::Add { offer, asked } => (*offer, None, *asked),
            Change::Replace { offer, from, asked } => (*offer, Some(from.clone()), *asked),
            Change::Remove { .. } | Change::Ask { .. } => continue,
        };
        let candidate = Candidate::fetch(&http, offers, number, &floors).await?;
        let offer =
            offers.all.get(number).ok_or_else(|| Failure::new(ExitCode::Failure, "an offer was lost"))?;
        rows.push(Row {
            kind: offer.descriptor.kind(),
            name: offer.descriptor.name().to_owned(),
            version: offer.descriptor.version().to_owned(),
            from,
            layer: candidate.manifest.layer,
            blob: candidate.manifest.blob_len,
        });
        let repository = &offers.repository(offer)?.repository;
        layers.push(activate::generation_layer(
            &offer.descriptor,
            candidate.manifest.layer,
            asked,
            candidate.epoch,
            &repository.name,
        ));
        jobs.push(Job::plan(candidate, &known, &mut promised).await?);
    }
    let replaced =
        |layer: &GenerationLayer| rows.iter().any(|row| row.kind == layer.kind && row.name == layer.name);
    let mut kept: Vec<GenerationLayer> =
        present.iter().flat_map(|g| g.layers.iter()).filter(|layer| !replaced(layer)).cloned().collect();
    for change in changes {
        match change {
            Change::Remove { kind, name } => kept.retain(|layer| (layer.kind, &layer.name) != (*kind, name)),
            Change::Ask { kind, name } => kept
                .iter_mut()
                .filter(|layer| (layer.kind, &layer.name) == (*kind, name))
                .for_each(|layer| layer.asked = true),
            Change::Add { .. } | Change::Replace { .. } => {}
        }
    }
    layers.extend(kept.iter().cloned());
    let verdict = conflicts::check(target, writer, &jobs, &kept)?;

    let to_fetch: u64 = jobs.iter().map(Job::to_fetch).sum();
    let lines: Vec<String> =
        rows.iter().map(line).chain(changes.iter().filter_map(line_of_what_is_there)).collect();
    let sizes = (!rows.is_empty()).then(|| (to_fetch, rows.iter().map(|row| row.blob).sum()));
    if !agree(target, consent, &lines, sizes)? {
        return Ok(());
    }
    let mut jobs = match room::missing(writer, &jobs) {
        0 => jobs,
        _ => room::make(target, writer, jobs, &mut known).await?,
    };
    let to_fetch: u64 = jobs.iter().map(Job::to_fetch).sum();
    let bar = target.progress.bytes("downloading", to_fetch);
    for (number, job) in jobs.iter_mut().enumerate() {
        bar.set_message(job.candidate.what.clone());
        let done = job.run(target, writer, &mut known, &|bytes| bar.inc(bytes)).await;
        if done.is_err() && number > 0 {
            // The layers before it are whole: a retry finds them.
            writer.commit(None).map_err(|error| target.fail(&error))?;
        }
        done?;
    }
    bar.finish_and_clear();
    for (job, offer) in jobs.iter().filter_map(|job| Some((job, offers.all.get(job.candidate.offer)?))) {
        let certificate = offer.custom.certificate.emit();
        writer
            .put_record(RecordType::Certificate, job.candidate.manifest.layer.as_bytes(), &certificate)
            .map_err(|error| target.fail(&error))?;
    }
    if verdict == Verdict::NeedsContent {
        // What was appended can be read after a commit.
        writer.commit(None).map_err(|error| target.fail(&error))?;
        conflicts::settle(target, writer, &jobs, &kept)?;
    }
    let generation = activate::activate(target, writer, layers, reason)?;
    let totals = Totals {
        moved: jobs.iter().map(|job| job.candidate.moved).sum(),
        full: rows.iter().map(|row| row.blob).sum(),
    };
    report(target, &generation, &rows, plan, totals);
    clean::after_change(target, writer);
    Ok(())
}

fn nothing_to_do(
    target: &Target,
    present: Option<&Generation>,
    kept_back: &[KeptBack],
) -> Result<(), Failure> {
    let number = present.map(|generation| generation.number);
    if target.progress.json() {
        print_json(&json!({
            "generation": number, "downloaded_bytes": 0, "full_bytes": 0, "layers": [], "removed": [],
            "kept_back": kept_back_json(kept_back),
        }));
    } else if kept_back.is_empty() {
        target.progress.step("Nothing to do: everything is there in its newest version.");
    } else {
        target.progress.step("Nothing to do: everything else is there in its newest version.");
    }
    Ok(())
}

fn kept_back_json(kept_back: &[KeptBack]) -> Vec<Value> {
    let row = |kept: &KeptBack| json!({"kind": kept.kind.as_str(), "name": kept.name, "version": kept.version, "because": kept.because});
    kept_back.iter().map(row).collect()
}

/// The line of a change that fetches nothing.
fn line_of_what_is_there(change: &Change) -> Option<String> {
    match change {
        Change::Remove { kind, name } => Some(format!("  - {kind}/{name}")),
        Change::Ask { kind, name } => Some(format!("  = {kind}/{name} (asked for from now on)")),
        Change::Add { .. } | Change::Replace { .. } => None,
    }
}

fn line(row: &Row) -> String {
    match &row.from {
        Some(from) => format!("  ~ {}/{} {from} -> {}", row.kind, row.name, row.version),
        None => format!("  + {}/{} {}", row.kind, row.name, row.version),
    }
}

/// Shows the plan; asks when a person is there. `sizes`: bytes to fetch, and of the whole blobs.
fn agree(
    target: &Target,
    consent: Consent,
    lines: &[String],
    sizes: Option<(u64, u64)>,
) -> Result<bool, Failure> {
    let progress = &target.progress;
    lines.iter().for_each(|line| progress.step(line));
    if let Some((fetch, full)) = sizes {
        progress.step(&format!("Download: {} (the whole layers are {})", human(fetch), human(full)));
    }
    if consent.dry_run {
        if progress.json() {
            let (fetch, full) = sizes.unwrap_or_default();
            print_json(&json!({"plan": lines, "download_bytes": fetch, "full_bytes": full}));
        }
        return Ok(false);
    }
    let asking = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if consent.yes || progress.json() || !asking {
        return Ok(true);
    }
    print!("Proceed? [Y/n] ");
    std::io::stdout().flush().or_fail(ExitCode::Failure, "asking")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).or_fail(ExitCode::Failure, "reading the answer")?;
    Ok(matches!(answer.trim(), "" | "y" | "Y" | "yes"))
}

fn report(target: &Target, generation: &Generation, rows: &[Row], plan: &Plan, totals: Totals) {
    let Totals { moved, full } = totals;
    if target.progress.json() {
        let layers: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({"kind": row.kind.as_str(), "name": row.name, "version": row.version, "from": row.from,
                       "layer": row.layer.to_string(), "blob_bytes": row.blob})
            })
            .collect();
        let gone = plan.changes.iter().filter_map(|change| match change {
            Change::Remove { kind, name } => Some(format!("{kind}/{name}")),
            _ => None,
        });
        print_json(&json!({
            "generation": generation.number, "id": generation.id().to_string(), "downloaded_bytes": moved,
            "full_bytes": full, "layers": layers, "removed": gone.collect::<Vec<_>>(),
            "kept_back": kept_back_json(&plan.kept_back),
        }));
        return;
    }
    if full > 0 {
        target.progress.step(&format!(
            "moved {} of {} ({})",
            human(moved),
            human(full),
            percent(moved, full)
        ));
    }
    if generation.health.is_none() {
        target.progress.step(&format!("Generation {} is active.", generation.number));
    } else {
        target.progress.step(&format!("Generation {} is on trial.", generation.number));
    }
}
