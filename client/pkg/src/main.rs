//! `pkg`: what runs on targets.
//!
//! Each command is a module. Failures become one line on stderr and an exit code here.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod activate;
mod active;
mod admission;
mod candidate;
mod carry_out;
mod catalogs;
mod clean;
mod cli;
mod config;
mod conflicts;
mod content;
mod diff;
mod du;
mod export;
mod grow;
mod health;
mod history;
mod hold;
mod idle;
mod install;
mod inventory;
mod local;
mod log;
mod mount;
mod origin;
mod pins;
mod plan_detail;
mod plan_view;
mod policy;
mod pull;
mod renewal;
mod repair;
mod repo;
mod repositories;
mod rollback;
mod room;
mod services;
mod settings;
mod settle;
mod show;
mod target;
mod trial;
mod update;
mod verify;
mod view;

use carry_out::Changed;
use clap::{CommandFactory, Parser};
use cli::{Change, Cli, Command, ConfigCommand, Enabled, Keep, Look, Manual, RepoCommand};
use health::HealthCommand;
use hold::Hold;
use install::Unsigned;
use plyos_report::{Failure, Progress, Verbosity, manual, output};
use plyos_transfer::block_on;
use policy::BadLayers;
use repo::add::New;
use repositories::State;
use target::{Act, Network, Target};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let verbosity = Verbosity::of(cli.quiet, cli.verbose);
    let network = if cli.offline { Network::Offline } else { Network::Allowed };
    let target =
        Target::new(&cli.store, network, Progress::new(verbosity, cli.json)).limited(cli.download_limit);
    match run(&target, &cli.command).and_then(|()| output::check()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            if changes_something(&cli.command) {
                log::refused(&target, &command_line(), &failure);
            }
            failure.report("pkg")
        }
    }
}

/// The command as it was given, for the log.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("pkg".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Whether a refusal of the command is worth a line of the log: it was to bring something in, or to change who may.
fn changes_something(command: &Command) -> bool {
    match command {
        Command::Change(_) | Command::Repo(_) => true,
        Command::Keep(keep) => matches!(keep, Keep::Repair { .. }),
        Command::Look(_)
        | Command::Mount(_)
        | Command::Umount(_)
        | Command::Health(_)
        | Command::Watch(_)
        | Command::Services(_)
        | Command::Config(_)
        | Command::Manual(_) => false,
    }
}

fn run(target: &Target, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Change(command) => {
            let before = settle::shown(target);
            let changed = change(target, command)?;
            settle::after(target, before, async |target, asks| match &changed {
                Some(changed) => health::after_change(target, changed, command.waits() && asks).await,
                None => Ok(()),
            })
        }
        Command::Mount(args) => mount::mount(target, args),
        Command::Umount(args) => mount::umount(target, args),
        Command::Health(command) => health(target, command),
        Command::Watch(args) => health::watch(args),
        Command::Services(args) => services::run(target, args),
        Command::Look(command) => look(target, command),
        Command::Repo(command) => repo(target, command),
        Command::Keep(command) => keep(target, command),
        Command::Config(command) => config(target, command),
        Command::Manual(Manual::Completions { shell }) => manual::completions(Cli::command(), *shell),
        Command::Manual(Manual::Man { dir }) => manual::pages(Cli::command(), dir, &target.progress),
    }
}

fn health(target: &Target, command: &HealthCommand) -> Result<(), Failure> {
    let before = settle::shown(target);
    match command {
        // It finishes what a crash left open, so services may have to follow as well.
        HealthCommand::Run => {
            settle::always(
                target,
                async |target, asks| {
                    if asks { health::health(target, command).await } else { Ok(()) }
                },
            )
        }
        _ => {
            block_on(health::health(target, command))?;
            settle::after(target, before, async |_, _| Ok(()))
        }
    }
}

