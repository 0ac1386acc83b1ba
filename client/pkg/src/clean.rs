//! `pkg clean`, and the clean-up that other commands do by themselves.
//!
//! `plyos-plan` decides what goes; here the store is asked who holds leases, everything goes in one commit, and a second
//! one makes the older superblock copy let go of it, so that the room is there when the command ends. Memory: facts of
//! the generations, the runs of used units, and one map at a time.

use crate::inventory::{self, Held};
use crate::log;
use crate::settings::{AutoClean, Settings};
use crate::target::Target;
use plyos_blockstore::UsedMap;
use plyos_blockstore::layout::UNIT;
use plyos_plan::retention::{self, Plan, Policy};
use plyos_report::{ExitCode, Failure, human, print_json};
use plyos_storefile::{RecordType, Writer};
use serde_json::{Value, json};

/// How full a store must be, in percent, before a command that changed something cleans up by itself.
const FULL_PERCENT: u64 = 80;

/// What `pkg clean` was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Generations to keep.
    pub keep: Option<u32>,
    /// Days to keep.
    pub days: Option<u32>,
    /// Nothing but what is needed stays.
    pub all: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

impl Options {
    /// One number alone replaces the usual policy whole: who says `--keep 2` means two, however young the others are.
    fn policy(self, settings: &Settings) -> Policy {
        let usual = match (self.all, self.keep, self.days) {
            (true, ..) => Policy::NOTHING,
            (false, None, None) => settings.retention(),
            _ => Policy { keep: 0, days: 0, ..Policy::USUAL },
        };
        Policy { keep: self.keep.unwrap_or(usual.keep), days: self.days.unwrap_or(usual.days), ..usual }
    }
}

/// What a clean-up takes.
struct Sweep {
    plan: Plan,
    held: Held,
    /// Bytes that will be free.
    bytes: u64,
}

impl Sweep {
    fn is_empty(&self) -> bool {
        self.plan.is_empty() && self.held.damaged.is_empty()
    }

    fn records(&self) -> usize {
        self.plan.certificates.len() + self.plan.manifests.len() + self.plan.pins.len()
    }
}

/// `pkg clean`
pub fn run(target: &Target, options: Options) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let settings = Settings::load(&writer)?;
    let sweep = decide(target, &mut writer, options.policy(&settings))?;
    if options.dry_run {
        writer.discard();
    } else {
        if !sweep.is_empty() {
            log::done(target, &mut writer, "pkg clean")?;
        }
        carry_out(target, &mut writer, &sweep)?;
    }
    report(target, &writer, &sweep, options.dry_run);
    Ok(())
}

/// After a change: cleans by the usual policy when the store is nearly full. What was done stays done when that fails.
pub fn after_change(target: &Target, writer: &mut Writer) {
    let capacity = inventory::capacity(writer);
    let used = capacity.saturating_sub(writer.free_bytes());
    if used * 100 <= capacity * FULL_PERCENT {
        return;
    }
    if Settings::load(writer).is_ok_and(|settings| settings.auto_clean == AutoClean::No) {
        return;
    }
    if let Err(failure) = make_room(target, writer) {
        target.progress.warn(&format!("cleaning up: {failure}"));
    }
}

/// Cleans by the usual policy; says whether anything went.
pub fn make_room(target: &Target, writer: &mut Writer) -> Result<bool, Failure> {
    let policy = Settings::load(writer)?.retention();
    let sweep = decide(target, writer, policy)?;
    let before = writer.free_bytes();
    carry_out(target, writer, &sweep)?;
    if !sweep.is_empty() {
        let line = format!(
            "Cleaned up: {} generations and {} layers went, {} became free.",
            sweep.plan.generations.len(),
            sweep.plan.layers.len(),
            human(sweep.bytes)
        );
        target.progress.step(&line);
    }
    Ok(writer.free_bytes() > before)
}

/// Decides what goes. Until the next commit nobody can take a lease on a generation that goes.
fn decide(target: &Target, writer: &mut Writer, policy: Policy) -> Result<Sweep, Failure> {
    let mut held = inventory::read(target, writer)?;
    check_damaged(target, writer, &held)?;
    let plan = loop {
        let plan = retention::plan(&held.inventory, policy);
        let leased = held.inventory.leased.len();
        for (number, _) in &plan.generations {
            if !writer.retire(*number).map_err(|error| target.fail(&error))? {
                held.inventory.leased.insert(*number);
            }
        }
        if held.inventory.leased.len() == leased {
            break plan;
        }
    };
    let bytes = freed(target, writer, &plan)?;
    Ok(Sweep { plan, held, bytes })
}

/// A generation that cannot be read and is wanted nevertheless: nobody knows which layers it needs, so none may go.
fn check_damaged(target: &Target, writer: &mut Writer, held: &Held) -> Result<(), Failure> {
    let slots = *writer.slots();
    for (number, id) in &held.damaged {
        let named = [&slots.a, &slots.b].into_iter().any(|slot| !slot.is_empty() && slot.generation == *id);
        let leased = match number {
            Some(number) => !writer.retire(*number).map_err(|error| target.fail(&error))?,
            None => false,
        };
        if named || leased || held.inventory.pins.contains(id) {
            let line = format!(
                "the record of generation {id} is damaged and it is still wanted; nothing was cleaned up, run `pkg verify`"
            );
            return Err(Failure::new(ExitCode::Store, line));
        }
    }
    Ok(())
}

