//! A virtio disk as a [`BlockDevice`]: bytes at any offset over sectors, several requests in flight, bounded waiting.
//!
//! [`Disk`] splits a range into [`pieces`], submits as many as its queue takes and only then waits, so that the device
//! works on all of them at once. A request that is not answered in time stays *lost*: its slot is not used before the
//! device has given it back, and meanwhile the disk waits less patiently, so that a dead device is found out quickly and a
//! slow one may come back. While a lost one is a write, nothing else is written or flushed: it could reach the medium later
//! than what was written after it.

mod error;
mod pieces;
mod queue;
mod request;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use plyos_blockstore::BlockDevice;

use crate::device::setting_u64;
use crate::patience::{Patience, Silent};
use crate::{Clock, Device, Fault, QueueIndex, Shape, Ticket};
pub use error::{Activity, DiskError, Reason};
use pieces::{LARGEST_BLOCK, PIECE, Piece, Pieces, SECTOR};
use queue::{Answer, Data, Queue, status, submit, take_in};
use request::{Ask, HEAD, head};

/// `VIRTIO_BLK_F_RO`: the device takes no writes.
pub(crate) const READ_ONLY: u64 = 1 << 5;
/// `VIRTIO_BLK_F_BLK_SIZE`: it tells the size of its blocks, and may refuse parts of one.
pub(crate) const BLOCK_SIZE: u64 = 1 << 6;
/// `VIRTIO_BLK_F_FLUSH`: it has a cache and a command to empty it. Without the feature writes are on the medium when they end.
pub(crate) const FLUSH: u64 = 1 << 9;

/// Requests in flight. Eight of 128 KiB keep a device busy and cost 1 MiB of memory for each disk.
const DEPTH: usize = 8;

/// What a disk asks of its queue: head, data, status byte.
pub(crate) const SHAPE: Shape = Shape { depth: 8, room: HEAD + PIECE + 1 };
const _: () = assert!(SHAPE.depth as usize == DEPTH);

/// Where the settings tell the capacity, a u64 of sectors.
const CAPACITY: usize = 0;
/// Where they tell the size of a block in bytes, a u32.
const BLOCK: usize = 20;

/// The only queue.
const REQUESTS: QueueIndex = QueueIndex(0);

/// How long a device that has answered everything so far may be silent. Long, for a host under load may stop a machine for
/// seconds, and an error here is an error of a file.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for one that was silent for so long and has said nothing since.
const LESS_PATIENCE: Duration = Duration::from_millis(500);

/// What a disk has done, for the status page. All since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Requests to the device.
    pub requests: u64,
    /// Bytes that came from it.
    pub read: u64,
    /// Bytes that went to it.
    pub written: u64,
    /// Flushes that ended well.
    pub flushes: u64,
    /// Calls that failed.
    pub errors: u64,
}

/// A disk. One processor at a time: a call from inside another gives [`Reason::Busy`].
#[derive(Debug)]
pub struct Disk<D, C> {
    name: String,
    length: u64,
    block: usize,
    read_only: bool,
    has_flush: bool,
    clock: C,
    queue: RefCell<Queue<D>>,
    counts: Cell<DiskCounts>,
}

impl<D: Device, C: Clock> Disk<D, C> {
    /// A disk on a device that was started with [`crate::wants::DISK_FEATURES`] and [`crate::wants::DISK_QUEUES`].
    ///
    /// # Errors
    /// [`Reason::Settings`] if the device tells no capacity, or one beyond 2^63 bytes; [`Reason::Blocks`].
    pub fn new(name: String, device: D, clock: C) -> Result<Self, DiskError> {
        let (length, block) = match size(&device) {
            Ok(size) => size,
            Err(reason) => {
                return Err(DiskError { disk: name, activity: Activity::Start, at: 0, length: 0, reason });
            }
        };
        let features = device.features();
        Ok(Self {
            name,
            length,
            block,
            read_only: features & READ_ONLY != 0,
            has_flush: features & FLUSH != 0,
            clock,
            queue: RefCell::new(Queue { device, silent: false, writes: [false; DEPTH] }),
            counts: Cell::default(),
        })
    }

