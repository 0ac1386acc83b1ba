//! `pkg health`: whether a change did the system good, and what becomes of it if not.
//!
//! The policy (a check, its time, its tries) is part of each generation, as its layers are: [`set`] makes a generation
//! with it, and every later one takes it over. Such a change is a trial ([`crate::trial`]): it is shown at once, and `pkg health run`
//! asks the check ([`check`]) until it has passed for as long as the policy wants or its time is over; then the trial is promoted, or the former generation is
//! shown again and the reason stands in the history. `install`, `upgrade` and `remove` run it themselves; a systemd timer finishes what a
//! crash left open.

mod address;
mod allowed;
mod before;
mod check;
mod cli;
mod command;
mod interrupted;
mod run;

pub use before::{can_judge, say_replaced};
pub use cli::{HealthCommand, Watch};
pub use command::watch;
pub use run::after_change;

use crate::activate::{self, Reason, Worth};
use crate::active::active_generation;
use crate::policy::BadLayers;
use crate::target::Target;
use crate::trial::Policy;
use allowed::Allowed;
use cli::SetArgs;
use plyos_namespace::generation::{Health, HealthKind};
use plyos_report::{ExitCode, Failure, print_json, say};
use plyos_storefile::Action;
use serde_json::json;
use std::time::Duration;

/// `pkg health`
pub async fn health(target: &Target, command: &HealthCommand) -> Result<(), Failure> {
    match command {
        HealthCommand::Set(args) => set(target, args).await,
        HealthCommand::Clear => clear(target),
        HealthCommand::Show => show(target),
        HealthCommand::Run => run::run(target).await,
    }
}

/// `pkg health set`: a check that does not pass as things are would condemn every change.
async fn set(target: &Target, args: &SetArgs) -> Result<(), Failure> {
    let policy = args.policy();
    let store = target.store()?;
    before::no_trial(&store)?;
    let present = store.slots().active().map(|slot| slot.number).ok_or_else(nothing)?;
    drop(store);
    if !args.force {
        let time = Duration::from_secs(policy.health.timeout.into());
        check::once(&policy.health, present, time).await.map_err(|why| {
            let line = format!(
                "the check does not pass as things are: {why}; nothing was changed (--force sets it without asking)"
            );
            Failure::new(ExitCode::Store, line)
        })?;
    }
    if policy.health.kind == HealthKind::Command {
        Allowed::load()?.add(&policy.health.spec)?;
    }
    replace(target, Some(policy), "pkg health set")
}

/// `pkg health clear`: with the policy goes the permission to run its command.
fn clear(target: &Target) -> Result<(), Failure> {
    let policy = active_generation(&target.store()?)?.as_ref().and_then(Policy::of);
    replace(target, None, "pkg health clear")?;
    if let Some(Policy { health, .. }) = policy
        && health.kind == HealthKind::Command
    {
        Allowed::load()?.remove(&health.spec)?;
    }
    Ok(())
}

/// Makes a generation of the same layers with another policy. It is good at once: the policy counts from the next change
/// on.
fn replace(target: &Target, policy: Option<Policy>, command: &str) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    before::no_trial(&writer)?;
    let present = active_generation(&writer)?.ok_or_else(nothing)?;
    let text = policy.as_ref().map(|policy| format!(" {}", line(&policy.health))).unwrap_or_default();
    let reason = Reason {
        action: Action::Install,
        command: format!("{command}{text}"),
        // The layers run already.
        bad_layers: BadLayers::Forced,
    };
    let generation =
        activate::activate_with(target, &mut writer, present.layers.clone(), policy, Worth::Good, &reason)?;
    if target.progress.json() {
        print_json(&json!({"generation": generation.number}));
    } else {
        target.progress.step(&format!("Generation {} is active{}.", generation.number, {
            if text.is_empty() { ", without a health policy" } else { ", with this health policy" }
        }));
    }
    Ok(())
}

fn nothing() -> Failure {
    Failure::new(
        ExitCode::NotFound,
        "nothing is installed yet, and a health policy is part of what is; `pkg install NAME` first",
    )
}

fn show(target: &Target) -> Result<(), Failure> {
    let store = target.store()?;
    let present = active_generation(&store)?;
    let policy = present.as_ref().and_then(Policy::of);
    let on_trial = store.slots().trial().map(|name| store.slots().get(name).number);
    if target.progress.json() {
        let policy = policy.map(|policy| {
            json!({"kind": word(policy.health.kind), "check": policy.health.spec,
                   "timeout": policy.health.timeout, "for": policy.health.hold, "tries": policy.tries})
        });
        print_json(&json!({"policy": policy, "on_trial": on_trial}));
        return Ok(());
    }
    match policy {
        Some(policy) => {
            let Health { timeout, hold, .. } = policy.health;
            let hold = if hold == 0 { "once".to_owned() } else { format!("for {hold} s on end") };
            say!("{} ({hold}, within {timeout} s, {} tries)", line(&policy.health), policy.tries);
        }
        None => say!("There is no health policy; `pkg health set` makes one."),
    }
    if let Some(number) = on_trial {
        say!("Generation {number} is on trial; `pkg health run` decides about it.");
    }
    Ok(())
}

/// A check for people.
fn line(health: &Health) -> String {
    format!("{}: {}", word(health.kind), health.spec)
}

const fn word(kind: HealthKind) -> &'static str {
    match kind {
        HealthKind::Command => "command",
        HealthKind::Http => "http",
        HealthKind::Tcp => "tcp",
        HealthKind::Services => "services",
    }
}
