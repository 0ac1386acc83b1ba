//! The generation that is shown, and how it becomes another one.
//!
//! [`Current::newest`] compares both copies of the store's superblock with those by which the generation was chosen:
//! two reads of 4 KiB that the page cache answers. They are compared as bytes, so a copy that is just being
//! written, too, is another one, and is looked at again. Only when they differ is the store opened.

use super::caches::Caches;
use super::log::Log;
use super::mounted::Mounted;
use super::nodes::locked;
use crate::target::Target;
use crate::trial::shown;
use fuser::{INodeNo, Notifier};
use plyos_blockstore::layout::SUPERBLOCK_OFFSETS;
use plyos_blockstore::{BlockDevice, Superblock};
use plyos_ids::GenerationId;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Access, FileDevice};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Both copies of the superblock.
type Copies = [[u8; Superblock::SIZE]; 2];

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
    copies: Box<Copies>,
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
        let copies = copies(&device).or_fail(
            ExitCode::Store,
            format_args!("reading the superblock of {}", target.path().display()),
        )?;
        let mounted = Arc::new(Mounted::open(&target, &caches)?);
        Ok(Self {
            target,
            caches,
            log,
            device,
            shown: RwLock::new(Shown { copies, mounted }),
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
            Ok(None) => self.present(),
            Ok(Some(_)) => {
                let _one_at_a_time = locked(&self.switching);
                // Another thread may have switched while this one waited.
                match self.is_changed() {
                    Ok(Some(copies)) => self.switch(copies),
                    Ok(None) => {}
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
        match copies(&self.device) {
            Ok(copies) => self.switch(copies),
            Err(error) => self.unreadable(&error),
        }
    }

    /// The superblock's copies when they are not those that were seen.
    fn is_changed(&self) -> io::Result<Option<Box<Copies>>> {
        let now = copies(&self.device)?;
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Ok((now != shown.copies).then_some(now))
    }

    /// Shows what the store says, which had these copies just before.
    fn switch(&self, copies: Box<Copies>) {
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
        shown.copies = copies;
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

fn copies(device: &FileDevice) -> io::Result<Box<Copies>> {
    let mut copies = Box::new([[0; Superblock::SIZE]; 2]);
    for (offset, copy) in SUPERBLOCK_OFFSETS.into_iter().zip(copies.iter_mut()) {
        device.read_at(offset, copy)?;
    }
    Ok(copies)
}
