//! `pkg config`: what the operator sets.

use clap::Subcommand;

/// `pkg config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// List all settings with their values
    #[command(after_help = "Examples:
  pkg config list
  pkg --json config list")]
    List,
    /// Print the value of a setting
    #[command(after_help = "Example:
  pkg config get clean.keep")]
    Get {
        /// Name from `pkg config list`
        name: String,
    },
    /// Set a setting
    #[command(after_help = "Examples:
  pkg config set clean.keep 2
  pkg config set ask no")]
    Set {
        /// Name from `pkg config list`
        name: String,
        /// Its value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Give a setting its usual value back
    #[command(after_help = "Example:
  pkg config unset clean.keep")]
    Unset {
        /// Name from `pkg config list`
        name: String,
    },
}
