//! Looking at a tree with several threads: what is in each directory, as the system tells it.
//!
//! A scan is thousands of short questions to the system, which one thread asks for longer than all cores need to read what they
//! are about. Here a job is to list one directory, or to look at a slice of its names. The job that was put in last is taken first, so
//! that few directories are open at a time. What was found is put together in order by `walk.rs`, so the tree is the same whoever looked.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use plyos_layer_format::entry::{Xattr, compare_paths};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::{Manner, ScanOptions, attributes, shown};
use crate::error::BuildError;

/// Names that are looked at in one job: enough that handing out jobs costs nothing, few enough that a directory of 100,000 files is
/// shared among all.
const SLICE: usize = 128;

/// How a directory is opened.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a name in a directory is, unless it is left out.
pub(super) struct Found {
    pub name: Vec<u8>,
    pub stat: Stat,
    pub xattrs: Vec<Xattr>,
    pub what: What,
}

/// What of a thing its attributes do not say.
pub(super) enum What {
    /// By this number what is in it is found.
    Directory(usize),
    /// Where it leads.
    Symlink(Vec<u8>),
    Other,
}

/// What is in each directory.
pub(super) struct Looked(Vec<Slices>);

/// What was found in a directory, by the number of the slice.
type Slices = BTreeMap<usize, Vec<Found>>;

impl Looked {
    /// The number of the directory at the top.
    pub(super) const TOP: usize = 0;

    /// All that is in a directory, sorted by name as bytes. Can be had once.
    pub(super) fn take(&mut self, directory: usize) -> impl Iterator<Item = Found> + use<> {
        self.0.get_mut(directory).map(std::mem::take).unwrap_or_default().into_values().flatten()
    }
}

/// The path of `name` in the directory `above`.
pub(super) fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_vec() } else { [above, name].join(&b'/') }
}

pub(super) fn read_error(path: &[u8]) -> impl Fn(rustix::io::Errno) -> BuildError {
    move |errno| BuildError::Read { path: shown(path), source: errno.into() }
}

/// The names in a directory, sorted as bytes.
pub(super) fn names(
    handle: BorrowedFd<'_>,
    path: &[u8],
    manner: &Manner<'_>,
) -> Result<Vec<Vec<u8>>, BuildError> {
    let mut names = Vec::new();
    for item in Dir::read_from(handle).map_err(read_error(path))? {
        let item = item.map_err(read_error(path))?;
        let name = item.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    (manner.arrange)(&mut names);
    names.sort_unstable();
    Ok(names)
}

/// Looks at all that is below `root`. `above` is the path of `root` in what the patterns of the options are about.
pub(super) fn look(
    root: OwnedFd,
    above: &[u8],
    options: &ScanOptions,
    manner: &Manner<'_>,
) -> Result<Looked, BuildError> {
    let top = Directory { number: Looked::TOP, path: Vec::new(), handle: root };
    let queue = Queue { jobs: slices(top, manner)?, found: vec![Slices::new()], ..Queue::default() };
    let looking = Looking { options, above, manner, queue: Mutex::new(queue), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 1..manner.threads {
            // With fewer threads it takes longer and is the same.
            let _ =
                std::thread::Builder::new().name("scan".to_owned()).spawn_scoped(scope, || looking.work());
        }
        looking.work();
    });
    let queue = looking.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    match queue.failed {
        Some((_, error)) => Err(error),
        None => Ok(Looked(queue.found)),
    }
}

/// An open directory.
struct Directory {
    number: usize,
    path: Vec<u8>,
    handle: OwnedFd,
}

enum Job {
    /// Open the directory `name` of another, and see what names are in it.
    List { number: usize, parent: Arc<Directory>, name: Vec<u8> },
    /// Look at some of its names.
    Look { directory: Arc<Directory>, slice: usize, names: Vec<Vec<u8>> },
}

/// What the threads share.
struct Looking<'a> {
    options: &'a ScanOptions,
    above: &'a [u8],
    manner: &'a Manner<'a>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Jobs that somebody is at, of which more may come.
    at_work: usize,
    found: Vec<Slices>,
    /// Where a job failed, of several the first in the order of the stream.
    failed: Option<(Vec<u8>, BuildError)>,
}

