//! The process that answers the kernel.

use super::caches::Caches;
use super::cli::MountArgs;
use super::current::Current;
use super::filesystem::Tree;
use super::keeper::{self, Keeper};
use super::listing::Listings;
use super::log::Log;
use super::mounted::Mounted;
use super::nodes::{KEEP, Nodes, ROOT};
use super::place::{self, Manner};
use super::readiness;
use crate::target::Target;
use fuser::{Config, INodeNo, MountOption, Notifier, Session, SessionACL};
use nix::sys::stat::{major, minor};
use plyos_report::{ExitCode, Failure, OrFail};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often the store is looked at when nobody looks up a name.
const LOOK: Duration = Duration::from_millis(100);
/// How long until a refused switch is tried again, and what is left of replaced generations is looked for.
const RETRY: Duration = Duration::from_secs(2);
/// Threads that answer, at least: one may wait for a switch, or for a disk.
const LEAST_THREADS: usize = 4;
/// And at most.
const MOST_THREADS: usize = 16;
/// How far ahead the kernel is asked to read, where that may be set: few large requests instead of many small ones.
const READ_AHEAD_KIB: u32 = 1024;

/// Serves until it is unmounted; says on stdout when it works, or why not.
pub fn run(target: &Target, args: &MountArgs) -> Result<(), Failure> {
    match start(target, args) {
        Ok(session) => {
            readiness::tell(Ok(()));
            session.run().or_fail(ExitCode::Failure, "answering the kernel")
        }
        Err(failure) => {
            readiness::tell(Err(&failure));
            Err(failure)
        }
    }
}

fn start(target: &Target, args: &MountArgs) -> Result<Session<Tree>, Failure> {
    let log = Arc::new(Log::default());
    let caches = Arc::new(Caches::new(args.cache << 20));
    let nodes = Arc::new(Nodes::default());
    let (replaced, switches) = channel();
    let own = Target::new(target.path(), target.progress.clone());
    let current = Arc::new(Current::open(own, Arc::clone(&caches), Arc::clone(&log), replaced)?);
    let (keeper, to_keep) = Keeper::new();
    let keep = OsString::from(format!(".plyos-{:016x}", RandomState::new().hash_one(ROOT)));
    let folder = args.dir.join(&keep);
    let tree = Tree {
        current: Arc::clone(&current),
        nodes: Arc::clone(&nodes),
        caches,
        log,
        keeper,
        keep,
        owner: (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
        listings: Listings::default(),
    };
    let session = Session::new(tree, &args.dir, &options(target, args)).map_err(|error| {
        Failure::new(ExitCode::Failure, format!("mounting on {}: {error}", args.dir.display()))
    })?;
    let notifier = session.notifier();
    current.notify_by(notifier.clone());
    begin("switches", move || settle(&current, &nodes, &notifier, &switches))?;
    begin("keeper", move || keeper::run(&folder, &to_keep))?;
    let dir = args.dir.clone();
    begin("supervisor", move || outlive(&dir))?;
    let dir = args.dir.clone();
    begin("read-ahead", move || read_ahead(&dir))?;
    Ok(session)
}

fn options(target: &Target, args: &MountArgs) -> Config {
    let threads = thread::available_parallelism().map_or(LEAST_THREADS, usize::from);
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoAtime,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::DefaultPermissions,
        MountOption::FSName(format!("{}{}", place::SOURCE, target.path().display())),
    ];
    config.acl = if args.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(threads.clamp(LEAST_THREADS, MOST_THREADS));
    config
}

fn begin(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(|_| ()).or_fail(ExitCode::Failure, "starting a thread")
}

/// Looks at the store when nobody else does, and lets go of generations that were replaced: takes their names from the
/// kernel, so that what nobody has open is forgotten, and with the last of it the lease.
fn settle(current: &Current, nodes: &Nodes, notifier: &Notifier, switches: &Receiver<Arc<Mounted>>) {
    let mut looked = Instant::now();
    let mut replaced: Vec<Weak<Mounted>> = Vec::new();
    loop {
        match switches.recv_timeout(LOOK) {
            Ok(before) => {
                replaced.push(Arc::downgrade(&before));
                for number in nodes.rebind(&current.present()) {
                    forget(notifier, KEEP, OsStr::new(&number.to_string()));
                }
                let names = before.namespace.children(&before.root).into_iter().flatten();
                for found in names.flatten() {
                    forget(notifier, ROOT, OsStr::from_bytes(found.entry.name()));
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                current.newest();
                if looked.elapsed() < RETRY {
                    continue;
                }
                looked = Instant::now();
                current.retry();
                replaced.retain(|mounted| mounted.strong_count() > 0);
                if !replaced.is_empty() {
                    // What was open at the switch and is closed now left its names behind.
                    for (parent, name) in nodes.left_of(&current.present().id) {
                        forget(notifier, parent, OsStr::from_bytes(&name));
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Takes a name from the kernel. One that it does not take away now it drops when memory is short.
fn forget(notifier: &Notifier, parent: u64, name: &OsStr) {
    let _ = notifier.inval_entry(INodeNo(parent), name);
}

/// Waits for the end of the supervisor, whose pipe is stdin, and unmounts when nobody else did: a server without supervisor
/// would not be there again after its own end. Those who are inside keep it until they leave.
fn outlive(dir: &Path) {
    let mut rest = [0; 64];
    let mut from = std::io::stdin().lock();
    while matches!(from.read(&mut rest), Ok(1..)) {}
    // Unmounted already, as a rule.
    let _ = place::unmount(dir, Manner::Lazy);
}

/// Lets the kernel read further ahead than it does by itself. Root only; without it everything works, more slowly.
fn read_ahead(dir: &Path) {
    // By a thread, because the look goes through the mount.
    let Ok(about) = std::fs::metadata(dir) else { return };
    let knob = format!("/sys/class/bdi/{}:{}/read_ahead_kb", major(about.dev()), minor(about.dev()));
    let _ = std::fs::write(knob, READ_AHEAD_KIB.to_string());
}
