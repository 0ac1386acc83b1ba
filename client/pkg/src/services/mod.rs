//! `pkg services`: what the layers' descriptors declare becomes systemd units, started, stopped and restarted as the active generation changes.
//!
//! [`unit`] makes the text of a unit, for a user out of [`users`]; [`folder`] compares it with what stands below /run and does what is to be
//! done by [`systemd`], where [`root`] shows the generation. Each unit names its layer's identity, so it differs exactly when its service has
//! to be started anew.

pub mod cli;
mod folder;
mod list;
mod root;
mod systemd;
mod unit;
mod users;

use crate::active;
use crate::target::Target;
use crate::trial::shown;
use cli::{Command, Services};
use folder::{Folder, Followed, Steps};
use plyos_ids::{GenerationId, Kind};
use plyos_layer_format::descriptor::Service;
use plyos_report::{ExitCode, Failure, OrFail, print_json, put};
use serde_json::json;
use std::path::Path;
use unit::Unit;
use users::Users;

/// Where systemd looks for units that go with the next boot.
pub const UNITS: &str = "/run/systemd/system";
/// Where a generation is usually mounted.
pub const ROOT: &str = "/srv/system";

/// A service that a layer declares.
struct Declared {
    kind: Kind,
    layer: String,
    version: String,
    service: Service,
    /// The unit, or why there is none.
    unit: Result<Unit, String>,
}

impl Declared {
    fn title(&self) -> String {
        format!("service {} of {}/{}", self.service.name, self.kind, self.layer)
    }
}

/// How services stand to the generation that is shown, after [`follow`].
#[derive(Debug, PartialEq, Eq)]
pub enum Following {
    /// They are as it says, or are not followed.
    AsItSays,
    /// The folder that they run from still shows another; they were left alone.
    NotShown(String),
    /// systemd could not make them so: evidence against the generation.
    Failed(Failure),
    /// It could not be found out what they should be.
    Unknown(Failure),
}

/// `pkg services`
pub fn run(target: &Target, args: &Services) -> Result<(), Failure> {
    let folder = Folder(&args.units);
    match &args.command {
        Command::List => list::list(target, &folder),
        Command::Show { names, root } => show(target, names, root),
        Command::Start { root } => start(target, &folder, root),
        Command::Stop => stop(target, &folder),
    }
}

/// Brings services to what the generation says that is shown, if they are followed. Called after each command that changed it.
pub fn follow(target: &Target, units: &Path) -> Following {
    try_to_follow(target, &Folder(units)).unwrap_or_else(Following::Unknown)
}

fn try_to_follow(target: &Target, folder: &Folder<'_>) -> Result<Following, Failure> {
    if folder.followed()?.is_none() {
        return Ok(Following::AsItSays);
    }
    let _lock = folder.lock()?;
    // Who had the lock before may have stopped them all.
    let Some(Followed { store, root }) = folder.followed()? else { return Ok(Following::AsItSays) };
    if std::fs::canonicalize(target.path()).ok().as_deref() != Some(&store) {
        return Ok(Following::AsItSays);
    }
    let (generation, declared) = declared(target, &root)?;
    if generation.is_some_and(|generation| !root::shows(&root, &generation)) {
        let dir = root.parent().unwrap_or(&root).display();
        let line = format!(
            "{} does not show it yet, so services are left alone; `pkg export {dir}`",
            root.display()
        );
        return Ok(Following::NotShown(line));
    }
    Ok(settle(target, folder, &declared).1.map_or_else(Following::Failed, |()| Following::AsItSays))
}

/// Units are read from here after each change, unless PKG_UNITS says otherwise.
pub fn usual_units() -> std::path::PathBuf {
    std::env::var_os("PKG_UNITS").map_or_else(|| UNITS.into(), Into::into)
}

/// The generation that is shown, and the services of its layers.
fn declared(target: &Target, root: &Path) -> Result<(Option<GenerationId>, Vec<Declared>), Failure> {
    let store = target.store()?;
    if shown(&store).is_none() {
        return Ok((None, Vec::new()));
    }
    let active = active::mount(target, &store)?;
    let base = active.layers.iter().any(|layer| layer.record.kind == Kind::Base);
    let users = Users::load()?;
    let mut found = Vec::new();
    for layer in &active.layers {
        let descriptor = layer.index.descriptor();
        for service in descriptor.services() {
            let user = users.of(descriptor.kind(), descriptor.name(), &service.principal);
            let unit = user.map_err(|error| error.to_string()).and_then(|user| {
                unit::unit(descriptor, layer.record.id, service, &user, root, base)
                    .map_err(|error| error.to_string())
            });
            found.push(Declared {
                kind: descriptor.kind(),
                layer: descriptor.name().to_owned(),
                version: descriptor.version().to_owned(),
                service: service.clone(),
                unit,
            });
        }
    }
    Ok((Some(active.generation.id()), found))
}

