//! `pkg install`, `upgrade`, `remove` and `autoremove`: from a request to a plan. [`crate::carry_out`] does the rest.

use crate::activate::Reason;
use crate::active;
use crate::admission;
use crate::carry_out::{self, Changed, Local, Work};
use crate::catalogs::{self, Offers};
use crate::cli::Consent;
use crate::local::{self, LocalLayer};
use crate::policy::BadLayers;
use crate::target::{ABIS, Target};
use crate::{health, idle};
use plyos_plan::resolve::{self, Change, Installed, Machine, NoPlan, Plan, Why};
use plyos_report::{ExitCode, Failure};
use plyos_storefile::{Action, Store};

/// `pkg install`
pub async fn install(
    target: &Target,
    names: &[String],
    unsigned: Unsigned,
    consent: Consent,
) -> Result<Option<Changed>, Failure> {
    change(target, &Request { action: Action::Install, names, unsigned, consent }).await
}

/// `pkg upgrade`
pub async fn upgrade(
    target: &Target,
    names: &[String],
    consent: Consent,
) -> Result<Option<Changed>, Failure> {
    change(target, &Request { action: Action::Upgrade, names, unsigned: Unsigned::Refused, consent }).await
}

/// What becomes of layers that nobody vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// They are refused.
    Refused,
    /// The operator answers for them (`--allow-unsigned`).
    Allowed,
}

/// What was asked for.
struct Request<'a> {
    /// Install or upgrade.
    action: Action,
    /// Names, and paths of files.
    names: &'a [String],
    unsigned: Unsigned,
    consent: Consent,
}

impl Request<'_> {
    /// Plans it by what the store says at this moment.
    fn plan(&self, target: &Target, store: &Store) -> Result<(Offers, Work), Failure> {
        if self.action == Action::Upgrade {
            let offers = Offers::load(target, store)?;
            let installed = active::installed(target, store)?;
            let plan = resolve::upgrade(&offers.facts, &installed, machine(), self.names);
            return self.work(offers, &installed, plan, &Why::Newer, Local::default());
        }
        let paths = self.names.iter().filter(|name| local::is_path(name));
        let layers = paths.map(|path| LocalLayer::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut offers =
            if layers.is_empty() { Offers::load(target, store)? } else { Offers::load_any(target, store)? };
        let unsigned = self.unsigned_of(&mut offers, &layers)?;
        let names = self.names.iter().filter(|name| !local::is_path(name)).cloned();
        let names: Vec<String> = names.chain(layers.iter().map(LocalLayer::request)).collect();
        let installed = active::installed(target, store)?;
        let plan = resolve::install(&offers.facts, &installed, machine(), &names);
        self.work(offers, &installed, plan, &Why::Asked, Local { layers, unsigned })
    }

    /// Adds the layers to the offers that no catalog vouches for, if that is allowed. Gives their numbers.
    fn unsigned_of(&self, offers: &mut Offers, local: &[LocalLayer]) -> Result<Vec<usize>, Failure> {
        let mut unsigned = Vec::new();
        for (number, layer) in local.iter().enumerate() {
            let facts = layer.facts();
            let same = |offer: &&resolve::Facts| {
                (offer.kind, &offer.name, &offer.version) == (facts.kind, &facts.name, &facts.version)
            };
            match offers.facts.iter().find(same) {
                Some(offer) if offer.layer == facts.layer => continue,
                Some(_) => {
                    let line = format!(
                        "{} is on offer as another layer than the one in the file; give yours another version",
                        layer.what()
                    );
                    return Err(Failure::new(ExitCode::Conflict, line));
                }
                None if self.unsigned == Unsigned::Refused => {
                    let line = format!(
                        "{} is in no catalog, so nobody vouches for it; --allow-unsigned installs it on your own word",
                        layer.what()
                    );
                    return Err(Failure::new(ExitCode::Signature, line));
                }
                None => {
                    unsigned.push(number);
                    offers.facts.push(facts);
                }
            }
        }
        Ok(unsigned)
    }

    fn work(
        &self,
        offers: Offers,
        installed: &[Installed],
        plan: Result<Plan, NoPlan>,
        usual: &Why,
        local: Local,
    ) -> Result<(Offers, Work), Failure> {
        let plan = plan.map_err(|error| offers.no_plan(error))?;
        let why = resolve::why(&plan, &offers.facts, installed, usual);
        let flag = (!local.unsigned.is_empty()).then(|| "--allow-unsigned".to_owned());
        let names: Vec<String> = self.names.iter().cloned().chain(flag).collect();
        let reason = reason(self.action, self.action.as_str(), &names, self.consent);
        Ok((offers, Work { plan, why, consent: self.consent, reason, local }))
    }
}

