//! The folder in which an image is made: beside it, so that it can be moved into place, and gone however the program ends.
//!
//! A failure removes it ([`Workshop`] is dropped), and so do SIGINT, SIGTERM and SIGHUP, which end a running `pkg` first. What SIGKILL or a
//! power cut leaves is removed by the next run in the same place: a folder has its owner's lock for as long as that lives.

use plyos_report::{ExitCode, Failure, OrFail};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How the names of such folders begin. Under this name a folder has had its lock from the start.
const PREFIX: &str = ".plyos-image-";
/// The same before it has its lock.
const UNLOCKED: &str = ".plyos-new-image-";
/// What has no lock for so long, and nothing in it, is nobody's.
const GIVEN_UP: Duration = Duration::from_secs(3600);
/// Tries to remove a folder in which this program may be about to make another file.
const REMOVALS: usize = 10;

/// A folder of this run; gone when this is dropped.
pub struct Workshop {
    path: PathBuf,
    /// The process that works in it. Who has this lock decides whether there may be another.
    helper: Arc<Mutex<Option<Child>>>,
    _lock: File,
}

impl Workshop {
    /// A folder in `parent`, where those are removed that nobody works in any more.
    pub fn new(parent: &Path) -> Result<Self, Failure> {
        let doing = format!("making a folder in {}", parent.display());
        sweep(parent);
        let made = tempfile::Builder::new().prefix(UNLOCKED).tempdir_in(parent);
        let made = made.or_fail(ExitCode::Failure, &doing)?;
        let lock = File::open(made.path()).or_fail(ExitCode::Failure, &doing)?;
        // Where there are no locks nobody gets one, and nothing is swept.
        let _ = lock.try_lock();
        let name = made.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let path = parent.join(name.replacen(UNLOCKED, PREFIX, 1));
        fs::rename(made.path(), &path).or_fail(ExitCode::Failure, &doing)?;
        // It has another name, under which this removes it.
        let _ = made.keep();
        let workshop = Self { path, helper: Arc::default(), _lock: lock };
        workshop.end_with_signals()?;
        Ok(workshop)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a program to its end; gives how it ended and what it wrote to stderr.
    pub fn run(&self, command: &mut Command) -> std::io::Result<(ExitStatus, Vec<u8>)> {
        let mut helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let errors = child.stderr.take();
        *helper = Some(child);
        // So that a signal finds it.
        drop(helper);
        let mut said = Vec::new();
        let read = errors.map_or(Ok(0), |mut errors| errors.read_to_end(&mut said));
        let mut helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = helper.take().map(|mut child| child.wait());
        read?;
        ended.unwrap_or_else(|| Err(std::io::Error::other("it was ended"))).map(|ended| (ended, said))
    }

    /// Does something that signals wait for.
    pub fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> T {
        let _helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// From now on SIGINT, SIGTERM and SIGHUP remove the folder and end this program, with the status by which shells tell them.
    fn end_with_signals(&self) -> Result<(), Failure> {
        let doing = "listening to signals";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.or_fail(ExitCode::Failure, doing)?;
        let entered = runtime.enter();
        let listen = |kind| signal(kind).or_fail(ExitCode::Failure, doing);
        let (mut interrupt, mut terminate, mut hangup) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        );
        drop(entered);
        let (path, helper) = (self.path.clone(), Arc::clone(&self.helper));
        std::thread::spawn(move || {
            let number = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                    _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                    _ = hangup.recv() => SignalKind::hangup().as_raw_value(),
                }
            });
            // Kept to the end: nothing is started any more.
            let mut helper = helper.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(child) = helper.as_mut() {
                // It works on a store that goes with the folder.
                let _ = child.kill().and_then(|()| child.wait());
            }
            remove(&path);
            std::process::exit(128 + number)
        });
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// What cannot be removed is the next run's.
fn remove(path: &Path) {
    let _ = (0..REMOVALS).find(|_| fs::remove_dir_all(path).is_ok() || !path.exists());
}

/// Removes the folders of runs that have ended.
fn sweep(parent: &Path) {
    // Who cannot read the folder leaves it as it is.
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let begins = |prefix| entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        if begins(UNLOCKED) && entry.metadata().is_ok_and(|facts| is_given_up(&facts)) {
            // Only an empty folder goes by this.
            let _ = fs::remove_dir(entry.path());
        }
        if begins(PREFIX) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if let Ok(lock) = File::open(&path)
                && lock.try_lock().is_ok()
            {
                remove(&path);
            }
        }
    }
}

fn is_given_up(facts: &Metadata) -> bool {
    facts.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > GIVEN_UP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_run_left_behind_goes_and_what_somebody_works_in_stays() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("store"), name).unwrap();
            path
        };
        let (_left, busy) = (folder(".plyos-image-left"), folder(".plyos-image-busy"));
        let unlocked = |name: &str, age| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        };
        unlocked(".plyos-new-image-of-yesterday", GIVEN_UP * 24);
        unlocked(".plyos-new-image-of-now", Duration::ZERO);
        folder("plyos-image-of-somebody");
        fs::write(parent.path().join(".plyos-image-file"), "no folder").unwrap();
        let owner = File::open(busy).unwrap();
        owner.lock().unwrap();
        let workshop = Workshop::new(parent.path()).unwrap();
        let own = workshop.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = vec![
            ".plyos-image-busy",
            ".plyos-image-file",
            ".plyos-new-image-of-now",
            "plyos-image-of-somebody",
            own.as_str(),
        ];
        expected.sort();
        assert_eq!(names(parent.path()), expected);
        // Its owner is alive, if only just.
        sweep(parent.path());
        assert_eq!(names(parent.path()), expected);
        drop(workshop);
        drop(owner);
        sweep(parent.path());
        assert_eq!(
            names(parent.path()),
            [".plyos-image-file", ".plyos-new-image-of-now", "plyos-image-of-somebody"]
        );
    }

    #[test]
    fn a_program_runs_to_its_end_and_is_heard() {
        let parent = tempfile::tempdir().unwrap();
        let workshop = Workshop::new(parent.path()).unwrap();
        let (ended, said) = workshop.run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap();
        assert_eq!((ended.code(), said.as_slice()), (Some(3), &b"why\n"[..]));
        assert!(workshop.run(&mut Command::new("/nonexistent/program")).is_err());
    }
}
