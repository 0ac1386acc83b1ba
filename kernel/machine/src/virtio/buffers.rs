//! One queue: a ring of virtio-drivers, and memory of its own for each request.
//!
//! virtio-drivers keeps copies of what it wrote, so that a device cannot mislead it about its own list. Left to its user, and done
//! here: that an answer belongs to a request that is under way ([`Buffers::owners`]), that the length a device claims is not more
//! than it was given, and that memory outlives the device's use of it. Buffers are never lent out: bytes are copied in before and
//! copied out after.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::slice;

use plyos_kernel_devices::{Fault, Finished, Shape, Ticket, UNWRITTEN};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::{Error, Result};

use super::hal::Memory;
use crate::memory::{PhysAddr, direct_map, frames};

/// Parts of a request in each direction, at most.
const PARTS: usize = 2;
/// Entries of the largest ring.
const LARGEST: usize = 32;

/// A ring of some size.
pub(super) trait Ring {
    /// # Safety
    /// As [`VirtQueue::add`]: the memory stays and is left alone until [`Ring::pop`] succeeds.
    unsafe fn add<'a>(&mut self, send: &'a [&'a [u8]], receive: &'a mut [&'a mut [u8]]) -> Result<u16>;
    fn peek(&self) -> Option<u16>;
    /// Whether the device interrupts after an answer.
    fn interrupts(&mut self, on: bool);
    /// # Safety
    /// As [`VirtQueue::pop_used`]: the same memory as was added when `token` was given.
    unsafe fn pop<'a>(
        &mut self,
        token: u16,
        send: &'a [&'a [u8]],
        receive: &'a mut [&'a mut [u8]],
    ) -> Result<u32>;
}

impl<const SIZE: usize> Ring for VirtQueue<Memory, SIZE> {
    unsafe fn add<'a>(&mut self, send: &'a [&'a [u8]], receive: &'a mut [&'a mut [u8]]) -> Result<u16> {
        // SAFETY: as the caller vouches.
        unsafe { self.add(send, receive) }
    }

    fn peek(&self) -> Option<u16> {
        self.peek_used()
    }

    fn interrupts(&mut self, on: bool) {
        self.set_dev_notify(on);
    }

    unsafe fn pop<'a>(
        &mut self,
        token: u16,
        send: &'a [&'a [u8]],
        receive: &'a mut [&'a mut [u8]],
    ) -> Result<u32> {
        // SAFETY: as the caller vouches.
        unsafe { self.pop_used(token, send, receive) }
    }
}

/// What a buffer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// The device may read and write the buffer.
    UnderWay,
    /// It has said that it will not any more; `written` bytes are its answer.
    Ended,
}

/// Memory for one request: what is sent, then room for the answer.
struct Buffer {
    memory: *mut u8,
    state: State,
    /// Lengths of the parts; 0 where there is none.
    send: [usize; PARTS],
    receive: [usize; PARTS],
}

impl Buffer {
    fn sent(&self) -> usize {
        self.send.iter().sum()
    }

    fn received(&self) -> usize {
        self.receive.iter().sum()
    }

    /// Hands the parts to `work`: slices for the time of one call into virtio-drivers, which takes addresses and lengths of them.
    fn with_parts<T>(&self, work: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> T) -> T {
        let mut at = self.memory;
        let mut next = |length: usize| {
            let here = at;
            at = at.wrapping_add(length);
            here
        };
        // SAFETY: I17: both lie in the buffer's frames (`submit` has checked the sum), one after the other, so none aliases another;
        // nobody else has a reference into them.
        let send = self.send.map(|length| unsafe { slice::from_raw_parts(next(length), length) });
        // SAFETY: I17, as above.
        let mut receive =
            self.receive.map(|length| unsafe { slice::from_raw_parts_mut(next(length), length) });
        let count = |parts: &[usize; PARTS]| parts.iter().filter(|length| **length > 0).count();
        work(&send[..count(&self.send)], &mut receive[..count(&self.receive)])
    }
}

/// A queue.
pub(super) struct Buffers {
    ring: Box<dyn Ring>,
    room: usize,
    buffers: Vec<Buffer>,
    /// Which buffer's request a ring's entry heads.
    owners: [Option<u8>; LARGEST],
    /// Whether the device was asked to interrupt.
    listening: bool,
}

impl Buffers {
    /// Entries that a ring needs for a queue of this shape, as a power of two that there is a ring for.
    pub(super) fn entries(shape: Shape, parts: usize) -> usize {
        (usize::from(shape.depth) * parts).next_power_of_two()
    }

