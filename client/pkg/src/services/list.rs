//! `pkg services list`: what layers declare, and how it stands with systemd.

use super::folder::Folder;
use super::{Declared, ROOT, declared, systemd};
use crate::target::Target;
use plyos_report::{Failure, plain, print_json, say};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How a service stands.
struct State {
    /// Whether its unit is written.
    written: bool,
    /// Whether systemd has still to be told of it.
    pending: bool,
    /// systemd's word for what it does, when that can be asked.
    said: Option<String>,
}

impl State {
    /// For people.
    fn word(&self, one: &Declared) -> &str {
        match (&one.unit, &self.said) {
            (Err(_), _) => "refused",
            (Ok(_), _) if !self.written => "not started",
            (Ok(_), _) if self.pending => "to be started anew",
            (Ok(_), Some(said)) => said,
            (Ok(_), None) => "unknown to systemd",
        }
    }
}

/// `pkg services list`
pub fn list(target: &Target, folder: &Folder<'_>) -> Result<(), Failure> {
    let followed = folder.followed()?;
    let root = followed.as_ref().map_or(Path::new(ROOT), |followed| followed.root.as_path());
    let (_, declared) = declared(target, root)?;
    let states = states(folder, &declared)?;
    if target.progress.json() {
        let rows: Vec<Value> = declared.iter().zip(&states).map(|(one, state)| row(one, state)).collect();
        let root = followed.as_ref().map(|followed| followed.root.display().to_string());
        print_json(&json!({"followed": followed.is_some(), "root": root, "services": rows}));
        return Ok(());
    }
    for (one, state) in declared.iter().zip(&states) {
        let Declared { kind, layer, version, service, .. } = one;
        say!("{:<20} {kind}/{layer} {version}  {}  {}", service.name, state.word(one), plain(&service.exec));
        if let Err(why) = &one.unit {
            say!("  {}", plain(why));
        }
    }
    if declared.is_empty() {
        target.progress.step("No layer of the active generation declares a service.");
    } else if followed.is_none() {
        target.progress.step("They are not followed; `pkg services start` starts them.");
    }
    Ok(())
}

fn states(folder: &Folder<'_>, declared: &[Declared]) -> Result<Vec<State>, Failure> {
    let there = folder.units()?;
    let name = |one: &Declared| one.unit.as_ref().ok().map(|unit| unit.name.clone());
    let written: Vec<String> =
        declared.iter().filter_map(name).filter(|name| there.contains_key(name)).collect();
    let said = systemd::states(&written).unwrap_or_default();
    let mut said: BTreeMap<String, String> = written.into_iter().zip(said).collect();
    let state = |one: &Declared| {
        let name = name(one).unwrap_or_default();
        let standing = there.get(&name);
        let pending = standing.is_some_and(|standing| standing.pending);
        State { written: standing.is_some(), pending, said: said.remove(&name) }
    };
    Ok(declared.iter().map(state).collect())
}

fn row(one: &Declared, state: &State) -> Value {
    let Declared { kind, layer, version, service, unit } = one;
    let made = unit.as_ref().ok();
    json!({
        "kind": kind.as_str(), "layer": layer, "version": version, "service": service.name, "exec": service.exec,
        "args": service.args, "principal": service.principal, "capabilities": service.capabilities,
        "not_granted": made.map(|unit| &unit.not_granted), "unit": made.map(|unit| &unit.name),
        "refused": unit.as_ref().err(), "written": state.written, "pending": state.pending, "state": state.said,
    })
}
