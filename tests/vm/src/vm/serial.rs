//! The serial line: everything that the machine wrote, taken by a thread, to be waited for.

use std::io::Read;
use std::process::ChildStdout;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What came, and how much of it was read.
#[derive(Debug)]
pub(super) struct Serial {
    shared: Arc<(Mutex<State>, Condvar)>,
    read: usize,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Serial {
    pub(super) fn of(mut from: ChildStdout) -> Self {
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                let read = from.read(&mut piece).unwrap_or(0);
                let mut state = theirs.0.lock().unwrap_or_else(PoisonError::into_inner);
                state.bytes.extend_from_slice(&piece[..read]);
                state.ended = read == 0;
                theirs.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self { shared, read: 0, thread: Some(thread) }
    }

    pub(super) fn written(&self) -> String {
        let state = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&state.bytes).into_owned()
    }

    /// What stands between the place that was read up to and the end of the next `text`; both are behind it then.
    pub(super) fn read_until(&mut self, text: &str, patience: Duration) -> Result<String, &'static str> {
        let started = Instant::now();
        let mut state = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Where to look from: what was looked through once need not be again.
        let mut from = self.read;
        loop {
            let ahead = &state.bytes[from..];
            if let Some(at) = ahead.windows(text.len()).position(|window| window == text.as_bytes()) {
                let end = from + at + text.len();
                let read = String::from_utf8_lossy(&state.bytes[self.read..end]).into_owned();
                self.read = end;
                return Ok(read);
            }
            if state.ended {
                return Err("the machine has ended");
            }
            let left = patience.checked_sub(started.elapsed()).ok_or("waited in vain")?;
            from = state.bytes.len().saturating_sub(text.len()).max(self.read);
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes what is left, once the machine has ended.
    pub(super) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It read from a pipe and cannot have failed.
            let _ = thread.join();
        }
    }
}
