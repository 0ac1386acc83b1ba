//! `pkg repo`: whom this machine trusts.

use clap::Subcommand;

/// `pkg repo`
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Trust a repository
    #[command(after_help = "The root is the publisher's root.json, or its SHA-256, by a way you trust.
Examples:
  pkg repo add https://example.org/catalog/main --root ./root.json
  pkg repo add http://127.0.0.1:5000/catalog/main --root 3f0c…")]
    Add {
        /// Address of the catalog
        url: String,
        /// The trusted root metadata: a file, or the SHA-256 of the repository's 1.root.json
        #[arg(long, value_name = "FILE|SHA256")]
        root: String,
        /// What to call it; the last part of the address by default
        #[arg(long)]
        name: Option<String>,
    },
    /// List the repositories
    #[command(after_help = "Example:
  pkg repo list")]
    List,
}
