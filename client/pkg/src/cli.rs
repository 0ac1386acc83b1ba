//! The command line of `pkg`.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

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

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 signature or hash, 6 architecture, 7 store, 8 network."
)]
pub struct Cli {
    /// The store: a file or block device
    #[arg(
        long,
        global = true,
        env = "PKG_STORE",
        default_value = "/var/lib/plyos/store",
        value_name = "FILE"
    )]
    pub store: PathBuf,
    /// Facts as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results and failures
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `pkg` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new, empty store
    #[command(
        after_help = "`pkg repo add` makes the store itself when it is missing; `init` is for choosing its size.
Examples:
  pkg --store ./store init --size 4G
  pkg --store /dev/vdb init"
    )]
    Init {
        /// Size of a store file, as 512M or 8G; a device is used whole. The file grows on the disk only as it fills
        #[arg(long, value_parser = parse_size)]
        size: Option<u64>,
    },
    /// Repositories that this machine trusts
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Fetch the newest signed catalogs
    #[command(after_help = "Examples:
  pkg update
  pkg --json update")]
    Update,
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
        after_help = "Symbolic links on the way are followed. A link itself is named with what it leads to, a path that several
layers have with those whose file is hidden, a directory with all layers that take part in it. With --json one
object for each path.
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
    /// Make a former generation active again
    #[command(after_help = "Examples:
  pkg rollback           # the one before
  pkg rollback 3         # generation 3")]
    Rollback {
        /// Number from `pkg history`
        generation: Option<u64>,
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
    /// Read and hash again everything in the store, and name what is damaged
    #[command(after_help = "Ends with 0 when all is whole and with 5 when something is damaged.
Examples:
  pkg verify
  pkg verify jq site/docs          # these layers only
  pkg verify --resume verify.pos   # goes on where it was stopped")]
    Verify {
        /// Names, KIND/NAME or layer identities; everything without any
        layers: Vec<String>,
        /// A file that keeps the position, so that a run that was stopped can go on
        #[arg(long, value_name = "FILE")]
        resume: Option<PathBuf>,
    },
    /// Fetch again what is damaged in the store, and nothing else
    #[command(
        after_help = "Looks at everything first, as `pkg verify` does. Without a network nothing changes.
Example:
  pkg repair && pkg verify"
    )]
    Repair,
    /// Remove old generations and what only they needed
    #[command(
        after_help = "What stays: slots, pinned generations, those that a program has mounted, the last 5, and those of
the last 30 days; downloads that broke off stay for 7 days. --keep and --days replace these numbers.
Examples:
  pkg clean --dry-run
  pkg clean --keep 2
  pkg clean --all        # slots, pins and mounts only"
    )]
    Clean {
        /// Generations to keep, those that were used last
        #[arg(long, value_name = "N")]
        keep: Option<u32>,
        /// Keep what was used within so many days
        #[arg(long, value_name = "D")]
        days: Option<u32>,
        /// Keep nothing that is not needed, downloads that broke off neither
        #[arg(long, conflicts_with_all = ["keep", "days"])]
        all: bool,
        /// Show what would go and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a generation from every clean-up
    #[command(after_help = "Examples:
  pkg pin                # the active one
  pkg pin 3")]
    Pin {
        /// Number from `pkg history`
        generation: Option<u64>,
    },
    /// Let clean-ups take a pinned generation again
    #[command(after_help = "Example:
  pkg unpin 3")]
    Unpin {
        /// Number from `pkg history`
        generation: u64,
    },
    /// Show what takes how much of the store, shared and own
    #[command(
        after_help = "Own is what would become free if that layer or generation alone went, in whole units of 4 KiB.
Examples:
  pkg du
  pkg --json du"
    )]
    Du,
    /// Make the store larger in place
    #[command(after_help = "Examples:
  pkg grow 16G
  pkg --store /dev/vdb grow   # all of a device that became larger")]
    Grow {
        /// New size of a store file, as 512M or 16G
        #[arg(value_parser = parse_size)]
        size: Option<u64>,
    },
    /// Write the active namespace to a folder and point DIR/current at it, atomically
    #[command(after_help = "DIR/current is a symbolic link that always names a complete tree.
Example:
  pkg export /srv/system && ls /srv/system/current")]
    Export {
        /// Folder to hold the trees
        dir: PathBuf,
    },
    /// Show the active namespace as a file system, which follows every change
    Mount(crate::mount::MountArgs),
    /// Take a mount off
    Umount(crate::mount::UmountArgs),
    /// Check whether changes do the system good, and go back when not
    #[command(subcommand)]
    Health(crate::health::HealthCommand),
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

impl Consent {
    /// Whether a trial is decided before the command returns.
    pub const fn waits(self) -> bool {
        !self.no_wait && !self.dry_run
    }
}

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

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B').to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("'{text}' is no size; write 512M or 8G")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no size; write 512M or 8G"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("8G"), Ok(8 << 30));
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        for bad in ["", "G", "1X", "-1", "99999999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
