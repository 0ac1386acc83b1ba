//! A virtio disk as a [`BlockDevice`]: bytes at any offset over sectors, several requests in flight, bounded waiting.
//!
//! [`Disk`] splits a range into [`pieces`], submits as many as its queue takes and only then waits, so that the device
//! works on all of them at once. A request that is not answered in time stays *lost*: its slot is not used before the
//! device has given it back, and meanwhile the disk waits less patiently, so that a dead device is found out quickly and a
//! slow one may come back.

mod error;
mod pieces;
mod request;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use plyos_blockstore::BlockDevice;

use crate::device::setting_u64;
use crate::patience::{Patience, Silent};
use crate::{Clock, Device, Fault, Line, Shape, Ticket};
pub use error::{Activity, DiskError, Reason};
use pieces::{PIECE, Piece, Pieces, SECTOR};
use request::{Ask, DONE, HEAD, head};

/// `VIRTIO_BLK_F_RO`: the device takes no writes.
pub(crate) const READ_ONLY: u64 = 1 << 5;
/// `VIRTIO_BLK_F_FLUSH`: it has a cache and a command to empty it. Without the feature writes are on the medium when they end.
pub(crate) const FLUSH: u64 = 1 << 9;

/// Requests in flight. Eight of 128 KiB keep a device busy and cost 1 MiB of memory for each disk.
const DEPTH: usize = 8;

/// What a disk asks of its queue: head, data, status byte.
pub(crate) const SHAPE: Shape = Shape { depth: 8, room: HEAD + PIECE + 1 };
const _: () = assert!(SHAPE.depth as usize == DEPTH);

/// Where the settings tell the capacity, a u64 of sectors.
const CAPACITY: usize = 0;

/// The only queue.
const REQUESTS: Line = Line(0);

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
    read_only: bool,
    has_flush: bool,
    clock: C,
    queue: RefCell<Queue<D>>,
    counts: Cell<DiskCounts>,
}

/// The device, and how it behaves.
#[derive(Debug)]
struct Queue<D> {
    device: D,
    /// Whether waiting ended last without an answer.
    silent: bool,
}

/// Where data goes or comes from.
enum Data<'a> {
    In(&'a mut [u8]),
    Out(&'a [u8]),
}

impl Data<'_> {
    fn len(&self) -> usize {
        match self {
            Self::In(out) => out.len(),
            Self::Out(bytes) => bytes.len(),
        }
    }

    fn activity(&self) -> Activity {
        match self {
            Self::In(_) => Activity::Read,
            Self::Out(_) => Activity::Write,
        }
    }
}

