//! A network card whose wire is two lists: what it brings, what it was given to send.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use plyos_kernel_devices::{Device, Fault, Finished, QueueIndex, Ticket, wants};

/// Address of the card.
pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// What stands before each frame.
const HEAD: usize = 12;

/// The wire's end that the world holds.
#[derive(Clone, Default)]
pub struct Wire {
    /// Frames for the card.
    pub to_card: Rc<RefCell<VecDeque<Vec<u8>>>>,
    /// Frames that it sent.
    pub from_card: Rc<RefCell<Vec<Vec<u8>>>>,
    /// While set nothing that is to be sent is gone.
    pub held: Rc<Cell<bool>>,
}

/// One queue: `None` for a free slot, else what the device has written into it.
type Slots = Vec<Option<Vec<u8>>>;

/// The card. What is sent has arrived once somebody looks for the end of sending.
pub struct Card {
    wire: Wire,
    slots: [Slots; 2],
    sending: VecDeque<Ticket>,
    waiting: VecDeque<Ticket>,
}

impl Card {
    /// A card at this wire.
    pub fn new(wire: Wire) -> Self {
        let slots = [0, 1].map(|queue| vec![None; wants::NET_QUEUES[queue].depth.into()]);
        Self { wire, slots, sending: VecDeque::new(), waiting: VecDeque::new() }
    }
}

impl Device for Card {
    fn features(&self) -> u64 {
        wants::NET_FEATURES
    }

    fn setting(&self, offset: usize) -> Option<u32> {
        let [a, b, c, d, e, f] = MAC;
        [[a, b, c, d], [e, f, 0, 0]].get(offset / 4).map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn settings_version(&self) -> u32 {
        0
    }

    fn submit(&mut self, queue: QueueIndex, send: &[&[u8]], receive: &[usize]) -> Result<Ticket, Fault> {
        let shape = wants::NET_QUEUES[usize::from(queue.0)];
        let room = send.iter().map(|part| part.len()).sum::<usize>() + receive.iter().sum::<usize>();
        assert!(room <= shape.room, "a request of {room} bytes in a queue for {}", shape.room);
        let slots = &mut self.slots[usize::from(queue.0)];
        let free = slots.iter().position(Option::is_none).ok_or(Fault::Full)?;
        slots[free] = Some(Vec::new());
        let ticket = Ticket(free as u8);
        if queue == QueueIndex(0) {
            self.waiting.push_back(ticket);
        } else {
            self.sending.push_back(ticket);
            self.wire.from_card.borrow_mut().push(send[1].to_vec());
        }
        Ok(ticket)
    }

    fn notify(&mut self, _line: QueueIndex) {}

    fn listen(&mut self, _line: QueueIndex) -> bool {
        false
    }

    fn finished(&mut self, queue: QueueIndex) -> Result<Option<Finished>, Fault> {
        if queue == QueueIndex(1) {
            let ticket = if self.wire.held.get() { None } else { self.sending.pop_front() };
            return Ok(ticket.map(|ticket| Finished { ticket, written: 0 }));
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let Some(frame) = self.wire.to_card.borrow_mut().pop_front() else { return Ok(None) };
        let ticket = self.waiting.pop_front().ok_or(Fault::Broken)?;
        let mut bytes = [vec![0; HEAD], frame].concat();
        bytes.truncate(wants::NET_QUEUES[0].room);
        let written = bytes.len();
        self.slots[0][ticket.index()] = Some(bytes);
        Ok(Some(Finished { ticket, written }))
    }

    fn copy_out(
        &mut self,
        queue: QueueIndex,
        ticket: Ticket,
        at: usize,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let slot = self.slots[usize::from(queue.0)][ticket.index()].as_ref().ok_or(Fault::Broken)?;
        out.copy_from_slice(slot.get(at..at + out.len()).ok_or(Fault::TooLarge)?);
        Ok(())
    }

    fn release(&mut self, queue: QueueIndex, ticket: Ticket) {
        let slot = self.slots[usize::from(queue.0)][ticket.index()].take();
        assert!(slot.is_some(), "a slot was given back twice");
    }
}
