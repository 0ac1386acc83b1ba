//! Carrying a plan out: check, ask, fetch, check again, flip.
//!
//! Whatever is refused is refused before anything changes; what was fetched until then stays in the store, for the next try.

use crate::activate::{self, Reason};
use crate::active::{self, active_generation};
use crate::candidate::Candidate;
use crate::catalogs::Offers;
use crate::clean;
use crate::cli::Consent;
use crate::conflicts::{self, Verdict};
use crate::local::{Coming, LocalLayer};
use crate::plan_detail;
use crate::plan_view::{self, Answer, Row, Sign, Sizes, View};
use crate::pull::{self, Job, Known};
use crate::room;
use crate::settings::{Ask, Settings};
use crate::target::Target;
use plyos_ids::Kind;
use plyos_namespace::generation::{Generation, GenerationLayer};
use plyos_plan::resolve::{Change, KeptBack, Plan, Why};
use plyos_report::{ExitCode, Failure, LayerBar, human, percent, print_json};
use plyos_storefile::{Floors, RecordType, Store, Writer};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What is to be done.
pub struct Work {
    /// The changes.
    pub plan: Plan,
    /// The reason of each.
    pub why: Vec<Why>,
    /// Whether to ask.
    pub consent: Consent,
    /// What the history will say.
    pub reason: Reason,
    /// Layers in files.
    pub local: Local,
}

/// Layers in files, signed or not.
#[derive(Default)]
pub struct Local {
    /// All of them.
    pub layers: Vec<LocalLayer>,
    /// Numbers of those that no catalog offers, in the order of their offers, which follow those of the catalogs.
    pub unsigned: Vec<usize>,
}

/// The generation that a command made, and what it says of it in JSON.
pub struct Changed {
    /// It is shown.
    pub generation: Generation,
    /// An object.
    pub facts: Value,
}

impl Work {
    /// What brings no layer.
    pub fn of_removal(plan: Plan, why: Vec<Why>, consent: Consent, reason: Reason) -> Self {
        Self { plan, why, consent, reason, local: Local::default() }
    }

    /// The unsigned layer that an offer stands for.
    fn unsigned(&self, offers: &Offers, number: usize) -> Option<&LocalLayer> {
        let at = number.checked_sub(offers.all.len())?;
        self.local.unsigned.get(at).and_then(|at| self.local.layers.get(*at))
    }
}

/// What a command moved.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    moved: u64,
    full: u64,
}

/// Carries out a plan that may bring layers.
pub async fn run(
    target: &Target,
    writer: &mut Writer,
    offers: &Offers,
    mut work: Work,
) -> Result<Option<Changed>, Failure> {
    if work.plan.changes.is_empty() {
        nothing_newer(target, writer, &work.plan.kept_back);
        return Ok(None);
    }
    let present = active_generation(writer)?;
    let mut known = pull::known(target, writer)?;
    let mut coming = Coming::default();
    work.local.layers.iter_mut().try_for_each(|local| local.count(&known, &mut coming))?;
    let plan = &work.plan;
    say_kept_back(target, &plan.kept_back);
    let (rows, jobs, layers, kept) =
        prepare(target, writer, offers, &work, present.as_ref(), &known, &coming).await?;
    let layers = [layers, kept.clone()].concat();
    let verdict = conflicts::check(target, writer, &jobs, &kept)?;

    let any = rows.iter().any(Row::comes);
    let sizes = any.then(|| Sizes {
        fetch: jobs.iter().map(Job::to_fetch).sum(),
        full: rows.iter().map(|row| row.blob).sum(),
        room: jobs.iter().map(|job| job.room(writer)).chain(coming.lens.iter().copied()).sum(),
        free: writer.free_bytes(),
    });
    let view = View { rows, kept_back: &plan.kept_back, sizes };
    if target.progress.is_verbose() {
        let installed = active::installed(target, writer)?;
        let lines = plan_detail::lines(offers, &installed, &plan.changes, &work.why);
        lines.iter().for_each(|line| target.progress.detail(line));
    }
    if view.agree(target, work.consent, asks(writer))? == Answer::Stop {
        return Ok(None);
    }
    let mut jobs = match room::missing(writer, &jobs, &coming) {
        0 => jobs,
        _ => room::make(target, writer, jobs, &mut known, (&mut work.local.layers, &mut coming)).await?,
    };
    for local in &mut work.local.layers {
        local.take_in(target, writer, &mut known)?;
    }
    fetch(target, writer, &mut jobs, &mut known).await?;
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
    let generation = activate::activate(target, writer, layers, &work.reason)?;
    let moved = jobs.iter().map(|job| job.candidate.moved).sum();
    let facts = report(target, &generation, &view, Totals { moved, full: sizes.unwrap_or_default().full });
    clean::after_change(target, writer);
    Ok(Some(Changed { generation, facts }))
}