fn show(target: &Target, names: &[String], root: &Path) -> Result<(), Failure> {
    let (_, mut declared) = declared(target, root)?;
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
        let units = declared.iter().filter_map(|one| one.unit.as_ref().ok());
        print_json(&units.map(|unit| json!({"unit": unit.name, "text": unit.text})).collect());
        return refused(&declared);
    }
    for (number, unit) in declared.iter().filter_map(|one| one.unit.as_ref().ok()).enumerate() {
        let gap = if number > 0 { "\n" } else { "" };
        put!("{gap}# {}\n{}", unit.name, unit.text);
    }
    refused(&declared)
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
    let _lock = folder.lock()?;
    let (generation, declared) = declared(target, &root)?;
    if generation.is_some_and(|generation| !root::shows(&root, &generation)) {
        let line = format!(
            "{} shows another generation than the store; `pkg export` into its folder first",
            root.display()
        );
        return Err(Failure::new(ExitCode::Store, line));
    }
    folder.follow(&Followed { store, root })?;
    let (mut steps, settled) = settle(target, folder, &declared);
    let started = settled.and_then(|()| start_what_ended(target, &declared, &mut steps));
    in_json(target, &steps);
    started.and_then(|()| refused(&declared))
}

/// Starts the services that stand as they should and do not run: they ended, or somebody stopped them.
fn start_what_ended(target: &Target, declared: &[Declared], steps: &mut Steps) -> Result<(), Failure> {
    let units = declared.iter().filter_map(|one| one.unit.as_ref().ok().map(|unit| unit.name.clone()));
    let units: Vec<String> = units.collect();
    let states = systemd::states(&units).unwrap_or_default();
    let ended =
        units.into_iter().zip(states).filter(|(_, state)| matches!(state.as_str(), "inactive" | "failed"));
    let ended: Vec<String> = ended.map(|(unit, _)| unit).collect();
    let (start, failed) = systemd::all_or_each("start", &ended);
    tell(target, &Steps { start: start.clone(), ..Steps::default() });
    steps.start.extend(start);
    failed.map_or(Ok(()), Err)
}

/// Fails when a service is refused: for who asked for services by name.
fn refused(declared: &[Declared]) -> Result<(), Failure> {
    let first = declared.iter().find_map(|one| one.unit.as_ref().err().map(|why| (one, why)));
    first.map_or(Ok(()), |(one, why)| {
        Err(Failure::new(ExitCode::Failure, format!("{} is refused: {why}", one.title())))
    })
}

/// Does what is to be done, with the lock; gives what was.
fn settle(target: &Target, folder: &Folder<'_>, declared: &[Declared]) -> (Steps, Result<(), Failure>) {
    let mut wanted = Vec::new();
    for one in declared {
        match &one.unit {
            Ok(unit) => {
                if !unit.not_granted.is_empty() {
                    let line = format!("{} is not granted: {}", one.title(), unit.not_granted.join(", "));
                    target.progress.warn(&line);
                }
                wanted.push(unit.clone());
            }
            // It does not stand in the way of the others.
            Err(why) => target.progress.warn(&format!("{} is refused: {why}", one.title())),
        }
    }
    let (steps, settled) = match folder.units() {
        Ok(there) => match Steps::between(&there, &wanted) {
            none if none.is_empty() => (none, Ok(())),
            steps => folder.carry_out(&steps, &wanted),
        },
        Err(failure) => (Steps::default(), Err(failure)),
    };
    tell(target, &steps);
    (steps, settled)
}

fn stop(target: &Target, folder: &Folder<'_>) -> Result<(), Failure> {
    let _lock = folder.lock()?;
    let steps = Steps::between(&folder.units()?, &[]);
    // First, so that whoever installs something meanwhile starts nothing.
    folder.forget()?;
    let (steps, stopped) = if steps.is_empty() { (steps, Ok(())) } else { folder.carry_out(&steps, &[]) };
    tell(target, &steps);
    in_json(target, &steps);
    stopped
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
