//! `pkg`: what runs on targets.
//!
//! Each command is a module. Failures become one line on stderr and an exit code here.

mod activate;
mod active;
mod admission;
mod candidate;
mod catalogs;
mod clean;
mod cli;
mod conflicts;
mod content;
mod diff;
mod du;
mod export;
mod grow;
mod history;
mod install;
mod inventory;
mod origin;
mod pins;
mod policy;
mod pull;
mod renewal;
mod repair;
mod repositories;
mod room;
mod services;
mod show;
mod target;
mod update;
mod verify;
mod view;

use clap::Parser;
use cli::{Change, Cli, Command, Keep, Look, RepoCommand};
use plyos_report::{Failure, Progress, Verbosity};
use plyos_transfer::block_on;
use target::Target;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.report("pkg"),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let verbosity = Verbosity::of(cli.quiet, cli.verbose);
    let target = Target::new(&cli.store, Progress::new(verbosity, cli.json));
    match &cli.command {
        Command::Change(command) => {
            change(&target, command)?;
            services::follow(&target, &services::usual_units())
        }
        Command::Services(args) => services::run(&target, args),
        Command::Look(command) => look(&target, command),
        Command::Repo(command) => repo(&target, command),
        Command::Keep(command) => keep(&target, command),
    }
}

fn change(target: &Target, command: &Change) -> Result<(), Failure> {
    match command {
        Change::Update => block_on(update::update(target)),
        Change::Install { names, consent } => block_on(install::install(target, names, *consent)),
        Change::Remove { names, consent } => install::remove(target, names, *consent),
        Change::Upgrade { names, consent } => block_on(install::upgrade(target, names, *consent)),
        Change::Rollback { generation } => history::rollback(target, *generation),
    }
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
        Look::Status => history::status(target),
        Look::Cat { path } => view::cat(target, path),
        Look::Ls { long, path } => view::ls(target, path, *long),
        Look::Du => du::run(target),
    }
}

fn repo(target: &Target, command: &RepoCommand) -> Result<(), Failure> {
    match command {
        RepoCommand::Add { url, root, name } => block_on(update::add(target, url, root, name.as_deref())),
        RepoCommand::List => update::list(target),
    }
}

fn keep(target: &Target, command: &Keep) -> Result<(), Failure> {
    match command {
        Keep::Init { size } => show::init(target, *size),
        Keep::Verify { layers, resume } => verify::verify(target, layers, resume.as_deref()),
        Keep::Repair => block_on(repair::repair(target)),
        Keep::Clean { keep, days, all, dry_run } => {
            let options = clean::Options { keep: *keep, days: *days, all: *all, dry_run: *dry_run };
            clean::run(target, options)
        }
        Keep::Pin { generation } => pins::pin(target, *generation),
        Keep::Unpin { generation } => pins::unpin(target, *generation),
        Keep::Grow { size } => grow::run(target, *size),
        Keep::Export { dir } => export::run(target, dir),
    }
}
