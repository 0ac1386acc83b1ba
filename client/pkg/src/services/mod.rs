//! `pkg services`: what the layers' descriptors declare becomes systemd units, started, stopped and restarted as the active generation changes.
//!
//! [`unit`] makes the text of a unit, [`folder`] compares it with what stands below /run and does what is to be done. No state is kept
//! beside the units: each names its layer's identity, so a unit differs exactly when its service has to be started anew.

pub mod cli;
mod folder;
mod unit;

use crate::active;
use crate::target::Target;
use cli::{Command, Services};
use folder::{Folder, Followed, Steps};
use plyos_ids::Kind;
use plyos_layer_format::descriptor::Service;
use plyos_report::{ExitCode, Failure, OrFail, print_json};
use serde_json::{Value, json};
use std::path::Path;
use unit::Unit;

/// Where systemd looks for units that go with the next boot.
pub const UNITS: &str = "/run/systemd/system";
/// Where a generation is usually mounted.
pub const ROOT: &str = "/srv/system";

/// A service that a layer declares, as a unit.
struct Declared {
    kind: Kind,
    layer: String,
    version: String,
    service: Service,
    unit: Unit,
}

/// `pkg services`
pub fn run(target: &Target, args: &Services) -> Result<(), Failure> {
    let folder = Folder(&args.units);
    match &args.command {
        Command::List => list(target, &folder),
        Command::Show { names, root } => show(target, names, root),
        Command::Start { root } => start(target, &folder, root),
        Command::Stop => stop(target, &folder),
    }
}

/// Brings services to what the active generation says, if they are followed. Called after each command that may have changed it.
pub fn follow(target: &Target, units: &Path) -> Result<(), Failure> {
    let folder = Folder(units);
    let Some(Followed { store, root }) = folder.followed()? else { return Ok(()) };
    if std::fs::canonicalize(target.path()).ok().as_deref() != Some(&store) {
        return Ok(());
    }
    let settled = settle(target, &folder, &root);
    settled.map(drop).map_err(|failure| {
        let line = format!("the generation is active, but its services are not as it says: {failure}");
        Failure::new(ExitCode::Store, line)
    })
}

/// Units are read from here after each change, unless PKG_UNITS says otherwise.
pub fn usual_units() -> std::path::PathBuf {
    std::env::var_os("PKG_UNITS").map_or_else(|| UNITS.into(), Into::into)
}

fn declared(target: &Target, root: &Path) -> Result<Vec<Declared>, Failure> {
    let store = target.store()?;
    if store.slots().active().is_none() {
        return Ok(Vec::new());
    }
    let active = active::mount(target, &store)?;
    let base = active.layers.iter().any(|layer| layer.record.kind == Kind::Base);
    let mut found = Vec::new();
    for layer in &active.layers {
        let descriptor = layer.index.descriptor();
        for service in descriptor.services() {
            let doing = format!("making a unit of service {} of {}", service.name, descriptor.name());
            let unit = unit::unit(descriptor, layer.record.id, service, root, base)
                .or_fail(ExitCode::Failure, doing)?;
            found.push(Declared {
                kind: descriptor.kind(),
                layer: descriptor.name().to_owned(),
                version: descriptor.version().to_owned(),
                service: service.clone(),
                unit,
            });
        }
    }
    Ok(found)
}

fn list(target: &Target, folder: &Folder<'_>) -> Result<(), Failure> {
    let declared = declared(target, Path::new(ROOT))?;
    let there = folder.units()?;
    let followed = folder.followed()?;
    if target.progress.json() {
        let rows: Vec<Value> = declared
            .iter()
            .map(|Declared { kind, layer, version, service, unit }| {
                json!({"kind": kind.as_str(), "layer": layer, "version": version, "service": service.name, "exec": service.exec,
                       "args": service.args, "principal": service.principal, "capabilities": service.capabilities,
                       "not_granted": unit.not_granted, "unit": unit.name, "written": there.contains_key(&unit.name)})
            })
            .collect();
        let root = followed.as_ref().map(|followed| followed.root.display().to_string());
        print_json(&json!({"followed": followed.is_some(), "root": root, "services": rows}));
        return Ok(());
    }
    for Declared { kind, layer, version, service, unit } in &declared {
        let state = if there.contains_key(&unit.name) { "started" } else { "not started" };
        println!("{:<20} {kind}/{layer} {version}  {state}  {}", service.name, service.exec);
    }
    if declared.is_empty() {
        target.progress.step("No layer of the active generation declares a service.");
    } else if followed.is_none() {
        target.progress.step("They are not followed; `pkg services start` starts them.");
    }
    Ok(())
}

