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
  pkg install 'jq>=1.6'
  pkg install ./jq.oci.tar --allow-unsigned    # an OCI layout: a tar or a folder"
    )]
    Install {
        /// Names, KIND/NAME, NAME=VERSION (also < <= > >= !=), or paths of OCI layouts (./x.oci.tar)
        #[arg(required = true)]
        names: Vec<String>,
        /// Take local layers that are in no catalog, on your own word
        #[arg(long)]
        allow_unsigned: bool,
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
    /// Remove what came with others and nothing needs any more
    #[command(
        after_help = "What was asked for by name stays, and what is held. `pkg list` says which is which.
Examples:
  pkg autoremove --dry-run
  pkg autoremove -y"
    )]
    Autoremove {
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
    /// Keep layers in the version that they have
    #[command(
        after_help = "No plan changes or removes a layer that is held; `pkg upgrade` says what that keeps back.
Examples:
  pkg hold jq
  pkg hold base/debian kernel/plyos"
    )]
    Hold {
        /// Names or KIND/NAME of installed layers
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Let plans change layers again that were held
    #[command(after_help = "Example:
  pkg unhold jq && pkg upgrade jq")]
    Unhold {
        /// Names or KIND/NAME
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Make a former generation active again
    #[command(
        after_help = "Everything of it is checked first. Nothing is fetched. It goes to what was good once.
Examples:
  pkg rollback           # the one before
  pkg rollback 3         # generation 3
  pkg rollback --dry-run # says which it would be; `pkg diff` shows what is different"
    )]
    Rollback {
        /// Number from `pkg history`
        generation: Option<u64>,
        /// Take one that was never found good, or whose layers turned out bad
        #[arg(long)]
        force: bool,
        /// Check it, say which it is, and stop
        #[arg(long)]
        dry_run: bool,
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
    /// With a health policy: leave the new generation on trial, for `pkg health run`
    #[arg(long)]
    pub no_wait: bool,
}

impl Change {
    /// Whether a trial that this begins is decided before the command returns. A rollback begins none.
    pub fn waits(&self) -> bool {
        match self {
            Self::Install { consent, .. }
            | Self::Remove { consent, .. }
            | Self::Autoremove { consent }
            | Self::Upgrade { consent, .. } => consent.waits(),
            Self::Update | Self::Hold { .. } | Self::Unhold { .. } | Self::Rollback { .. } => false,
        }
    }
}

impl Consent {
    /// Whether a trial is decided before the command returns.
    pub const fn waits(self) -> bool {
        !self.no_wait && !self.dry_run
    }
}
