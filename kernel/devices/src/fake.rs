//! A device for tests: one queue whose requests a closure answers, and that can be told to misbehave.

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use core::time::Duration;

use crate::device::UNWRITTEN;
use crate::{Clock, Device, Fault, Finished, QueueIndex, Shape, Ticket};

/// A clock that moves by a tick at each look and by more at each rest.
#[derive(Clone, Default)]
pub struct Ticks(Rc<Cell<Duration>>);

impl Ticks {
    /// Moves it on.
    pub fn pass(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}

impl Clock for Ticks {
    fn now(&self) -> Duration {
        self.pass(Duration::from_micros(20));
        self.0.get()
    }

    fn rest(&self) {
        self.pass(Duration::from_millis(10));
    }
}

/// One request as the device sees it.
pub struct Request {
    pub queue: QueueIndex,
    pub sent: Vec<Vec<u8>>,
    pub room: usize,
    ticket: Ticket,
    seen: bool,
}

/// What the device does with a request: what it writes, and how much it says it wrote. `None` leaves it unanswered.
pub type Answering = Box<dyn FnMut(&Request) -> Option<(Vec<u8>, usize)>>;

/// Handles that a test keeps.
#[derive(Clone, Default)]
pub struct Wires {
    /// While set nothing is answered.
    pub held: Rc<Cell<bool>>,
    /// Answers from the youngest request on.
    pub backwards: Rc<Cell<bool>>,
    /// The next look at the queue finds it broken.
    pub broken: Rc<Cell<bool>>,
    /// The most requests that were under way at once.
    pub most: Rc<Cell<usize>>,
    /// Buffers that are taken.
    pub taken: Rc<Cell<usize>>,
    /// Times that somebody asked for an interrupt.
    pub listened: Rc<Cell<usize>>,
    /// Times that the device was notified.
    pub notified: Rc<Cell<usize>>,
}

/// A queue's buffers: `None` free, empty vector under way, else the answer.
struct Buffers {
    shape: Shape,
    answers: Vec<Option<Vec<u8>>>,
}

pub struct FakeDevice {
    pub features: u64,
    pub settings: Vec<u8>,
    pub restless: Cell<bool>,
    pub wires: Wires,
    buffers: Vec<Buffers>,
    requests: VecDeque<Request>,
    answering: Rc<RefCell<Answering>>,
    version: Cell<u32>,
}

impl FakeDevice {
    pub fn new(shapes: &[Shape], features: u64, settings: Vec<u8>, answering: Answering) -> Self {
        Self {
            features,
            settings,
            restless: Cell::new(false),
            wires: Wires::default(),
            buffers: shapes
                .iter()
                .map(|shape| Buffers { shape: *shape, answers: vec![None; shape.depth.into()] })
                .collect(),
            requests: VecDeque::new(),
            answering: Rc::new(RefCell::new(answering)),
            version: Cell::new(0),
        }
    }

    fn buffers(&mut self, queue: QueueIndex) -> &mut Buffers {
        &mut self.buffers[usize::from(queue.0)]
    }
}

impl Device for FakeDevice {
    fn features(&self) -> u64 {
        self.features
    }

    fn setting(&self, offset: usize) -> Option<u32> {
        if self.restless.get() {
            self.version.set(self.version.get() + 1);
        }
        let bytes = self.settings.get(offset..offset + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().unwrap()))
    }

    fn settings_version(&self) -> u32 {
        self.version.get()
    }

    fn submit(&mut self, queue: QueueIndex, send: &[&[u8]], receive: &[usize]) -> Result<Ticket, Fault> {
        let sent: Vec<Vec<u8>> = send.iter().map(|part| part.to_vec()).collect();
        let room = receive.iter().sum::<usize>();
        assert!(sent.iter().all(|part| !part.is_empty()) && receive.iter().all(|part| *part > 0));
        let buffers = self.buffers(queue);
        if sent.iter().map(Vec::len).sum::<usize>() + room > buffers.shape.room {
            return Err(Fault::TooLarge);
        }
        let free = buffers.answers.iter().position(Option::is_none).ok_or(Fault::Full)?;
        buffers.answers[free] = Some(Vec::new());
        let ticket = Ticket(free.try_into().unwrap());
        self.requests.push_back(Request { queue, sent, room, ticket, seen: false });
        self.wires.taken.set(self.wires.taken.get() + 1);
        self.wires.most.set(self.wires.most.get().max(self.wires.taken.get()));
        Ok(ticket)
    }

    fn notify(&mut self, _queue: QueueIndex) {
        self.wires.notified.set(self.wires.notified.get() + 1);
        self.requests.iter_mut().for_each(|request| request.seen = true);
    }

    fn listen(&mut self, _queue: QueueIndex) -> bool {
        self.wires.listened.set(self.wires.listened.get() + 1);
        false
    }

    fn finished(&mut self, queue: QueueIndex) -> Result<Option<Finished>, Fault> {
        if self.wires.broken.get() {
            return Err(Fault::Broken);
        }
        if self.wires.held.get() {
            return Ok(None);
        }
        let mut order: Vec<usize> = (0..self.requests.len()).collect();
        if self.wires.backwards.get() {
            order.reverse();
        }
        for at in order {
            let request = &self.requests[at];
            if request.queue != queue || !request.seen {
                continue;
            }
            let Some((mut bytes, written)) = (self.answering.borrow_mut())(request) else { continue };
            let (ticket, room) = (request.ticket, request.room);
            bytes.resize(room, UNWRITTEN);
            self.requests.remove(at);
            self.buffers(queue).answers[ticket.index()] = Some(bytes);
            return Ok(Some(Finished { ticket, written: written.min(room) }));
        }
        Ok(None)
    }

    fn copy_out(
        &mut self,
        queue: QueueIndex,
        ticket: Ticket,
        at: usize,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let answer = self.buffers(queue).answers[ticket.index()].as_ref().expect("a request that has ended");
        out.copy_from_slice(answer.get(at..at + out.len()).ok_or(Fault::TooLarge)?);
        Ok(())
    }

    fn release(&mut self, queue: QueueIndex, ticket: Ticket) {
        assert!(self.buffers(queue).answers[ticket.index()].take().is_some(), "released twice");
        self.wires.taken.set(self.wires.taken.get() - 1);
    }
}
