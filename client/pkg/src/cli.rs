//! The command line of `pkg`.
//!
//! A file for each group of commands: [`change`], [`look`], [`repo`], [`keep`], [`config`],
//! [`manual`]. A group is an enum with a variant for each
//! command; a new group is one more flattened variant of [`Command`] and one more line in `main`.

mod change;
mod config;
mod keep;
mod look;
mod manual;
mod repo;
mod size;

pub use change::{Change, Consent};
pub use config::ConfigCommand;
pub use keep::Keep;
pub use look::{DiffArgs, Look};
pub use manual::Manual;
pub use repo::{Enabled, RepoCommand};
pub use size::parse_rate;

use crate::services::cli::Services;
use clap::{Parser, Subcommand};
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Above the options that every command has, so that its own stand by themselves.
const EVERYWHERE: &str = "Options of every command";

/// Install, upgrade and roll back whole layers: packages, models, sites, base images.
#[derive(Debug, Parser)]
#[command(
    name = "pkg",
    version,
    after_help = "Examples:
  pkg repo add https://example.org/catalog/main --root root.json
  pkg update
  pkg install jq
  pkg ls /usr/bin
  pkg rollback

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 signature or hash,
6 architecture, 7 store, 8 network."
)]
pub struct Cli {
    /// The store: a file or block device
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "PKG_STORE",
        default_value = "/var/lib/plyos/store",
        value_name = "FILE"
    )]
    pub store: PathBuf,
    /// Facts as JSON on stdout
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// Say nothing but results and failures
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = EVERYWHERE, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Open no socket: work with what the store has
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub offline: bool,
    /// Most bytes of layers to fetch in a second, as 500K or 2MiB; instead of the setting download.limit
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "RATE", value_parser = parse_rate)]
    pub download_limit: Option<NonZeroU64>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `pkg` does, by group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Changes the system.
    #[command(flatten)]
    Change(Change),
    /// Shows something.
    #[command(flatten)]
    Look(Look),
    /// Repositories that this machine trusts
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Looks after the store.
    #[command(flatten)]
    Keep(Keep),
    /// Show the active namespace as a file system, which follows every change
    Mount(crate::mount::MountArgs),
    /// Take a mount off
    Umount(crate::mount::UmountArgs),
    /// Check whether changes do the system good, and go back when not
    #[command(subcommand)]
    Health(crate::health::HealthCommand),
    /// Run a command of a health check, which ends with whoever asked. For `pkg` itself
    #[command(hide = true)]
    Watch(crate::health::Watch),
    /// Run what layers declare as services of systemd
    Services(Services),
    /// Settings of this machine
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Completions and man pages.
    #[command(flatten)]
    Manual(Manual),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn notes_and_examples_fit_a_hundred_columns() {
        use clap::CommandFactory;
        // Long lines are broken at the terminal's edge, in the middle of what they say.
        fn look(command: &clap::Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{}:\n{text}", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }
}