/// Bytes that only what goes takes. One map in memory at a time.
fn freed(target: &Target, writer: &Writer, plan: &Plan) -> Result<u64, Failure> {
    let (mut all, mut stay) = (UsedMap::default(), UsedMap::default());
    let directory = &writer.view().chosen.directory;
    for entry in writer.layers() {
        let units = inventory::units_of(target, writer, entry)?;
        let stays = !plan.layers.contains(&entry.id);
        for (start, end) in units.runs() {
            let extent = plyos_storefile::Extent { offset: start * UNIT, len: (end - start) * UNIT };
            all.insert(extent);
            if stays {
                stay.insert(extent);
            }
        }
    }
    let gone = records_of(plan);
    for (key, entry) in &directory.records {
        all.insert(entry.extent);
        if !gone.contains(key) {
            stay.insert(entry.extent);
        }
    }
    Ok((all.unit_count() - stay.unit_count()) * UNIT)
}

fn records_of(plan: &Plan) -> std::collections::BTreeSet<(RecordType, [u8; 32])> {
    let generations = plan.generations.iter().map(|(_, id)| (RecordType::Generation, *id.as_bytes()));
    let certificates = plan.certificates.iter().map(|id| (RecordType::Certificate, *id.as_bytes()));
    let manifests = plan.manifests.iter().map(|id| (RecordType::Manifest, *id.as_bytes()));
    let pins = plan.pins.iter().map(|id| (RecordType::Pin, *id.as_bytes()));
    generations.chain(certificates).chain(manifests).chain(pins).collect()
}

/// Removes what goes and lets the older copy go of it too. Who has leased something since then has looked after the
/// first commit and seen that it is gone: until then nobody could lease it.
fn carry_out(target: &Target, writer: &mut Writer, sweep: &Sweep) -> Result<(), Failure> {
    if sweep.is_empty() {
        writer.discard();
        if !older_holds_more(writer) {
            return Ok(());
        }
        // A clean-up was cut between its two commits.
    } else {
        sweep.plan.layers.iter().for_each(|id| writer.remove_layer(id));
        records_of(&sweep.plan).iter().for_each(|(kind, key)| writer.remove_record(*kind, key));
        for (_, id) in &sweep.held.damaged {
            writer.remove_record(RecordType::Generation, id.as_bytes());
        }
        // The plan was made for this active generation.
        let active = writer.slots().active().map(|slot| slot.generation);
        writer.commit(active).map_err(|error| target.fail(&error))?;
    }
    writer.settle().map_err(|error| target.fail(&error))
}

/// Whether the older superblock copy names a layer or record that the newer does not.
fn older_holds_more(writer: &Writer) -> bool {
    let Ok(older) = &writer.view().other else { return false };
    let newer = &writer.view().chosen.directory;
    older.directory.layers.keys().any(|id| !newer.layers.contains_key(id))
        || older.directory.records.keys().any(|key| !newer.records.contains_key(key))
}

fn report(target: &Target, writer: &Writer, sweep: &Sweep, dry_run: bool) {
    let Sweep { plan, held, bytes } = sweep;
    let name =
        |id: &plyos_ids::LayerId| held.names.get(id).cloned().unwrap_or_else(|| format!("a download, {id}"));
    if target.progress.json() {
        let layers: Vec<Value> = plan
            .layers
            .iter()
            .map(|id| json!({"layer": id.to_string(), "name": held.names.get(id)}))
            .collect();
        let kept: Vec<Value> = plan
            .stay
            .iter()
            .map(|(number, reasons)| {
                let reasons: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
                json!({"generation": number, "reasons": reasons})
            })
            .collect();
        let generations: Vec<u64> = plan.generations.iter().map(|(number, _)| *number).collect();
        print_json(&json!({
            "dry_run": dry_run, "generations": generations, "damaged_generations": held.damaged.len(), "layers": layers,
            "records": sweep.records(), "freed_bytes": bytes, "free_bytes": writer.free_bytes(),
            "kept": kept, "kept_downloads": plan.downloads.len(),
        }));
        return;
    }
    let progress = &target.progress;
    for (number, _) in &plan.generations {
        progress.step(&format!("  - generation {number}"));
    }
    plan.layers.iter().for_each(|id| progress.step(&format!("  - {}", name(id))));
    for (number, reasons) in &plan.stay {
        let reasons: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
        progress.step(&format!("    generation {number} stays: {}", reasons.join(", ")));
    }
    if !plan.downloads.is_empty() {
        progress.step(&format!(
            "    {} layers stay for a download that broke off; --all takes them",
            plan.downloads.len()
        ));
    }
    let free = human(writer.free_bytes());
    progress.step(&match (sweep.is_empty(), dry_run) {
        (true, _) => format!("Nothing to clean up, {free} free."),
        (false, true) => format!("{} would become free, {free} are.", human(*bytes)),
        (false, false) => format!("{} became free, {free} are.", human(*bytes)),
    });
}
