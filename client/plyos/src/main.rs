//! `plyos`: what publishers and operators run.
//!
//! Each command is a module: it reads its arguments, calls the crates that do the work and prints the result. Failures
//! become one line on stderr and an exit code here.

mod cli;
mod inspect;
mod keys;
mod publish;
mod push;
mod remote;
mod repo;
mod serve;

use clap::Parser;
use cli::{Cli, Command, KeysCommand, RepoCommand};
use plyos_report::{ExitCode, Failure, OrFail, Progress, Verbosity};
use plyos_transfer::block_on;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.report("plyos"),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let verbosity = Verbosity::of(cli.quiet, cli.verbose);
    let progress = Progress::new(verbosity, cli.json);
    match &cli.command {
        Command::Keys(KeysCommand::New { name, dir, role }) => keys::new(name, dir, *role, &progress),
        Command::Repo(RepoCommand::Init { dir, catalog }) => repo::init(dir, catalog, now()?, &progress),
        Command::Push(args) => block_on(push::run(args, &progress)),
        Command::Publish(args) => block_on(publish::run(args, now()?, &progress)),
        Command::Serve(args) => block_on(serve::run(args, verbosity)),
        Command::Inspect(args) => block_on(inspect::run(args, &progress)),
    }
}

/// Seconds since 1970.
fn now() -> Result<u64, Failure> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .or_fail(ExitCode::Failure, "reading the clock, which is before 1970; set it")
}
