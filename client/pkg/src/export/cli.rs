//! The command line of `pkg export`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What to export, and how.
#[derive(Debug, Args)]
#[command(
    after_help = "DIR/current is a symbolic link that always names a complete tree, DIR/gen-N. Files that an
earlier tree in DIR has too need not be written again:
  clone  they share their blocks until one of both is written to (btrfs, xfs); elsewhere they
         are written
  link   they are further names of the same files: no room and no time, but whoever writes to
         such a file changes it in all trees. For trees that nobody writes to
  none   every file is written
A file that was touched since it was exported is compared with the store before it is shared,
and is written anew if it differs. --verify compares all of them, and mends the tree if it is
there already.
Examples:
  pkg export /srv/system && ls /srv/system/current
  pkg export /srv/system --share link --keep 3
  pkg export /srv/system --verify"
)]
pub struct ExportArgs {
    /// Folder to hold the trees
    pub dir: PathBuf,
    /// What becomes of files that an earlier tree has too
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Share::Clone)]
    pub share: Share,
    /// Trees to keep: the one that is shown, and the others with the highest numbers. All without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Compare every file that would be shared with the store, byte by byte
    #[arg(long)]
    pub verify: bool,
}

/// What becomes of files that an earlier tree has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Share {
    /// They share their blocks, where the file system can.
    Clone,
    /// They are further names of the same files.
    Link,
    /// They are written.
    None,
}
