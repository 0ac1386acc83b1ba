//! `pkg repo`: whom this machine trusts.

use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// Whether a repository is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Enabled {
    /// It is updated, and what it offers is taken.
    Yes,
    /// It rests.
    No,
}

/// `pkg repo`
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Trust a repository
    #[command(after_help = "The root is the publisher's root.json, or its SHA-256, by a way you trust.
Examples:
  pkg repo add https://example.org/catalog/main --root ./root.json
  pkg repo add http://127.0.0.1:5000/catalog/main --root 3f0c…
  pkg repo add https://registry.lan/catalog/main --root ./root.json --ca ./lan-ca.pem")]
    Add {
        /// Address of the catalog
        url: String,
        /// The trusted root metadata: a file, or the SHA-256 of the repository's 1.root.json
        #[arg(long, value_name = "FILE|SHA256")]
        root: String,
        /// What to call it; the last part of the address by default
        #[arg(long)]
        name: Option<String>,
        /// Line to follow
        #[arg(long, default_value = "stable")]
        channel: String,
        /// Of a name that several repositories offer, only the greatest priority counts
        #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
        priority: i64,
        /// PEM file of the certificate authority of its servers, where no public one vouches for them; kept in the store
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// List the repositories
    #[command(after_help = "Name, state, priority, channel, address.
Examples:
  pkg repo list
  pkg --json repo list | jq -r '.[].url'")]
    List,
    /// Show a repository: its root, its catalog, what is installed from it
    #[command(after_help = "Example:
  pkg repo show main")]
    Show {
        /// Name from `pkg repo list`
        name: String,
    },
    /// Change channel, priority, or whether a repository is used
    #[command(
        after_help = "A repository that rests (--enabled no) is neither updated nor installed from; what came from it
works on.
Examples:
  pkg repo set main --priority 10
  pkg repo set main --enabled no
  pkg repo set main --channel beta && pkg update
  pkg repo set main --ca ./lan-ca.pem
  pkg repo set main --ca none       # public authorities only"
    )]
    Set {
        /// Name from `pkg repo list`
        name: String,
        /// Line to follow
        #[arg(long)]
        channel: Option<String>,
        /// Of a name that several repositories offer, only the greatest priority counts
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        priority: Option<i64>,
        /// Whether it is used
        #[arg(long, value_name = "yes|no", hide_possible_values = true)]
        enabled: Option<Enabled>,
        /// PEM file of the certificate authority of its servers, or none
        #[arg(long, value_name = "FILE|none")]
        ca: Option<PathBuf>,
    },
    /// Forget a repository and what it offers
    #[command(
        alias = "delete",
        after_help = "What is installed from it stays and works, and gets no new versions. Its root and keyring are kept
for as long as a generation in the store has a layer from it.
Examples:
  pkg repo remove main --dry-run
  pkg repo remove main"
    )]
    Remove {
        /// Name from `pkg repo list`
        name: String,
        /// Say what would happen and stop
        #[arg(long)]
        dry_run: bool,
    },
}