fn show(target: &Target, names: &[String], root: &Path) -> Result<(), Failure> {
    let mut declared = declared(target, root)?;
    if let Some(name) = names
        .iter()
        .find(|name| !declared.iter().any(|one| one.layer == **name || one.service.name == **name))
    {
        let line =
            format!("no layer or service '{name}' declares one; `pkg services list` shows what there is");
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    declared
        .retain(|one| names.is_empty() || names.contains(&one.layer) || names.contains(&one.service.name));
    if target.progress.json() {
        let units = declared.iter().map(|one| json!({"unit": one.unit.name, "text": one.unit.text}));
        print_json(&units.collect());
        return Ok(());
    }
    for (number, one) in declared.iter().enumerate() {
        let gap = if number > 0 { "\n" } else { "" };
        print!("{gap}# {}\n{}", one.unit.name, one.unit.text);
    }
    Ok(())
}

fn start(target: &Target, folder: &Folder<'_>, root: &Path) -> Result<(), Failure> {
    // The link of an export stays a link: it is what changes with the generation.
    let root = std::path::absolute(root)
        .or_fail(ExitCode::Failure, format_args!("looking at {}", root.display()))?;
    if !root.is_dir() {
        let line = format!(
            "{} is no folder; mount the generation there (`pkg mount {0}`) or export it and name DIR/current",
            root.display()
        );
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    if folder.0 == Path::new(UNITS) && !folder.0.parent().is_some_and(Path::is_dir) {
        let line = "systemd does not run here; `pkg services show` tells another init what to start";
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    let store = std::fs::canonicalize(target.path())
        .or_fail(ExitCode::Store, format_args!("looking at {}", target.path().display()))?;
    if let Some(other) = folder.followed()?.filter(|followed| followed.store != store) {
        let line =
            format!("services of {} are followed here; `pkg services stop` ends that", other.store.display());
        return Err(Failure::new(ExitCode::Failure, line));
    }
    folder.follow(&Followed { store, root: root.clone() })?;
    settle(target, folder, &root).map(|steps| in_json(target, &steps))
}

fn settle(target: &Target, folder: &Folder<'_>, root: &Path) -> Result<Steps, Failure> {
    let declared = declared(target, root)?;
    for one in declared.iter().filter(|one| !one.unit.not_granted.is_empty()) {
        let wanted = one.unit.not_granted.join(", ");
        target
            .progress
            .warn(&format!("service {} of {} is not granted: {wanted}", one.service.name, one.layer));
    }
    let wanted: Vec<Unit> = declared.into_iter().map(|one| one.unit).collect();
    let steps = Steps::between(&folder.units()?, &wanted);
    if !steps.is_empty() {
        folder.carry_out(&steps, &wanted)?;
    }
    tell(target, &steps);
    Ok(steps)
}

fn stop(target: &Target, folder: &Folder<'_>) -> Result<(), Failure> {
    let steps = Steps::between(&folder.units()?, &[]);
    // First, so that whoever installs something meanwhile starts nothing.
    folder.forget()?;
    if !steps.is_empty() {
        folder.carry_out(&steps, &[])?;
    }
    tell(target, &steps);
    in_json(target, &steps);
    Ok(())
}

fn in_json(target: &Target, steps: &Steps) {
    if target.progress.json() {
        print_json(&json!({"stopped": steps.stop, "restarted": steps.restart, "started": steps.start}));
    }
}

fn tell(target: &Target, steps: &Steps) {
    for (what, units) in [("stopped", &steps.stop), ("restarted", &steps.restart), ("started", &steps.start)]
    {
        for unit in units {
            target.progress.step(&format!("{what} {unit}"));
        }
    }
}
