//! Commands that show something and change nothing.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What shows something and changes nothing.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// Look for layers by name or summary
    #[command(after_help = "Examples:
  pkg search json
  pkg search ''          # everything")]
    Search {
        /// Part of a name or summary
        text: String,
    },
    /// Show what is known of a layer
    #[command(after_help = "Examples:
  pkg info jq
  pkg info site/docs")]
    Info {
        /// Name, or KIND/NAME
        name: String,
    },
    /// List what is installed
    #[command(after_help = "Examples:
  pkg list
  pkg --json list | jq -r '.[].name'")]
    List,
    /// List the paths that layers bring
    #[command(
        after_help = "Directories are not listed. A path may be hidden by another layer: `pkg which` says so.
Examples:
  pkg files jq
  pkg files site/docs
  pkg files 'lib*' 'model/*'      # patterns: * ? [a-z] {a,b}"
    )]
    Files {
        /// Names, KIND/NAME, or patterns of either
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Say which layer a path comes from
    #[command(
        after_help = "Symbolic links on the way are followed. A link itself is named with what it leads to, a path that
several layers have with those whose file is hidden, a directory with all layers that take part in
it. With --json one object for each path.
Examples:
  pkg which /usr/bin/jq
  pkg which /bin/sh /etc/hosts
  pkg which '/usr/lib/**/*.so*'   # patterns: * ? [a-z] {a,b}, ** over folders"
    )]
    Which {
        /// Absolute paths in the active namespace, or patterns
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Show what is different between two generations: layers, files, bytes
    Diff(DiffArgs),
    /// List the generations that were active
    #[command(after_help = "The active one has a star.
Examples:
  pkg history
  pkg --json history")]
    History,
    /// Show what was done and what was refused, the newest last
    #[command(
        after_help = "The history of generations, and with it what changed none: repositories, holds, settings,
clean-ups, and what was refused for a conflict, a signature or the machine. The same refusal again
within ten minutes is not written.
Examples:
  pkg log
  pkg log -n 5
  pkg --json log --refused | jq -r '.[].said'"
    )]
    Log {
        /// Only the last so many
        #[arg(short = 'n', long, value_name = "N")]
        last: Option<usize>,
        /// Only refusals
        #[arg(long)]
        refused: bool,
    },
    /// Show the store, its slots and repositories
    #[command(after_help = "Examples:
  pkg status
  pkg --json status")]
    Status,
    /// Write a file of the active namespace to stdout
    #[command(after_help = "Each byte is checked against its hash as it is read.
Example:
  pkg cat /www/docs/index.html")]
    Cat {
        /// Absolute path
        path: PathBuf,
    },
    /// List a directory of the active namespace
    #[command(after_help = "Examples:
  pkg ls /
  pkg ls -l /usr/bin")]
    Ls {
        /// Type, mode, owner, size and layer as well
        #[arg(short, long)]
        long: bool,
        /// Absolute path
        #[arg(default_value = "/")]
        path: PathBuf,
    },
    /// Show what takes how much of the store, shared and own
    #[command(
        after_help = "Own is what would become free if that layer or generation alone went, in whole units of 4 KiB.
Examples:
  pkg du
  pkg --json du"
    )]
    Du,
}

/// `pkg diff`
#[derive(Debug, Args)]
#[command(
    after_help = "Compares what is seen at each path; reads nothing but the store. Without numbers: from the
generation before the active one to that. With one: from it to the active one. In the list of
files, A is added, D removed, M another content, T another type, m only another mode, owner,
time or attribute.
Examples:
  pkg diff
  pkg diff 3                # what is different now
  pkg diff 3 5 --files
  pkg --json diff 3 5 --stat | jq .stat"
)]
pub struct DiffArgs {
    /// Number from `pkg history`
    pub from: Option<u64>,
    /// Number from `pkg history`; the active one by default
    pub to: Option<u64>,
    /// List every path that is different
    #[arg(long)]
    pub files: bool,
    /// Count for each layer
    #[arg(long)]
    pub stat: bool,
}
