//! The generation that is shown, and how it becomes another one.
//!
//! [`Current::newest`] looks whether both copies of the store's superblock are those by which the generation was chosen
//! ([`Seen`]). Only if one is not is the store opened.

use super::caches::Caches;
use super::log::Log;
use super::mounted::Mounted;
use super::nodes::locked;
use super::seen::Seen;
use crate::target::Target;
use crate::trial::shown;
use fuser::{INodeNo, Notifier};
use plyos_ids::GenerationId;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Access, FileDevice};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// The generation that is shown.
pub struct Current {
    target: Target,
    caches: Arc<Caches>,
    log: Arc<Log>,
    device: FileDevice,
    shown: RwLock<Shown>,
    /// Held while a generation is opened to replace the one shown.
    switching: Mutex<()>,
    /// The last switch was refused.
    refused: AtomicBool,
    /// Gets the generations that were replaced.
    replaced: Mutex<Sender<Arc<Mounted>>>,
    notifier: OnceLock<Notifier>,
}

struct Shown {
    seen: Seen,
    mounted: Arc<Mounted>,
}

impl Current {
    /// Opens the generation that the store shows.
    pub fn open(
        target: Target,
        caches: Arc<Caches>,
        log: Arc<Log>,
        replaced: Sender<Arc<Mounted>>,
    ) -> Result<Self, Failure> {
        let device = FileDevice::open(target.path(), Access::Read).map_err(|error| target.fail(&error))?;
        let seen = Seen::now(&device).or_fail(
            ExitCode::Store,
            format_args!("reading the superblock of {}", target.path().display()),
        )?;
        let mounted = Arc::new(Mounted::open(&target, &caches)?);
        Ok(Self {
            target,
            caches,
            log,
            device,
            shown: RwLock::new(Shown { seen, mounted }),
            switching: Mutex::new(()),
            refused: AtomicBool::new(false),
            replaced: Mutex::new(replaced),
            notifier: OnceLock::new(),
        })
    }

    /// By which the kernel is told of a switch.
    pub fn notify_by(&self, notifier: Notifier) {
        // It is set once, by the server that was just made.
        let _ = self.notifier.set(notifier);
    }

    /// The generation that is shown, without looking at the store.
    pub fn present(&self) -> Arc<Mounted> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner).mounted)
    }

    /// The generation that the store shows at this moment, if it can be opened; else the one shown before.
    pub fn newest(&self) -> Arc<Mounted> {
        match self.is_changed() {
            Ok(false) => self.present(),
            Ok(true) => {
                let _one_at_a_time = locked(&self.switching);
                // Another thread may have switched while this one waited.
                match self.is_changed() {
                    Ok(true) => self.switch(),
                    Ok(false) => {}
                    Err(error) => self.unreadable(&error),
                }
                self.present()
            }
            Err(error) => {
                self.unreadable(&error);
                self.present()
            }
        }
    }

    /// Tries a switch again that was refused: what was in its way (a busy store, a missing keyring) may be gone.
    pub fn retry(&self) {
        if !self.refused.load(Ordering::Relaxed) {
            return;
        }
        let _one_at_a_time = locked(&self.switching);
        self.switch();
    }

    /// Whether the superblock is another one than was seen.
    fn is_changed(&self) -> io::Result<bool> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.seen.is_now(&self.device).map(|same| !same)
    }

    /// Shows what the store says. One switch at a time.
    fn switch(&self) {
        // Before the store is opened: what is written in between is seen as another one next time.
        let seen = match Seen::now(&self.device) {
            Ok(seen) => seen,
            Err(error) => return self.unreadable(&error),
        };
        let before = self.present();
        let next = match self.next(&before.id) {
            Ok(next) => next,
            Err(failure) => {
                self.log.line(&format!(
                    "generation {} stays, for the new one cannot be mounted: {}",
                    before.number, failure.message
                ));
                self.refused.store(true, Ordering::Relaxed);
                None
            }
        };
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        shown.seen = seen;
        let Some(next) = next else { return };
        shown.mounted = Arc::new(next);
        drop(shown);
        if let Some(notifier) = self.notifier.get() {
            // The root's own attributes; a failure leaves them until the kernel asks by itself.
            let _ = notifier.inval_inode(INodeNo::ROOT, -1, 0);
        }
        // The receiver ends only with the server.
        let _ = locked(&self.replaced).send(before);
    }

    /// The generation that the store shows, opened, when it is another one than `present`.
    fn next(&self, present: &GenerationId) -> Result<Option<Mounted>, Failure> {
        let store = self.target.store()?;
        self.refused.store(false, Ordering::Relaxed);
        if shown(&store).is_none_or(|slot| slot.generation == *present) {
            return Ok(None);
        }
        Mounted::open(&self.target, &self.caches).map(Some)
    }

    fn unreadable(&self, error: &io::Error) {
        let store = self.target.path().display();
        self.log.line(&format!("reading the superblock of {store}: {error}; the mount stays as it is"));
    }
}
