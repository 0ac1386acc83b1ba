//! A device as the drivers see it: queues of requests, each with bytes to send and room for an answer.
//!
//! Whoever implements [`Device`] keeps the memory that the hardware reads and writes to himself: what is sent is copied in
//! before the request starts, and an answer is copied out once, after it ended. So nothing that a device can still change
//! is ever looked at twice, and a request that is never answered holds only a slot, nobody's buffer.

use thiserror::Error;

/// Which queue of a device: its number in the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueIndex(pub u16);

/// A request under way: the number of its buffer, below the queue's depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u8);

impl Ticket {
    /// For tables with an entry for each buffer.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How many requests a queue takes at once, and how large one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Slots. At least one.
    pub depth: u8,
    /// Bytes of one request: what is sent and what is received together.
    pub room: usize,
}

/// A request that the device has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Which one. Its slot stays taken until [`Device::release`].
    pub ticket: Ticket,
    /// Bytes that the device claims to have written: never more than there was room for.
    pub written: usize,
}

/// Why a device could not be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// All slots of the queue are taken. Not an error: try again after a request has ended.
    #[error("all slots of its queue are taken")]
    Full,
    /// A request larger than the queue's room, or an answer from outside of it.
    #[error("a request does not fit its queue")]
    TooLarge,
    /// The device answered what nobody asked, or asks to be reset. It is not used again.
    #[error("it broke the rules of its queue, and is not used again")]
    Broken,
}

/// What the last part of an answer holds before the device writes it. No status of any device.
pub const UNWRITTEN: u8 = 0xff;

/// A device with queues.
pub trait Device {
    /// The features that both sides agreed on.
    fn features(&self) -> u64;

    /// Four bytes of the device's own settings at `offset` (a multiple of four), little-endian; `None` if there are none.
    fn setting(&self, offset: usize) -> Option<u32>;

    /// Changes whenever the settings change.
    fn settings_version(&self) -> u32;

    /// Starts a request: `send` is copied, an answer of up to `receive` bytes in these parts is asked for. No part is empty.
    /// The last part is preset to [`UNWRITTEN`], so that an answer that the device did not write is none. The device may not look at it before [`Device::notify`].
    fn submit(&mut self, queue: QueueIndex, send: &[&[u8]], receive: &[usize]) -> Result<Ticket, Fault>;

    /// Tells the device that there are requests.
    fn notify(&mut self, queue: QueueIndex);

    /// Asks the device to interrupt once it has an answer. It does so at most until the next [`Device::finished`]; whoever rests
    /// must call this before each time. True if there is an answer already: then nothing interrupts, do not rest.
    fn listen(&mut self, queue: QueueIndex) -> bool;

    /// The next request that has ended, in the order of the device.
    fn finished(&mut self, queue: QueueIndex) -> Result<Option<Finished>, Fault>;

    /// Copies out of the answer of a request that has ended, from byte `at` of all its parts together.
    fn copy_out(&mut self, queue: QueueIndex, ticket: Ticket, at: usize, out: &mut [u8])
    -> Result<(), Fault>;

    /// Gives the slot of a request that has ended back.
    fn release(&mut self, queue: QueueIndex, ticket: Ticket);
}

/// Times that settings are read again when they change meanwhile. A device that always changes them is not believed.
const SETTLING: usize = 8;

/// Eight bytes of settings at `offset`, both halves of the same version.
pub(crate) fn setting_u64(device: &impl Device, offset: usize) -> Option<u64> {
    for _ in 0..SETTLING {
        let before = device.settings_version();
        let low = device.setting(offset)?;
        let high = device.setting(offset.checked_add(4)?)?;
        if device.settings_version() == before {
            return Some(u64::from(high) << 32 | u64::from(low));
        }
    }
    None
}
