//! The command line of `pkg services`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `pkg services`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pkg services list
  pkg services start --root /srv/system
  pkg services stop")]
pub struct Services {
    /// Where systemd looks for units
    #[arg(long, env = "PKG_UNITS", default_value = super::UNITS, value_name = "DIR", global = true)]
    pub units: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with services.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the services that the active generation's layers declare
    #[command(after_help = "Examples:
  pkg services list
  pkg --json services list")]
    List,
    /// Print the systemd units of services, or what another init needs to know
    #[command(after_help = "Examples:
  pkg services show --root /srv/system
  pkg services show web --root /srv/system")]
    Show {
        /// Names of layers or services; all without any
        names: Vec<String>,
        /// Where the generation is mounted, or the link that `pkg export` made
        #[arg(long, default_value = super::ROOT, value_name = "DIR")]
        root: PathBuf,
    },
    /// Start the services, and keep them as the active generation says from now on
    #[command(
        after_help = "Units are written below /run, so they are gone after a reboot; pkg-services.service starts them
again. After each install, upgrade, remove or rollback, services of layers that are gone are
stopped, new ones are started, and those whose layer changed are restarted; after `pkg export`
where they run from an exported tree. All others keep running.
A service runs as a user made for its layer. It may be a user of the machine where a line
`KIND/NAME USER` in /etc/plyos/service-users says so, and never root.
Examples:
  pkg mount /srv/system --background && pkg services start --root /srv/system
  pkg services start --root /srv/exported/current"
    )]
    Start {
        /// Where the generation is mounted, or the link that `pkg export` made
        #[arg(long, default_value = super::ROOT, value_name = "DIR")]
        root: PathBuf,
    },
    /// Stop the services, and leave them alone from now on
    #[command(after_help = "Example:
  pkg services stop")]
    Stop,
}
