//! The command line of `pkg health`.

use super::address;
use crate::trial::Policy;
use clap::{Args, Subcommand};
use plyos_namespace::generation::{Health, HealthKind};

/// `pkg health`
#[derive(Debug, Subcommand)]
pub enum HealthCommand {
    /// Check every change from now on, and go back when it does no good
    #[command(
        after_help = "The check is asked again and again until it has passed for as long as --for says, or its time is
over; one look may take all the time that is left. It must pass now already (--force does not ask).
A command runs as whoever runs `pkg health run`, with PKG_GENERATION set to the generation on trial,
and only where this machine allows that very line: `health set` writes it to
/etc/plyos/health-commands (for others than root: plyos/health-commands in $XDG_CONFIG_HOME),
PKG_HEALTH_COMMANDS names another file.
Examples:
  pkg health set --http http://127.0.0.1/status
  pkg health set --tcp 127.0.0.1:5432 --timeout 20
  pkg health set --command 'systemctl is-active --quiet nginx' --for 10
  pkg health set --command /usr/local/bin/smoke-test --timeout 300 --for 0"
    )]
    Set(SetArgs),
    /// Show the policy
    #[command(after_help = "Example:
  pkg health show")]
    Show,
    /// Take changes as good at once again
    #[command(after_help = "Example:
  pkg health clear")]
    Clear,
    /// Run the check of the generation on trial, and promote it or go back
    #[command(
        after_help = "Ends with 0 when it was promoted or nothing was on trial, with 7 when the one before is back.
Examples:
  pkg health run
  systemctl enable --now pkg-health.timer   # finishes what a crash left open"
    )]
    Run,
}

/// What [`super::command`] starts.
#[derive(Debug, Args)]
pub struct Watch {
    /// A shell line
    pub line: String,
}

/// `pkg health set`
#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    check: Check,
    /// Seconds within which the check must begin to pass
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: u32,
    /// Seconds for which it must go on passing; 0: once is enough
    #[arg(long = "for", value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    hold: u32,
    /// How often a run that broke off (a crash, a power cut) is begun anew before the former generation is back
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    tries: u8,
    /// Do not ask it now: it may fail as things are
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Check {
    /// A shell command that ends with status 0
    #[arg(long, value_name = "COMMAND", value_parser = address::command)]
    command: Option<String>,
    /// An address that answers with a status of success
    #[arg(long, value_name = "URL", value_parser = address::http)]
    http: Option<String>,
    /// An address that accepts a connection
    #[arg(long, value_name = "HOST:PORT", value_parser = address::tcp)]
    tcp: Option<String>,
}

impl SetArgs {
    /// What is asked for.
    pub fn policy(&self) -> Policy {
        let Check { command, http, tcp } = &self.check;
        let (kind, spec) = match (command, http, tcp) {
            (Some(command), ..) => (HealthKind::Command, command.as_str()),
            (_, Some(url), _) => (HealthKind::Http, url.as_str()),
            (.., address) => (HealthKind::Tcp, address.as_deref().unwrap_or_default()),
        };
        let health = Health { kind, spec: spec.to_owned(), timeout: self.timeout, hold: self.hold };
        Policy { health, tries: self.tries }
    }
}