/// Carries out a plan that brings nothing.
pub fn remove(target: &Target, writer: &mut Writer, work: &Work) -> Result<Option<Changed>, Failure> {
    let present = active_generation(writer)?;
    if work.plan.changes.is_empty() {
        nothing_to_do(target, writer, &[], "Nothing to do: everything that is installed is needed.");
        return Ok(None);
    }
    let mut kept: Vec<GenerationLayer> = present.iter().flat_map(|g| g.layers.iter()).cloned().collect();
    let rows = what_is_there(work, &kept);
    apply(&work.plan.changes, &mut kept);
    let view = View { rows, kept_back: &[], sizes: None };
    if view.agree(target, work.consent, asks(writer))? == Answer::Stop {
        return Ok(None);
    }
    let generation = activate::activate(target, writer, kept, &work.reason)?;
    let facts = report(target, &generation, &view, Totals::default());
    clean::after_change(target, writer);
    Ok(Some(Changed { generation, facts }))
}

fn asks(store: &Store) -> Ask {
    Settings::load(store).map_or(Ask::Yes, |settings| settings.ask)
}

/// Rows, jobs and layers of what comes, and the layers that stay.
type Prepared = (Vec<Row>, Vec<Job>, Vec<GenerationLayer>, Vec<GenerationLayer>);

