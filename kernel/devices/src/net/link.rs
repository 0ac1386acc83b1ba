//! A virtio network card as smoltcp's device: whole Ethernet frames in and out, bounded in number and size.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use super::allowance::Allowance;
use crate::{Device, Fault, Finished, QueueIndex, Shape};

/// `VIRTIO_NET_F_MAC`: the settings begin with the card's address.
pub(crate) const ADDRESS: u64 = 1 << 5;

/// Bytes of the largest frame: Ethernet's head and 1,500 bytes.
pub const FRAME: usize = 1514;

/// What stands before each frame (Virtio 1.2, 5.1.6): all zero here, for nothing is offloaded.
const HEAD: usize = 12;
/// The same for devices from before version 1: without the count of buffers.
const OLD_HEAD: usize = 10;

/// Frames that can come in before anybody looks.
pub(crate) const RECEIVE_SHAPE: Shape = Shape { depth: 16, room: HEAD + FRAME };
/// Frames on their way out.
pub(crate) const TRANSMIT_SHAPE: Shape = Shape { depth: 16, room: HEAD + FRAME };

const RECEIVE: QueueIndex = QueueIndex(0);
const TRANSMIT: QueueIndex = QueueIndex(1);

/// What went through a card. All since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Frames that came.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that went.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that were too short or too long, for which there was no room, or that were too many answers of DHCP.
    pub dropped: u64,
}

/// A card.
#[derive(Debug)]
pub(crate) struct Link<D> {
    device: D,
    head: usize,
    /// Frames that the device has not told to be gone.
    sending: u8,
    /// Set once the device could not be spoken to; nothing goes in or out any more.
    broken: Option<Fault>,
    /// Of DHCP's answers.
    allowance: Allowance,
    counts: Cell<LinkCounts>,
}

impl<D: Device> Link<D> {
    /// A card on a device that was started with [`crate::wants::NET_FEATURES`] and [`crate::wants::NET_QUEUES`].
    pub(crate) fn new(device: D) -> Self {
        let head = if device.features() & crate::wants::VERSION_1 != 0 { HEAD } else { OLD_HEAD };
        let (allowance, counts) = (Allowance::default(), Cell::default());
        let mut link = Self { device, head, sending: 0, broken: None, allowance, counts };
        link.offer_room();
        link
    }

    /// The card's address, if the device has one that a card can have.
    pub(crate) fn address(&self) -> Option<[u8; 6]> {
        if self.device.features() & ADDRESS == 0 {
            return None;
        }
        let both = crate::device::setting_u64(&self.device, 0)?;
        let [a, b, c, d, e, f, ..] = both.to_le_bytes();
        let address = [a, b, c, d, e, f];
        // The lowest bit of the first byte marks groups.
        (a & 1 == 0 && address != [0; 6]).then_some(address)
    }

    pub(crate) fn counts(&self) -> LinkCounts {
        self.counts.get()
    }

    pub(crate) fn broken(&self) -> Option<Fault> {
        self.broken
    }

    fn count(&self, change: impl FnOnce(&mut LinkCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Gives the device all the room there is for frames to come.
    fn offer_room(&mut self) {
        let mut offered = false;
        loop {
            match self.device.submit(RECEIVE, &[], &[self.head + FRAME]) {
                Ok(_) => offered = true,
                Err(Fault::Full) => break,
                Err(fault) => {
                    self.broken = Some(fault);
                    return;
                }
            }
        }
        if offered {
            self.device.notify(RECEIVE);
        }
    }

    /// Asks for an interrupt when a frame comes. True if there is one already.
    pub(crate) fn listen(&mut self) -> bool {
        self.broken.is_none() && self.device.listen(RECEIVE)
    }

    /// The next request of `queue` that has ended.
    fn finished(&mut self, queue: QueueIndex) -> Option<Finished> {
        if self.broken.is_some() {
            return None;
        }
        match self.device.finished(queue) {
            Ok(finished) => finished,
            Err(fault) => {
                self.broken = Some(fault);
                None
            }
        }
    }

    /// The next frame that came. One that cannot be a frame is passed over, a bounded number at a time.
    fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        for _ in 0..RECEIVE_SHAPE.depth {
            let Finished { ticket, written } = self.finished(RECEIVE)?;
            let length = written.saturating_sub(self.head).min(FRAME);
            let mut frame = vec![0; length];
            let copied = self.device.copy_out(RECEIVE, ticket, self.head, &mut frame);
            self.device.release(RECEIVE, ticket);
            self.offer_room();
            if copied.is_ok() && length >= ETHERNET_HEAD && self.allowance.takes(&frame, now) {
                self.count(|counts| {
                    counts.received = counts.received.saturating_add(1);
                    counts.received_bytes = counts.received_bytes.saturating_add(length as u64);
                });
                return Some(frame);
            }
            self.count(|counts| counts.dropped = counts.dropped.saturating_add(1));
        }
        None
    }

    fn collect_sent(&mut self) {
        for _ in 0..TRANSMIT_SHAPE.depth {
            let Some(finished) = self.finished(TRANSMIT) else { return };
            self.device.release(TRANSMIT, finished.ticket);
            self.sending = self.sending.saturating_sub(1);
        }
    }

    /// Sends one frame, or drops it: what is lost on the way is sent again by those whom it concerns.
    fn send(&mut self, frame: &[u8]) {
        let head = [0; HEAD];
        let parts: [&[u8]; 2] = [head.get(..self.head).unwrap_or(&head), frame];
        match self.device.submit(TRANSMIT, &parts, &[]) {
            Ok(_) => {
                self.device.notify(TRANSMIT);
                self.sending = self.sending.saturating_add(1);
                self.count(|counts| {
                    counts.sent = counts.sent.saturating_add(1);
                    counts.sent_bytes = counts.sent_bytes.saturating_add(frame.len() as u64);
                });
            }
            Err(fault) => {
                if fault == Fault::Broken {
                    self.broken = Some(fault);
                }
                self.count(|counts| counts.dropped = counts.dropped.saturating_add(1));
            }
        }
    }
}

/// Two addresses and a type: nothing shorter is a frame.
const ETHERNET_HEAD: usize = 14;

/// A frame that came.
pub(crate) struct Came(Vec<u8>);

impl phy::RxToken for Came {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Leave to send a frame.
pub(crate) struct Leave<'a, D>(&'a mut Link<D>);

impl<D: Device> phy::TxToken for Leave<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.send(&frame);
        result
    }
}

impl<D: Device> phy::Device for Link<D> {
    type RxToken<'a>
        = Came
    where
        Self: 'a;
    type TxToken<'a>
        = Leave<'a, D>
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(Came, Leave<'_, D>)> {
        self.collect_sent();
        let frame = self.take(now)?;
        Some((Came(frame), Leave(self)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Leave<'_, D>> {
        self.collect_sent();
        (self.broken.is_none() && self.sending < TRANSMIT_SHAPE.depth).then_some(Leave(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(TRANSMIT_SHAPE.depth.into());
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}