    /// `vda`, `vdb`, in the order in which the machine found them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether writes are refused.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// What it has done so far.
    pub fn counts(&self) -> DiskCounts {
        self.counts.get()
    }

    fn count(&self, change: impl FnOnce(&mut DiskCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Checks the range, does `work`, and makes what went wrong an error that names the range.
    fn call(
        &self,
        activity: Activity,
        at: u64,
        length: usize,
        work: impl FnOnce(&mut Queue<D>) -> Result<(), Reason>,
    ) -> Result<(), DiskError> {
        let length = length as u64;
        let inside = at.checked_add(length).is_some_and(|end| end <= self.length);
        let done = if !inside {
            Err(Reason::Beyond(self.length))
        } else if activity == Activity::Write && self.read_only {
            Err(Reason::ReadOnly)
        } else {
            self.queue.try_borrow_mut().map_err(|_| Reason::Busy).and_then(|mut queue| work(&mut queue))
        };
        done.map_err(|reason| {
            self.count(|counts| counts.errors = counts.errors.saturating_add(1));
            DiskError { disk: self.name.clone(), activity, at, length, reason }
        })
    }

    /// Moves a range, whole blocks if it goes out. What is still under way when something went wrong is not waited for.
    fn transfer(&self, queue: &mut Queue<D>, at: u64, data: Data<'_>) -> Result<(), Reason> {
        let (activity, length) = (data.activity(), data.len() as u64);
        let moved = self.pump(queue, Pieces::of(at, data.len(), self.block), data);
        queue.silent |= moved == Err(Reason::Silent);
        if moved.is_ok() {
            self.count(|counts| match activity {
                Activity::Read => counts.read = counts.read.saturating_add(length),
                _ => counts.written = counts.written.saturating_add(length),
            });
        }
        moved
    }

    fn pump(&self, queue: &mut Queue<D>, mut pieces: Pieces, mut data: Data<'_>) -> Result<(), Reason> {
        let mut waiting: [Option<Piece>; DEPTH] = [None; DEPTH];
        let mut patience = self.patience(queue);
        loop {
            let mut submitted = false;
            while let Some(piece) = pieces.first() {
                match submit(&mut queue.device, &piece, &data) {
                    Ok(ticket) => {
                        let broken = Reason::Fault(Fault::Broken);
                        *queue.writes.get_mut(ticket.index()).ok_or(broken)? = matches!(data, Data::Out(_));
                        *waiting.get_mut(ticket.index()).ok_or(broken)? = Some(piece);
                    }
                    Err(Fault::Full) => break,
                    Err(fault) => return Err(Reason::Fault(fault)),
                }
                pieces.pass(&piece);
                submitted = true;
                self.count(|counts| counts.requests = counts.requests.saturating_add(1));
            }
            if submitted {
                queue.device.notify(REQUESTS);
            }
            if pieces.first().is_none() && waiting.iter().all(Option::is_none) {
                return Ok(());
            }
            match queue.finished()? {
                None => patience.wait(&self.clock, &mut queue.device, REQUESTS).map_err(silent)?,
                Some(Answer { ticket, written }) => {
                    let piece = waiting.get_mut(ticket.index()).and_then(Option::take);
                    let checked = match piece {
                        // One that was lost: its slot is free again, and the device speaks.
                        None => Ok(()),
                        Some(piece) => take_in(&mut queue.device, ticket, written, &piece, &mut data),
                    };
                    queue.device.release(REQUESTS, ticket);
                    checked?;
                    patience = self.patience(queue);
                }
            }
        }
    }

    /// How long to wait for the next answer, from now on.
    fn patience(&self, queue: &Queue<D>) -> Patience {
        let limit = if queue.silent { LESS_PATIENCE } else { PATIENCE };
        Patience::new(&self.clock, limit)
    }

    /// Waits until no write of an earlier call is under way.
    fn settle_writes(&self, queue: &mut Queue<D>) -> Result<(), Reason> {
        let mut patience = self.patience(queue);
        while queue.writes.contains(&true) {
            match queue.finished()? {
                None => {
                    if let Err(Silent) = patience.wait(&self.clock, &mut queue.device, REQUESTS) {
                        queue.silent = true;
                        return Err(Reason::Unfinished);
                    }
                }
                Some(Answer { ticket, .. }) => {
                    queue.device.release(REQUESTS, ticket);
                    patience = self.patience(queue);
                }
            }
        }
        Ok(())
    }

    /// Sends one flush and waits for it.
    fn flush_cache(&self, queue: &mut Queue<D>) -> Result<(), Reason> {
        let mut patience = self.patience(queue);
        let mut asked: Option<Ticket> = None;
        loop {
            if asked.is_none() {
                match queue.device.submit(REQUESTS, &[&head(Ask::Flush, 0)], &[1]) {
                    Ok(ticket) => {
                        asked = Some(ticket);
                        queue.device.notify(REQUESTS);
                        self.count(|counts| counts.requests = counts.requests.saturating_add(1));
                    }
                    Err(Fault::Full) => {}
                    Err(fault) => return Err(Reason::Fault(fault)),
                }
            }
            match queue.finished()? {
                None => {
                    if let Err(Silent) = patience.wait(&self.clock, &mut queue.device, REQUESTS) {
                        queue.silent = true;
                        return Err(Reason::Silent);
                    }
                }
                Some(Answer { ticket, written }) => {
                    let checked = if Some(ticket) == asked {
                        Some(status(&mut queue.device, ticket, written, 0))
                    } else {
                        None
                    };
                    queue.device.release(REQUESTS, ticket);
                    if let Some(checked) = checked {
                        return checked;
                    }
                    patience = self.patience(queue);
                }
            }
        }
    }

    /// Writes any range: whole blocks as they are, a part of a block after reading the rest of it.
    fn write_any(&self, queue: &mut Queue<D>, mut at: u64, mut bytes: &[u8]) -> Result<(), Reason> {
        while !bytes.is_empty() {
            let (skip, whole) = (at % self.block as u64, bytes.len() / self.block * self.block);
            let inside = usize::try_from(skip).unwrap_or(usize::MAX);
            let is_whole = inside == 0 && whole > 0;
            let take = if is_whole { whole } else { self.block.saturating_sub(inside).min(bytes.len()) };
            let Some((now, later)) = bytes.split_at_checked(take) else {
                return Err(Reason::Fault(Fault::TooLarge));
            };
            if is_whole {
                self.transfer(queue, at, Data::Out(now))?;
            } else {
                let mut block = vec![0; self.block];
                self.transfer(queue, at - skip, Data::In(&mut block))?;
                block.iter_mut().skip(inside).zip(now).for_each(|(old, new)| *old = *new);
                self.transfer(queue, at - skip, Data::Out(&block))?;
            }
            at = at.saturating_add(take as u64);
            bytes = later;
        }
        Ok(())
    }
}

/// Bytes of a disk, as whole blocks, and of each block.
fn size<D: Device>(device: &D) -> Result<(u64, usize), Reason> {
    let told = if device.features() & BLOCK_SIZE == 0 {
        SECTOR as u32
    } else {
        device.setting(BLOCK).ok_or(Reason::Settings)?
    };
    let fits = |block: &usize| block.is_power_of_two() && (SECTOR as usize..=LARGEST_BLOCK).contains(block);
    let block = usize::try_from(told).ok().filter(fits).ok_or(Reason::Blocks(told))?;
    let bytes = setting_u64(device, CAPACITY)
        .and_then(|sectors| sectors.checked_mul(SECTOR))
        .filter(|bytes| *bytes <= u64::MAX / 2)
        .ok_or(Reason::Settings)?;
    Ok((bytes - bytes % block as u64, block))
}

fn silent(Silent: Silent) -> Reason {
    Reason::Silent
}

impl<D: Device, C: Clock> BlockDevice for Disk<D, C> {
    type Error = DiskError;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DiskError> {
        let length = out.len();
        self.call(Activity::Read, offset, length, |queue| self.transfer(queue, offset, Data::In(out)))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.call(Activity::Write, offset, bytes.len(), |queue| {
            self.settle_writes(queue)?;
            self.write_any(queue, offset, bytes)
        })
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.call(Activity::Flush, 0, 0, |queue| {
            self.settle_writes(queue)?;
            if self.has_flush {
                self.flush_cache(queue)?;
            }
            self.count(|counts| counts.flushes = counts.flushes.saturating_add(1));
            Ok(())
        })
    }
}
