//! Completions and man pages, made from the command line's own definition.

use clap::Subcommand;
use plyos_report::manual::Shell;
use std::path::PathBuf;

/// What a distribution packs beside the program.
#[derive(Debug, Subcommand)]
pub enum Manual {
    /// Print completions for a shell
    #[command(after_help = "Examples:
  pkg completions bash > /etc/bash_completion.d/pkg
  pkg completions zsh > /usr/local/share/zsh/site-functions/_pkg
  pkg completions fish > ~/.config/fish/completions/pkg.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a man page for each command
    #[command(after_help = "Example:
  pkg man /usr/local/share/man/man1 && man pkg-install")]
    Man {
        /// Folder for the pages; made when it is missing
        dir: PathBuf,
    },
}
