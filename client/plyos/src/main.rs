//! `plyos`: what publishers and operators run.
//!
//! Each command is a module: it reads its arguments, calls the crates that do the work and prints the result. Failures
//! become one line on stderr and an exit code here.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod agreement;
mod base;
mod cache;
mod catalog_upload;
mod ceremony;
mod certify;
mod cli;
mod describe;
mod diff;
mod docker;
mod entry_rules;
mod export_static;
mod image;
mod inspect;
mod keyring;
mod keys;
mod login;
mod owner_map;
mod passphrase;
mod powers;
mod publish;
mod push;
mod push_options;
mod registry;
mod remote;
mod repo;
mod serve;
mod serve_options;
mod size_argument;
mod source;
mod upload;
mod workspace;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use passphrase::Source;
use plyos_report::{ExitCode, Failure, OrFail, Progress, Verbosity, manual};
use plyos_transfer::block_on;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    match run(&cli).and_then(|()| plyos_report::output::check()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => failure.report("plyos"),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let verbosity = Verbosity::of(cli.quiet, cli.verbose);
    let progress = Progress::new(verbosity, cli.json);
    let passphrases = Source::new(cli.passphrase_file.as_deref());
    match &cli.command {
        Command::Keys(command) => keys::run(command, &passphrases, &progress),
        Command::Keyring(command) => keyring::run(command, &passphrases, now()?, &progress),
        Command::Ceremony(command) => ceremony::run(command, &passphrases, now()?, &progress),
        Command::Certify(args) => block_on(certify::run(args, &passphrases, now()?, &progress)),
        Command::Repo(command) => repo::run(command, &passphrases, now()?, &progress),
        Command::Push(args) => block_on(push::run(args, &progress)),
        Command::Cache(command) => cache::run(command, &progress),
        Command::Publish(args) => block_on(publish::run(args, &passphrases, now()?, &progress)),
        Command::ExportStatic(args) => block_on(export_static::run(args, now()?, &progress)),
        Command::Serve(args) => block_on(serve::run(args, verbosity)),
        Command::Registry(args) => block_on(registry::run(args, &progress)),
        Command::Login(args) => block_on(login::login(args, &progress)),
        Command::Logout(args) => login::logout(args, &progress),
        Command::Image(command) => image::run(command, &progress),
        Command::Inspect(args) => block_on(inspect::run(args, &progress)),
        Command::Diff(args) => block_on(diff::run(args, &progress)),
        Command::Completions { shell } => manual::completions(Cli::command(), *shell),
        Command::Man { dir } => manual::pages(Cli::command(), dir, &progress),
    }
}

/// Seconds since 1970.
fn now() -> Result<u64, Failure> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .or_fail(ExitCode::Failure, "reading the clock, which is before 1970; set it")
}
