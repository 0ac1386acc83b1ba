//! One connection to the status page: a request in, an answer out, within bounds of size and time.
//!
//! What is asked and what is answered is not known here: whoever polls gives a function from the head of a request to the
//! bytes of the whole answer.

use alloc::vec;
use alloc::vec::Vec;

use core::time::Duration;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

/// From the head of an HTTP request, up to and with its empty line or as far as it came, to the answer.
pub type Respond<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

/// Bytes of the longest head that is waited for. What is longer is answered as it is, and the connection ends.
pub const REQUEST: usize = 2048;
/// Bytes on their way out of one connection.
const OUT: usize = 8192;
/// How long a connection may take from its first byte to its last.
pub const TIME: Duration = Duration::from_secs(20);

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
}

/// A socket of the size that [`Page`] needs.
pub(crate) fn socket() -> Socket<'static> {
    Socket::new(SocketBuffer::new(vec![0; REQUEST]), SocketBuffer::new(vec![0; OUT]))
}

impl Page {
    pub(crate) fn new() -> Self {
        Self { step: Step::Listening, since: Duration::ZERO }
    }

    /// When the connection must be over; `None` if there is none.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (!matches!(self.step, Step::Listening)).then(|| self.since.saturating_add(TIME))
    }

    /// Does what there is to do. True if an answer was made.
    pub(crate) fn poll(
        &mut self,
        socket: &mut Socket<'_>,
        port: u16,
        now: Duration,
        respond: Respond<'_>,
    ) -> bool {
        if !socket.is_open() {
            self.step = Step::Listening;
            // Fails only for port 0 or an open socket.
            let _ = socket.listen(port);
            return false;
        }
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            socket.abort();
            self.step = Step::Closing;
            return false;
        }
        let mut answered = false;
        if matches!(self.step, Step::Listening) && socket.is_active() {
            (self.step, self.since) = (Step::Reading(Vec::new()), now);
        }
        if let Step::Reading(request) = &mut self.step {
            while request.len() < REQUEST && !is_whole(request) && socket.can_recv() {
                let room = REQUEST - request.len();
                let taken = socket.recv(|bytes| {
                    let taken = bytes.get(..room).unwrap_or(bytes);
                    request.extend_from_slice(taken);
                    (taken.len(), taken.len())
                });
                if taken.is_err() {
                    break;
                }
            }
            if is_whole(request) || request.len() >= REQUEST {
                self.step = Step::Answering(respond(request), 0);
                answered = true;
            } else if !socket.may_recv() && socket.state() != State::SynReceived {
                // Closed before there was a request.
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

/// Whether a request's head is complete: it ends in an empty line.
fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n") || request.windows(2).any(|end| end == b"\n\n")
}
