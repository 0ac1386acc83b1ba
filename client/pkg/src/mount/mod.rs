//! `pkg mount` and `pkg umount`: a generation as a file system of the host, through FUSE.
//!
//! Two processes: the [`supervisor`] checks the folder, starts the server, and mounts again when that dies; the [`server`]
//! answers the kernel. The server holds each generation that is in use as a [`mounted::Mounted`], with its lease, and
//! the newest of them in [`current`], which looks at the store's superblock whenever a name in the root is looked up: so a flip is seen by the very
//! next path that is opened, with no message between `pkg` and the mount.
//!
//! | module | idea |
//! | --- | --- |
//! | [`filesystem`] | the kernel's questions and their answers |
//! | [`seen`] | whether the superblock is still the one that was seen |
//! | [`nodes`] | what the kernel knows, by number: a file is (layer, inode), a directory (generation, path) |
//! | [`attributes`] | an entry as the kernel wants it |
//! | [`listing`] | an opened directory, which stays with its generation |
//! | [`reading`] | content, and what happens when it is damaged |
//! | [`caches`] | chunks and index pages in memory, bounded |
//! | [`keeper`] | why a switch does not empty the page cache |
//! | [`place`] | the folder: what may be mounted on, and unmounting |
//! | [`readiness`] | how server, supervisor and systemd tell each other that it works |
//! | [`log`] | lines on stderr, not too many |

mod attributes;
mod caches;
mod cli;
mod current;
mod filesystem;
mod keeper;
mod listing;
mod log;
mod mounted;
mod nodes;
mod place;
mod readiness;
mod reading;
mod seen;
mod server;
mod supervisor;

pub use cli::{MountArgs, UmountArgs};

use crate::target::Target;
use cli::Role;
use plyos_report::Failure;

/// `pkg mount`
pub fn mount(target: &Target, args: &MountArgs) -> Result<(), Failure> {
    match args.role {
        Role::Server => server::run(target, args),
        Role::Supervisor => supervisor::run(target, args),
        Role::Detached => supervisor::run_detached(target, args),
    }
}

/// `pkg umount`
pub fn umount(target: &Target, args: &UmountArgs) -> Result<(), Failure> {
    place::umount(target, args)
}