/// Gives the generation that the command made, if it may be on trial.
fn change(target: &Target, command: &Change) -> Result<Option<Changed>, Failure> {
    let mut changed = None;
    match command {
        Change::Update { dry_run } => block_on(update::update(target, act(*dry_run)))?,
        Change::Install { names, allow_unsigned, consent } => {
            let unsigned = if *allow_unsigned { Unsigned::Allowed } else { Unsigned::Refused };
            block_on(async {
                changed = install::install(target, names, unsigned, *consent).await?;
                Ok(())
            })?;
        }
        Change::Remove { names, consent } => changed = install::remove(target, names, *consent)?,
        Change::Autoremove { consent } => changed = install::autoremove(target, *consent)?,
        Change::Upgrade { names, consent } => block_on(async {
            changed = install::upgrade(target, names, *consent).await?;
            Ok(())
        })?,
        Change::Hold { names } => hold::change(target, names, Hold::Hold)?,
        Change::Unhold { names } => hold::change(target, names, Hold::Release)?,
        Change::Rollback { generation, force, dry_run } => {
            let bad_layers = if *force { BadLayers::Forced } else { BadLayers::Refused };
            let request = rollback::Request { number: *generation, bad_layers, dry_run: *dry_run };
            rollback::rollback(target, &request)?;
        }
    }
    Ok(changed)
}

fn act(dry_run: bool) -> Act {
    if dry_run { Act::DryRun } else { Act::Now }
}

fn look(target: &Target, command: &Look) -> Result<(), Failure> {
    match command {
        Look::Search { text } => show::search(target, text),
        Look::Info { name } => show::info(target, name),
        Look::List => show::list(target),
        Look::Files { names } => origin::files(target, names),
        Look::Which { paths } => origin::which(target, paths),
        Look::Diff(args) => diff::run(target, args),
        Look::History => history::history(target),
        Look::Log { last, refused } => log::log(target, *last, *refused),
        Look::Status => history::status(target),
        Look::Cat { path } => view::cat(target, path),
        Look::Ls { long, path } => view::ls(target, path, *long),
        Look::Du => du::run(target),
    }
}

fn repo(target: &Target, command: &RepoCommand) -> Result<(), Failure> {
    match command {
        RepoCommand::Add { url, root, name, channel, priority, ca } => {
            let ca = ca.as_deref();
            let new = New { url, root, name: name.as_deref(), channel, priority: *priority, ca };
            block_on(repo::add::add(target, &new))
        }
        RepoCommand::List => repo::list(target),
        RepoCommand::Show { name } => repo::show(target, name),
        RepoCommand::Set { name, channel, priority, enabled, ca } => {
            let state = enabled.map(|enabled| match enabled {
                Enabled::Yes => State::Enabled,
                Enabled::No => State::Disabled,
            });
            let ca = ca.as_deref();
            let changes = repo::Changes { channel: channel.as_deref(), priority: *priority, state, ca };
            repo::set(target, name, &changes)
        }
        RepoCommand::Remove { name, dry_run } => repo::remove::remove(target, name, act(*dry_run)),
    }
}

fn config(target: &Target, command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::List => config::list(target),
        ConfigCommand::Get { name } => config::get(target, name),
        ConfigCommand::Set { name, value } => config::set(target, name, Some(value)),
        ConfigCommand::Unset { name } => config::set(target, name, None),
    }
}

fn keep(target: &Target, command: &Keep) -> Result<(), Failure> {
    match command {
        Keep::Init { size } => show::init(target, *size),
        Keep::Verify { layers, resume } => verify::verify(target, layers, resume.as_deref()),
        Keep::Repair { dry_run: true } => repair::foresight::tell(target),
        Keep::Repair { dry_run: false } => block_on(repair::repair(target)),
        Keep::Clean { keep, days, all, dry_run } => {
            let options = clean::Options { keep: *keep, days: *days, all: *all, dry_run: *dry_run };
            clean::run(target, options)
        }
        Keep::Pin { generation } => pins::pin(target, *generation),
        Keep::Unpin { generation } => pins::unpin(target, *generation),
        Keep::Grow { size, dry_run } => grow::run(target, *size, act(*dry_run)),
        Keep::Export(args) => {
            export::run(target, args)?;
            // Services that run from there may have waited for it.
            settle::always(target, async |_, _| Ok(()))
        }
    }
}