async fn change(target: &Target, request: &Request<'_>) -> Result<Option<Changed>, Failure> {
    // Planned by reading alone at first: a writer reads the maps of all layers and waits for others, which is for nothing
    // when nothing is to be done.
    let store = target.store()?;
    let upgrades_all = request.action == Action::Upgrade && request.names.is_empty();
    if upgrades_all && idle::is_known(target, &store) {
        carry_out::nothing_newer(target, &store, &[]);
        return Ok(None);
    }
    let (mut offers, mut work) = request.plan(target, &store)?;
    if work.plan.changes.is_empty() {
        if upgrades_all && work.plan.kept_back.is_empty() && !request.consent.dry_run {
            idle::note(target, &store, &offers);
        }
        carry_out::nothing_newer(target, &store, &work.plan.kept_back);
        return Ok(None);
    }
    let mut writer = target.writer()?;
    health::can_judge(&writer)?;
    if writer.superblock().sequence != store.superblock().sequence {
        (offers, work) = request.plan(target, &writer)?;
    }
    health::say_replaced(target, &writer)?;
    carry_out::run(target, &mut writer, &offers, work).await
}

/// `pkg remove`
pub fn remove(target: &Target, names: &[String], consent: Consent) -> Result<Option<Changed>, Failure> {
    let mut writer = target.writer()?;
    let installed = active::installed(target, &writer)?;
    let changes = resolve::remove(&installed, names).map_err(catalogs::not_installed)?;
    refuse_held(&installed, &changes)?;
    health::can_judge(&writer)?;
    health::say_replaced(target, &writer)?;
    let plan = Plan { changes, kept_back: Vec::new() };
    let why = resolve::why(&plan, &[], &installed, &Why::Asked);
    let superfluous = superfluous_after(&installed, &plan);
    let reason = reason(Action::Remove, "remove", names, consent);
    let changed = carry_out::remove(target, &mut writer, &Work::of_removal(plan, why, consent, reason))?;
    if !superfluous.is_empty() && !consent.dry_run {
        target.progress.step(&format!(
            "Nothing needs {} any more; `pkg autoremove` removes {}.",
            superfluous.join(", "),
            if superfluous.len() == 1 { "it" } else { "them" }
        ));
    }
    Ok(changed)
}

/// `pkg autoremove`
pub fn autoremove(target: &Target, consent: Consent) -> Result<Option<Changed>, Failure> {
    let mut writer = target.writer()?;
    let installed = active::installed(target, &writer)?;
    let plan = Plan { changes: resolve::superfluous(&installed), kept_back: Vec::new() };
    if !plan.changes.is_empty() {
        health::can_judge(&writer)?;
        health::say_replaced(target, &writer)?;
    }
    let why = plan.changes.iter().map(|_| Why::Unneeded).collect();
    let reason = reason(Action::Remove, "autoremove", &[], consent);
    carry_out::remove(target, &mut writer, &Work::of_removal(plan, why, consent, reason))
}

/// What a hold keeps from going.
fn refuse_held(installed: &[Installed], changes: &[Change]) -> Result<(), Failure> {
    let held = |change: &&Change| {
        let Change::Remove { kind, name } = change else { return false };
        installed.iter().any(|i| i.held && (i.facts.kind, &i.facts.name) == (*kind, name))
    };
    match changes.iter().find(held) {
        Some(Change::Remove { kind, name }) => {
            let line = format!("'{name}' is held; `pkg unhold {kind}/{name}` lets it go");
            Err(Failure::new(ExitCode::Conflict, line))
        }
        _ => Ok(()),
    }
}

/// Names of what nothing needs after a removal and something needed before.
fn superfluous_after(installed: &[Installed], plan: &Plan) -> Vec<String> {
    let gone = |i: &&Installed| {
        plan.changes.iter().any(|change| matches!(change, Change::Remove { kind, name } if (*kind, name) == (i.facts.kind, &i.facts.name)))
    };
    let rest: Vec<Installed> = installed.iter().filter(|i| !gone(i)).cloned().collect();
    let before = resolve::superfluous(installed);
    let name = |change: Change| match change {
        Change::Remove { name, .. }
            if !before.iter().any(|b| matches!(b, Change::Remove { name: n, .. } if *n == name)) =>
        {
            Some(name)
        }
        _ => None,
    };
    resolve::superfluous(&rest).into_iter().filter_map(name).collect()
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
