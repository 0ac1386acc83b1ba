//! Commands that look after the store.

use super::size::parse_size;
use crate::export::cli::ExportArgs;
use clap::Subcommand;
use std::path::PathBuf;

/// Care of the store: size, room, damage.
#[derive(Debug, Subcommand)]
pub enum Keep {
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
Examples:
  pkg repair --dry-run
  pkg repair && pkg verify"
    )]
    Repair {
        /// Look at everything, say what would be done, and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the store larger in place
    #[command(after_help = "Examples:
  pkg grow 16G --dry-run
  pkg grow 16G
  pkg --store /dev/vdb grow   # all of a device that became larger")]
    Grow {
        /// New size of a store file, as 512M or 16G
        #[arg(value_parser = parse_size)]
        size: Option<u64>,
        /// Say what it would be and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the active namespace to a folder and point DIR/current at it, atomically
    Export(ExportArgs),
}