/// Fetches what is known of the layers that come, and checks it.
async fn prepare(
    target: &Target,
    writer: &mut Writer,
    offers: &Offers,
    work: &Work,
    present: Option<&Generation>,
    known: &Known,
    coming: &Coming,
) -> Result<Prepared, Failure> {
    let floors = active::floors(writer)?;
    let mut promised = coming.chunks.clone();
    let (mut rows, mut jobs, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for (change, why) in work.plan.changes.iter().zip(&work.why) {
        let (sign, number, from, asked) = match change {
            Change::Add { offer, asked } => (Sign::Add, *offer, None, *asked),
            Change::Replace { offer, from, asked } => (Sign::Replace, *offer, Some(from.clone()), *asked),
            Change::Remove { .. } | Change::Ask { .. } => continue,
        };
        let (candidate, layer) = match work.unsigned(offers, number) {
            Some(local) => {
                local.check_floor(&floors)?;
                let candidate = local.candidate(number, 0)?;
                let layer =
                    activate::generation_layer(&local.descriptor, candidate.manifest.layer, asked, 0, "");
                (candidate, GenerationLayer { unsigned: true, ..layer })
            }
            None => {
                let candidate = candidate(target, writer, offers, number, &floors, work).await?;
                let lost = || Failure::new(ExitCode::Failure, "an offer was lost; this is a defect of pkg");
                let offer = offers.all.get(number).ok_or_else(lost)?;
                let (id, epoch) = (candidate.manifest.layer, candidate.epoch);
                let repository = &offers.repository(offer)?.repository.name;
                let layer = activate::generation_layer(&offer.descriptor, id, asked, epoch, repository);
                (candidate, layer)
            }
        };
        let blob = candidate.manifest.blob_len;
        let job = Job::plan(candidate, known, &mut promised).await?;
        rows.push(Row {
            sign,
            kind: layer.kind,
            name: layer.name.clone(),
            version: layer.version.clone(),
            from,
            why: why.clone(),
            layer: Some(layer.id),
            blob,
            fetch: job.to_fetch(),
        });
        layers.push(layer);
        jobs.push(job);
    }
    let is_new = |kind: Kind, name: &str| rows.iter().any(|row| row.kind == kind && row.name == name);
    let all: Vec<GenerationLayer> = present.iter().flat_map(|g| g.layers.iter()).cloned().collect();
    let mut kept: Vec<GenerationLayer> =
        all.iter().filter(|layer| !is_new(layer.kind, &layer.name)).cloned().collect();
    rows.extend(what_is_there(work, &all));
    apply(&work.plan.changes, &mut kept);
    Ok((rows, jobs, layers, kept))
}

/// The layer of an offer: from the store where that has it whole, else from a file that was given, else from the network.
async fn candidate(
    target: &Target,
    store: &Store,
    offers: &Offers,
    number: usize,
    floors: &Floors,
    work: &Work,
) -> Result<Candidate, Failure> {
    if let Some(kept) = Candidate::kept(store, offers, number, floors)? {
        return Ok(kept);
    }
    let facts = offers.facts.get(number);
    let is_it = |local: &&LocalLayer| facts.is_some_and(|facts| facts.layer == local.manifest.layer);
    if let Some(local) = work.local.layers.iter().find(is_it)
        && let Some(local) = Candidate::local(offers, number, floors, local)?
    {
        return Ok(local);
    }
    let what = facts.map(|facts| format!("{} {}", facts.name, facts.version)).unwrap_or_default();
    target.need_network(&format!("fetching {what}"))?;
    Candidate::fetch(target, store, offers, number, floors).await
}

/// Rows of changes that fetch nothing.
fn what_is_there(work: &Work, present: &[GenerationLayer]) -> Vec<Row> {
    let row = |sign, kind: Kind, name: &str, why: &Why| {
        let layer = present.iter().find(|layer| layer.kind == kind && layer.name == name)?;
        let (version, why) = (layer.version.clone(), why.clone());
        Some(Row {
            sign,
            kind,
            name: name.to_owned(),
            version,
            from: None,
            why,
            layer: None,
            blob: 0,
            fetch: 0,
        })
    };
    let rows = work.plan.changes.iter().zip(&work.why).filter_map(|(change, why)| match change {
        Change::Remove { kind, name } => row(Sign::Remove, *kind, name, why),
        Change::Ask { kind, name } => row(Sign::Ask, *kind, name, why),
        Change::Add { .. } | Change::Replace { .. } => None,
    });
    rows.collect()
}

/// Does to the layers that stay what fetches nothing.
fn apply(changes: &[Change], kept: &mut Vec<GenerationLayer>) {
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
}

/// Fetches what is missing, of all layers side by side.
async fn fetch(
    target: &Target,
    writer: &mut Writer,
    jobs: &mut [Job],
    known: &mut Known,
) -> Result<(), Failure> {
    let missing: u64 = jobs.iter().map(Job::to_fetch).sum();
    if missing > 0 {
        target.need_network("fetching what the store lacks")?;
    }
    let download = target.progress.download(missing);
    // A bar for each layer that is just coming, not for all that wait or have come.
    let coming: Vec<_> = jobs.iter().map(|job| (job.candidate.what.clone(), job.to_fetch())).collect();
    let bars: RefCell<BTreeMap<usize, (u64, LayerBar)>> = RefCell::default();
    let watch = |number: usize, bytes: u64| {
        let Some((what, total)) = coming.get(number) else { return };
        let mut bars = bars.borrow_mut();
        let (came, bar) = bars.entry(number).or_insert_with(|| (0, download.layer(what, *total)));
        bar.advance(bytes);
        *came += bytes;
        if *came >= *total {
            bars.remove(&number);
        }
    };
    pull::run(jobs, target, writer, known, &watch).await
}

fn say_kept_back(target: &Target, kept_back: &[KeptBack]) {
    kept_back.iter().for_each(|kept| target.progress.step(&kept.to_string()));
}

/// The end of an installation or upgrade whose plan is empty.
pub fn nothing_newer(target: &Target, store: &Store, kept_back: &[KeptBack]) {
    say_kept_back(target, kept_back);
    let rest = if kept_back.is_empty() { "" } else { " else" };
    let line = format!("Nothing to do: everything{rest} is there in its newest version.");
    nothing_to_do(target, store, kept_back, &line);
}

fn nothing_to_do(target: &Target, store: &Store, kept_back: &[KeptBack], line: &str) {
    if target.progress.json() {
        print_json(&json!({
            "generation": store.slots().active().map(|slot| slot.number), "downloaded_bytes": 0, "full_bytes": 0,
            "changes": [], "layers": [], "removed": [], "kept_back": plan_view::kept_back(kept_back), "trial": null,
        }));
    } else {
        target.progress.step(line);
    }
}

/// Tells people what became of the system. What programs get to know is printed with the verdict, if there is one.
fn report(target: &Target, generation: &Generation, view: &View<'_>, totals: Totals) -> Value {
    let Totals { moved, full } = totals;
    if full > 0 {
        target.progress.step(&moved_line(moved, full));
    }
    let stands = if generation.health.is_none() { "active" } else { "on trial" };
    target.progress.step(&format!("Generation {} is {stands}.", generation.number));
    let new = view.rows.iter().filter(|row| row.comes()).map(|row| {
        json!({"kind": row.kind.as_str(), "name": row.name, "version": row.version, "from": row.from,
               "layer": row.layer.map(|layer| layer.to_string()), "blob_bytes": row.blob})
    });
    let gone = view.rows.iter().filter(|row| row.sign == Sign::Remove);
    let gone: Vec<String> = gone.map(|row| format!("{}/{}", row.kind, row.name)).collect();
    json!({
        "generation": generation.number, "id": generation.id().to_string(), "downloaded_bytes": moved,
        "full_bytes": full, "changes": view.changes(), "layers": new.collect::<Vec<Value>>(), "removed": gone,
        "kept_back": plan_view::kept_back(view.kept_back),
    })
}

/// What was moved of the layers. Of small ones manifest and index are more than the whole, and no share of it.
fn moved_line(moved: u64, full: u64) -> String {
    if moved > full {
        return format!("moved {} (the whole layers are {})", human(moved), human(full));
    }
    format!("moved {} of {} ({})", human(moved), human(full), percent(moved, full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_where_it_is_one() {
        assert_eq!(moved_line(256, 1024), "moved 256 B of 1.0 KiB (25.0 %)");
        assert_eq!(moved_line(1536, 622), "moved 1.5 KiB (the whole layers are 622 B)");
    }
}
