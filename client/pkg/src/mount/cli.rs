//! The command lines of `pkg mount` and `pkg umount`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `pkg mount`
#[derive(Debug, Args)]
#[command(
    after_help = "Read-only. A new generation is seen by the next path that is opened; what is open stays open on the
old one, and keeps it from `pkg clean`. Every byte is checked as it is read: what is damaged cannot
be read, and a line on stderr names it. Set-user-id bits and devices are shown and not honoured.
Do not mount anything inside: a switch would detach it.
Examples:
  pkg mount /srv/system                # stays in the foreground; Ctrl-C or `pkg umount` ends it
  pkg mount --background /srv/system   # returns when the mount is there
  systemctl enable --now pkg-mount@srv-system.service"
)]
pub struct MountArgs {
    /// Empty folder to mount on
    pub dir: PathBuf,
    /// Let other users in; root may, others need user_allow_other in /etc/fuse.conf
    #[arg(long)]
    pub allow_other: bool,
    /// Return as soon as the mount is there
    #[arg(long, conflicts_with = "foreground")]
    pub background: bool,
    /// Stay until it is unmounted; this is what happens anyway
    #[arg(long)]
    pub foreground: bool,
    /// Where a mount in the background writes what it has to say; nowhere by default
    #[arg(long, value_name = "FILE", requires = "background")]
    pub log: Option<PathBuf>,
    /// Memory for content that was read and checked, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    pub cache: u64,
    /// Which of the processes of a mount this is
    #[arg(long, value_enum, default_value_t = Role::Supervisor, hide = true)]
    pub role: Role,
}

/// The processes of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Starts the server and mounts again when it dies.
    Supervisor,
    /// The same, in the background.
    Detached,
    /// Answers the kernel.
    Server,
}

impl Role {
    /// As the command line has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Detached => "detached",
            Self::Server => "server",
        }
    }
}

/// `pkg umount`
#[derive(Debug, Args)]
#[command(after_help = "Refused while something in it is open, or is somebody's working directory.
Examples:
  pkg umount /srv/system
  pkg umount --lazy /srv/system   # gone from the tree at once, for those inside when they leave")]
pub struct UmountArgs {
    /// Where it is mounted
    pub dir: PathBuf,
    /// Take it out of the tree though it is in use
    #[arg(short, long)]
    pub lazy: bool,
}
