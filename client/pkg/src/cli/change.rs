//! Commands that change the system.

use clap::{Args, Subcommand};

/// What changes the system, each as a new generation.
#[derive(Debug, Subcommand)]
pub enum Change {
    /// Fetch the newest signed catalogs
    #[command(after_help = "Examples:
  pkg update
  pkg --json update")]
    Update,
    /// Install layers with all they need, as a new generation
    #[command(
        after_help = "Only chunks that the store lacks are fetched. Nothing changes unless everything succeeds.
What is installed stays as it is unless it stands in the way; an older version comes back only
by name and version.
Examples:
  pkg install jq
  pkg install -y base/debian model/minilm site/docs
  pkg install jq=1.6-2
  pkg install 'jq>=1.6'"
    )]
    Install {
        /// Names, KIND/NAME, or NAME=VERSION (also < <= > >= !=)
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Remove layers, as a new generation
    #[command(
        alias = "delete",
        after_help = "Examples:
  pkg remove jq
  pkg rollback           # brings it back"
    )]
    Remove {
        /// Names or KIND/NAME
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Bring what is installed to the newest version
    #[command(after_help = "Examples:
  pkg upgrade
  pkg upgrade -y docs")]
    Upgrade {
        /// Only these
        names: Vec<String>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Make a former generation active again
    #[command(after_help = "Examples:
  pkg rollback           # the one before
  pkg rollback 3         # generation 3")]
    Rollback {
        /// Number from `pkg history`
        generation: Option<u64>,
    },
}

/// Whether to ask before acting.
#[derive(Debug, Clone, Copy, Args)]
pub struct Consent {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Try layers again that turned out bad
    #[arg(long)]
    pub force: bool,
}