impl<D: Device, C: Clock> Disk<D, C> {
    /// A disk on a device that was started with [`crate::wants::DISK_FEATURES`] and [`crate::wants::DISK_QUEUES`].
    ///
    /// # Errors
    /// [`Reason::Settings`] if the device tells no capacity, or one beyond 2^63 bytes.
    pub fn new(name: String, device: D, clock: C) -> Result<Self, DiskError> {
        let length = setting_u64(&device, CAPACITY)
            .and_then(|sectors| sectors.checked_mul(SECTOR))
            .filter(|length| *length <= u64::MAX / 2);
        let Some(length) = length else {
            return Err(DiskError {
                disk: name,
                activity: Activity::Start,
                at: 0,
                length: 0,
                reason: Reason::Settings,
            });
        };
        let features = device.features();
        Ok(Self {
            name,
            length,
            read_only: features & READ_ONLY != 0,
            has_flush: features & FLUSH != 0,
            clock,
            queue: RefCell::new(Queue { device, silent: false }),
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

    /// Moves a range, whole sectors if it goes out. What is still under way when something went wrong is not waited for.
    fn transfer(&self, queue: &mut Queue<D>, at: u64, data: Data<'_>) -> Result<(), Reason> {
        let (activity, length) = (data.activity(), data.len() as u64);
        let moved = self.pump(queue, Pieces::of(at, data.len()), data);
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
                        *waiting.get_mut(ticket.index()).ok_or(Reason::Fault(Fault::Broken))? = Some(piece)
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

    /// Writes any range: whole sectors as they are, a part of a sector after reading the rest of it.
    fn write_any(&self, queue: &mut Queue<D>, mut at: u64, mut bytes: &[u8]) -> Result<(), Reason> {
        while !bytes.is_empty() {
            let skip = at % SECTOR;
            let whole = bytes.len() as u64 / SECTOR * SECTOR;
            let take = if skip == 0 && whole > 0 { whole } else { (SECTOR - skip).min(bytes.len() as u64) };
            let fits = usize::try_from(take).ok().and_then(|take| bytes.split_at_checked(take));
            let Some((now, later)) = fits else { return Err(Reason::Fault(Fault::TooLarge)) };
            if take.is_multiple_of(SECTOR) {
                self.transfer(queue, at, Data::Out(now))?;
            } else {
                let mut sector = [0; SECTOR as usize];
                self.transfer(queue, at - skip, Data::In(&mut sector))?;
                let place = sector.iter_mut().skip(usize::try_from(skip).unwrap_or(usize::MAX));
                place.zip(now).for_each(|(old, new)| *old = *new);
                self.transfer(queue, at - skip, Data::Out(&sector))?;
            }
            at = at.saturating_add(take);
            bytes = later;
        }
        Ok(())
    }
}

fn silent(Silent: Silent) -> Reason {
    Reason::Silent
}

/// An answer, and whose.
struct Answer {
    ticket: Ticket,
    written: usize,
}

impl<D: Device> Queue<D> {
    /// The next answer, to whichever request.
    fn finished(&mut self) -> Result<Option<Answer>, Reason> {
        let Some(finished) = self.device.finished(REQUESTS).map_err(Reason::Fault)? else { return Ok(None) };
        self.silent = false;
        Ok(Some(Answer { ticket: finished.ticket, written: finished.written }))
    }
}

fn submit<D: Device>(device: &mut D, piece: &Piece, data: &Data<'_>) -> Result<Ticket, Fault> {
    match data {
        Data::In(_) => device.submit(REQUESTS, &[&head(Ask::Read, piece.sector)], &[piece.length, 1]),
        Data::Out(bytes) => {
            let range = piece.to..piece.to.saturating_add(piece.take);
            let sectors =
                bytes.get(range).filter(|sectors| sectors.len() == piece.length).ok_or(Fault::TooLarge)?;
            device.submit(REQUESTS, &[&head(Ask::Write, piece.sector), sectors], &[1])
        }
    }
}

/// Checks an answer and copies what it brought.
fn take_in<D: Device>(
    device: &mut D,
    ticket: Ticket,
    written: usize,
    piece: &Piece,
    data: &mut Data<'_>,
) -> Result<(), Reason> {
    match data {
        Data::Out(_) => status(device, ticket, written, 0),
        Data::In(out) => {
            status(device, ticket, written, piece.length)?;
            let range = piece.to..piece.to.saturating_add(piece.take);
            let place = out.get_mut(range).ok_or(Reason::Fault(Fault::TooLarge))?;
            device.copy_out(REQUESTS, ticket, piece.skip, place).map_err(Reason::Fault)
        }
    }
}

/// Whether the answer with `before` bytes of data ends in a status that means success.
fn status<D: Device>(device: &mut D, ticket: Ticket, written: usize, before: usize) -> Result<(), Reason> {
    let mut status = [0];
    device.copy_out(REQUESTS, ticket, before, &mut status).map_err(Reason::Fault)?;
    match status {
        [DONE] if written <= before => Err(Reason::Short),
        [DONE] => Ok(()),
        [other] => Err(Reason::Failed(other)),
    }
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
        self.call(Activity::Write, offset, bytes.len(), |queue| self.write_any(queue, offset, bytes))
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.call(Activity::Flush, 0, 0, |queue| {
            if self.has_flush {
                self.flush_cache(queue)?;
            }
            self.count(|counts| counts.flushes = counts.flushes.saturating_add(1));
            Ok(())
        })
    }
}