impl Looking<'_> {
    /// Does job after job, beside others, until there are no more, or one has failed.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if queue.failed.is_some() {
                break;
            }
            let Some(job) = queue.jobs.pop() else {
                if queue.at_work == 0 {
                    break;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.at_work += 1;
            drop(queue);
            let done = self.carry_out(job);
            queue = self.lock();
            queue.at_work -= 1;
            match done {
                Ok(Done::Listed(jobs)) => queue.jobs.extend(jobs),
                Ok(Done::Looked { directory, slice, found }) => queue.keep(&directory, slice, found),
                Err((path, error)) => queue.fail(path, error),
            }
            // There is something to do, or nothing any more.
            if queue.jobs.len() > 1 || queue.at_work == 0 || queue.failed.is_some() {
                self.changed.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, job: Job) -> Result<Done, (Vec<u8>, BuildError)> {
        match job {
            Job::List { number, parent, name } => {
                let path = join(&parent.path, &name);
                let list = || {
                    let handle = rustix::fs::openat(&parent.handle, &name[..], DIRECTORY, Mode::empty());
                    let handle = handle.map_err(read_error(&path))?;
                    slices(Directory { number, path: path.clone(), handle }, self.manner)
                };
                list().map(Done::Listed).map_err(|error| (path.clone(), error))
            }
            Job::Look { directory, slice, names } => {
                let mut found = Vec::with_capacity(names.len());
                for name in names {
                    let path = join(&directory.path, &name);
                    match self.look_at(directory.handle.as_fd(), name, &path) {
                        Ok(Some(one)) => found.push(one),
                        Ok(None) => {}
                        Err(error) => return Err((path, error)),
                    }
                }
                Ok(Done::Looked { directory, slice, found })
            }
        }
    }

    fn look_at(
        &self,
        parent: BorrowedFd<'_>,
        name: Vec<u8>,
        path: &[u8],
    ) -> Result<Option<Found>, BuildError> {
        let stat =
            rustix::fs::statat(parent, &name[..], AtFlags::SYMLINK_NOFOLLOW).map_err(read_error(path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.options.exclude.matches(&join(self.above, path), kind == FileType::Directory) {
            return Ok(None);
        }
        let what = match kind {
            // Its number is known when it is put into the queue.
            FileType::Directory => What::Directory(Looked::TOP),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, &name[..], Vec::new());
                What::Symlink(target.map_err(read_error(path))?.into_bytes())
            }
            _ => What::Other,
        };
        let xattrs = attributes::read(parent, &name)
            .map_err(|source| BuildError::Read { path: shown(path), source })?;
        Ok(Some(Found { name, stat, xattrs, what }))
    }
}

/// What a job brought.
enum Done {
    Listed(Vec<Job>),
    Looked { directory: Arc<Directory>, slice: usize, found: Vec<Found> },
}

impl Queue {
    /// Keeps what was found, and puts in a job for each directory, the first to be taken first.
    fn keep(&mut self, directory: &Arc<Directory>, slice: usize, mut found: Vec<Found>) {
        let before = self.jobs.len();
        for Found { name, what, .. } in &mut found {
            if let What::Directory(number) = what {
                *number = self.found.len();
                self.found.push(Slices::new());
                let parent = Arc::clone(directory);
                self.jobs.push(Job::List { number: *number, parent, name: name.clone() });
            }
        }
        self.jobs.get_mut(before..).unwrap_or_default().reverse();
        if let Some(slices) = self.found.get_mut(directory.number) {
            slices.insert(slice, found);
        }
    }

    fn fail(&mut self, path: Vec<u8>, error: BuildError) {
        if self.failed.as_ref().is_none_or(|(other, _)| compare_paths(&path, other).is_lt()) {
            self.failed = Some((path, error));
        }
    }
}

/// The jobs of looking at all names of a directory, the first to be taken first.
fn slices(directory: Directory, manner: &Manner<'_>) -> Result<Vec<Job>, BuildError> {
    let names = names(directory.handle.as_fd(), &directory.path, manner)?;
    let directory = Arc::new(directory);
    let job = |(slice, names): (usize, &[Vec<u8>])| Job::Look {
        directory: Arc::clone(&directory),
        slice,
        names: names.to_vec(),
    };
    Ok(names.chunks(SLICE).enumerate().map(job).rev().collect())
}
