//! `pkg health`: whether a change did the system good, and what becomes of it if not.
//!
//! The policy (a check, its time, its tries) is part of each generation, as its layers are: [`set`] makes a generation
//! with it, and every later one takes it over. Such a change is a trial ([`crate::trial`]): it is shown at once, and `pkg health run`
//! asks the check ([`check`]) until it passes or its time is over; then the trial is promoted, or the former generation is
//! shown again and the reason stands in the history. `install`, `upgrade` and `remove` run it themselves; a systemd timer finishes what a
//! crash left open.

mod check;
mod cli;
mod run;

pub use cli::HealthCommand;
pub use run::after_change;

use crate::activate::{self, Reason, Worth};
use crate::active::active_generation;
use crate::policy::BadLayers;
use crate::target::Target;
use crate::trial::Policy;
use plyos_namespace::generation::{Health, HealthKind};
use plyos_report::{ExitCode, Failure, print_json, say};
use plyos_storefile::Action;
use serde_json::json;

/// `pkg health`
pub async fn health(target: &Target, command: &HealthCommand) -> Result<(), Failure> {
    match command {
        HealthCommand::Set(args) => {
            let policy = args.policy();
            replace(target, Some(policy), "pkg health set")
        }
        HealthCommand::Clear => replace(target, None, "pkg health clear"),
        HealthCommand::Show => show(target),
        HealthCommand::Run => run::run(target).await,
    }
}

/// Makes a generation of the same layers with another policy. It is good at once: the policy counts from the next change
/// on.
fn replace(target: &Target, policy: Option<Policy>, command: &str) -> Result<(), Failure> {
    let mut writer = target.writer()?;
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
                   "timeout": policy.health.timeout, "tries": policy.tries})
        });
        print_json(&json!({"policy": policy, "on_trial": on_trial}));
        return Ok(());
    }
    match policy {
        Some(policy) => {
            say!("{} within {} s, {} tries", line(&policy.health), policy.health.timeout, policy.tries)
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