    /// A queue over a ring. `None` if there is no memory. Its buffers' frames are never given back: a device that was started may
    /// write to them until the end.
    pub(super) fn new(ring: Box<dyn Ring>, shape: Shape) -> Option<Self> {
        let pages = shape.room.div_ceil(virtio_drivers::PAGE_SIZE);
        let buffer = || {
            let PhysAddr(at) = frames::allocate_contiguous(pages)?;
            let memory = direct_map(PhysAddr(at));
            Some(Buffer { memory, state: State::Free, send: [0; PARTS], receive: [0; PARTS] })
        };
        let buffers = (0..shape.depth).map(|_| buffer()).collect::<Option<Vec<_>>>()?;
        Some(Self { ring, room: shape.room, buffers, owners: [None; LARGEST], listening: false })
    }

    pub(super) fn submit(
        &mut self,
        send: &[&[u8]],
        receive: &[usize],
    ) -> core::result::Result<Ticket, Fault> {
        let number = self.buffers.iter().position(|buffer| buffer.state == State::Free).ok_or(Fault::Full)?;
        let ticket = Ticket(u8::try_from(number).map_err(|_| Fault::Full)?);
        let buffer = self.buffers.get_mut(number).ok_or(Fault::Full)?;
        let lengths = send.iter().map(|part| part.len()).chain(receive.iter().copied());
        let total = lengths.clone().try_fold(0usize, usize::checked_add).ok_or(Fault::TooLarge)?;
        let empty = lengths.clone().any(|length| length == 0) || total == 0;
        if total > self.room || send.len() > PARTS || receive.len() > PARTS || empty {
            return Err(Fault::TooLarge);
        }
        (buffer.send, buffer.receive) = ([0; PARTS], [0; PARTS]);
        for (to, part) in buffer.send.iter_mut().zip(send) {
            *to = part.len();
        }
        for (to, length) in buffer.receive.iter_mut().zip(receive) {
            *to = *length;
        }
        let mut at = buffer.memory;
        for part in send {
            // SAFETY: I17: the buffer is free, so no device uses it, and the sum of all parts fits into its frames.
            unsafe { at.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            at = at.wrapping_add(part.len());
        }
        if let Some(last) = receive.last() {
            // SAFETY: I17, as above: the last part ends where the sum does.
            unsafe { buffer.memory.wrapping_add(total - last).write_bytes(UNWRITTEN, *last) };
        }
        // SAFETY: I17: the buffer's frames stay, and nobody touches them before the state is `Ended`.
        let added = buffer.with_parts(|send, receive| unsafe { self.ring.add(send, receive) });
        let token =
            added.map_err(|error| if error == Error::QueueFull { Fault::Full } else { Fault::Broken })?;
        *self.owners.get_mut(usize::from(token)).ok_or(Fault::Broken)? = Some(ticket.0);
        buffer.state = State::UnderWay;
        Ok(ticket)
    }

    /// Lets the device interrupt after the next answer. True if there is one already.
    pub(super) fn listen(&mut self) -> bool {
        self.listening = true;
        self.ring.interrupts(true);
        self.ring.peek().is_some()
    }

    /// The next answer. An error if it is to nothing that is under way: then the device must be reset.
    pub(super) fn finished(&mut self) -> core::result::Result<Option<Finished>, Fault> {
        if core::mem::take(&mut self.listening) {
            self.ring.interrupts(false);
        }
        let Some(token) = self.ring.peek() else { return Ok(None) };
        let owner = self.owners.get_mut(usize::from(token)).and_then(Option::take).ok_or(Fault::Broken)?;
        let buffer = self.buffers.get_mut(usize::from(owner)).ok_or(Fault::Broken)?;
        // SAFETY: I17: `owners` has the buffer whose parts were added when `token` was given, and they have not changed since.
        let popped = buffer.with_parts(|send, receive| unsafe { self.ring.pop(token, send, receive) });
        // Another token than at the first look: the device changed it in between.
        let claimed = popped.map_err(|_| Fault::Broken)?;
        buffer.state = State::Ended;
        let written = usize::try_from(claimed).unwrap_or(usize::MAX).min(buffer.received());
        Ok(Some(Finished { ticket: Ticket(owner), written }))
    }

    pub(super) fn copy_out(
        &self,
        ticket: Ticket,
        at: usize,
        out: &mut [u8],
    ) -> core::result::Result<(), Fault> {
        let buffer = self
            .buffers
            .get(ticket.index())
            .filter(|buffer| buffer.state == State::Ended)
            .ok_or(Fault::TooLarge)?;
        if at.checked_add(out.len()).is_none_or(|end| end > buffer.received()) {
            return Err(Fault::TooLarge);
        }
        let from = buffer.memory.wrapping_add(buffer.sent() + at);
        // SAFETY: I17: inside the buffer; `out` is not, for buffers are never lent. A device that breaks the rules may still write
        // here: then the copy holds some mixture, which is what comes from such a device anyway.
        unsafe { out.as_mut_ptr().copy_from_nonoverlapping(from, out.len()) };
        Ok(())
    }

    pub(super) fn release(&mut self, ticket: Ticket) {
        if let Some(buffer) =
            self.buffers.get_mut(ticket.index()).filter(|buffer| buffer.state == State::Ended)
        {
            buffer.state = State::Free;
        }
    }
}
