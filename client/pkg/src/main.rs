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
mod health;
mod history;
mod install;
mod inventory;
mod mount;
mod origin;
mod pins;
mod policy;
mod pull;
mod renewal;
mod repair;
mod repositories;
mod room;
mod show;
mod target;
mod trial;
mod update;
mod verify;
mod view;

use clap::Parser;
use cli::{Cli, Command, RepoCommand};
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
        Command::Init { size } => show::init(&target, *size),
        Command::Repo(RepoCommand::Add { url, root, name }) => {
            block_on(update::add(&target, url, root, name.as_deref()))
        }
        Command::Repo(RepoCommand::List) => update::list(&target),
        Command::Update => block_on(update::update(&target)),
        Command::Search { text } => show::search(&target, text),
        Command::Info { name } => show::info(&target, name),
        Command::Install { names, consent } => block_on(install::install(&target, names, *consent)),
        Command::Remove { names, consent } => block_on(install::remove(&target, names, *consent)),
        Command::Upgrade { names, consent } => block_on(install::upgrade(&target, names, *consent)),
        Command::List => show::list(&target),
        Command::Files { names } => origin::files(&target, names),
        Command::Which { paths } => origin::which(&target, paths),
        Command::Diff(args) => diff::run(&target, args),
        Command::History => history::history(&target),
        Command::Rollback { generation } => history::rollback(&target, *generation),
        Command::Status => history::status(&target),
        Command::Cat { path } => view::cat(&target, path),
        Command::Ls { long, path } => view::ls(&target, path, *long),
        Command::Verify { layers, resume } => verify::verify(&target, layers, resume.as_deref()),
        Command::Repair => block_on(repair::repair(&target)),
        Command::Clean { keep, days, all, dry_run } => {
            let options = clean::Options { keep: *keep, days: *days, all: *all, dry_run: *dry_run };
            clean::run(&target, options)
        }
        Command::Pin { generation } => pins::pin(&target, *generation),
        Command::Unpin { generation } => pins::unpin(&target, *generation),
        Command::Du => du::run(&target),
        Command::Grow { size } => grow::run(&target, *size),
        Command::Export { dir } => export::run(&target, dir),
        Command::Mount(args) => mount::mount(&target, args),
        Command::Umount(args) => mount::umount(&target, args),
        Command::Health(command) => health::health(&target, command),
    }
}
