//! One connection to the status page: a request in, an answer out, within bounds of size and time.
//!
//! What is asked and what is answered is not known here, nor where a request ends: whoever polls gives a function from what
//! came so far to the bytes of the whole answer, and says how long a request may become.

use alloc::vec;
use alloc::vec::Vec;

use core::time::Duration;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

/// From a request, as far as it came, to the answer; `None` while more of it is to come.
pub type Respond<'a> = &'a mut dyn FnMut(&[u8]) -> Option<Vec<u8>>;

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Port of TCP.
    pub port: u16,
    /// Bytes of the longest request. Who has sent as many and is not answered is cut off.
    pub longest: usize,
}

/// Bytes on their way into one connection.
const IN: usize = 2048;
/// Bytes on their way out of one connection.
const OUT: usize = 8192;
/// How long a connection may take from its first byte to its last.
pub const TIME: Duration = Duration::from_secs(20);
/// How long whoever asks for a connection may take to show that he is there. Anybody can ask in another's name, and there are
/// few places.
pub const HALF_OPEN: Duration = Duration::from_secs(3);

/// What a connection is at.
#[derive(Debug)]
enum Step {
    /// Nobody is there.
    Listening,
    /// The request comes.
    Reading(Vec<u8>),
    /// The answer goes; so many bytes of it are gone.
    Answering(Vec<u8>, usize),
    /// Everything is said; the other side is to close too.
    Closing,
}

/// A connection, or its place.
#[derive(Debug)]
pub(crate) struct Page {
    step: Step,
    since: Duration,
    /// Whether the socket was more than listening since it was told to listen.
    used: bool,
}

/// A socket of the size that [`Page`] needs.
pub(crate) fn socket() -> Socket<'static> {
    Socket::new(SocketBuffer::new(vec![0; IN]), SocketBuffer::new(vec![0; OUT]))
}

impl Page {
    pub(crate) fn new() -> Self {
        Self { step: Step::Listening, since: Duration::ZERO, used: false }
    }

    /// To be called after each frame. A socket of smoltcp (0.14) that was half open and hears that nobody is there listens again
    /// with the window of that connection: the next one's first segments are then compared with it, and numbers that lie far
    /// apart end in a panic. So it begins anew.
    pub(crate) fn settle(&mut self, socket: &mut Socket<'_>, service: Service) {
        if socket.state() != State::Listen {
            self.used |= socket.is_open();
        } else if self.used {
            socket.abort();
            self.listen(socket, service);
        }
    }

    fn listen(&mut self, socket: &mut Socket<'_>, service: Service) {
        (self.step, self.used) = (Step::Listening, false);
        // Fails only for port 0 or an open socket.
        let _ = socket.listen(service.port);
    }

    /// Does what there is to do. True if an answer was made.
    pub(crate) fn poll(
        &mut self,
        socket: &mut Socket<'_>,
        service: Service,
        now: Duration,
        respond: Respond<'_>,
    ) -> bool {
        if !socket.is_open() {
            self.listen(socket, service);
            return false;
        }
        if socket.state() == State::Listen {
            return false;
        }
        if matches!(self.step, Step::Listening) {
            (self.step, self.since) = (Step::Reading(Vec::new()), now);
        }
        let limit = if socket.state() == State::SynReceived { HALF_OPEN } else { TIME };
        if now.saturating_sub(self.since) >= limit {
            socket.abort();
            self.step = Step::Closing;
            return false;
        }
        let mut answered = false;
        if let Step::Reading(request) = &mut self.step {
            let mut answer = None;
            while answer.is_none() && request.len() < service.longest && socket.can_recv() {
                let room = service.longest - request.len();
                let taken = socket.recv(|bytes| {
                    let taken = bytes.get(..room).unwrap_or(bytes);
                    request.extend_from_slice(taken);
                    (taken.len(), taken.len())
                });
                if taken.is_err() {
                    break;
                }
                answer = respond(request);
            }
            if let Some(answer) = answer {
                self.step = Step::Answering(answer, 0);
                answered = true;
            } else if request.len() >= service.longest
                || !socket.may_recv() && socket.state() != State::SynReceived
            {
                // Longer than any request, or closed before there was a whole one.
                socket.close();
                self.step = Step::Closing;
            }
        }
        if let Step::Answering(answer, gone) = &mut self.step {
            while let Some(left) = answer.get(*gone..).filter(|left| !left.is_empty()) {
                match socket.send_slice(left) {
                    Ok(0) | Err(_) => break,
                    Ok(sent) => *gone = gone.saturating_add(sent),
                }
            }
            if *gone >= answer.len() || !socket.may_send() {
                socket.close();
                self.step = Step::Closing;
            }
        }
        // What still comes is nothing to anybody, but must be taken for the connection to end well.
        if matches!(self.step, Step::Closing) {
            while socket.can_recv() && socket.recv(|bytes| (bytes.len(), ())).is_ok() {}
        }
        answered
    }
}
