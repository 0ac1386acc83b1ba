//! Memory for bytes on their way out: large buffers that are used again, as many as there may be in all; beyond that small ones.
//!
//! A large piece is cheap to read and to send, but a client that takes its time holds it, and there may be thousands of them. So
//! large buffers are counted for the whole process. Whoever finds none gets a small one and goes on, only not as fast: nobody
//! waits for another client. A buffer goes back when the last [`Bytes`] made of it is dropped.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Bytes of a large buffer: about what a socket takes at once.
pub(crate) const LARGE: usize = 256 * 1024;
/// Bytes of a small buffer, the least that a download holds.
const SMALL: usize = 16 * 1024;
/// Large buffers in all: 24 MiB.
const MOST_LARGE: usize = 96;
/// Large buffers that are kept for later: 8 MiB.
const MOST_KEPT: usize = 32;

static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), taken: 0 });

struct Pool {
    free: Vec<Box<[u8]>>,
    taken: usize,
}

fn pool() -> MutexGuard<'static, Pool> {
    // The pool is valid after any panic: no change to it can panic half-way.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer to read into.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
    is_large: bool,
}

impl Buffer {
    /// A buffer for at most `wanted` bytes. It may hold less, and what it holds at first means nothing.
    pub(crate) fn take(wanted: usize) -> Self {
        if wanted > SMALL {
            let mut pool = pool();
            if pool.taken < MOST_LARGE {
                pool.taken += 1;
                let kept = pool.free.pop();
                drop(pool);
                let bytes = kept.unwrap_or_else(|| vec![0; LARGE].into());
                return Self { filled: wanted.min(LARGE), bytes, is_large: true };
            }
        }
        let filled = wanted.min(SMALL);
        Self { filled, bytes: vec![0; filled].into(), is_large: false }
    }

    /// Room for as much as is wanted and fits.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.filled).unwrap_or_default()
    }

    /// The first `filled` bytes of it.
    pub(crate) fn freeze(mut self, filled: usize) -> Bytes {
        self.filled = self.filled.min(filled);
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.is_large {
            let bytes = std::mem::take(&mut self.bytes);
            let mut pool = pool();
            pool.taken = pool.taken.saturating_sub(1);
            if pool.free.len() < MOST_KEPT {
                pool.free.push(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests of this file take all that there is.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn large_ones_are_counted_and_come_back() {
        let _alone = ONE_AT_A_TIME.lock();
        let taken: Vec<Buffer> = (0..2 * MOST_LARGE).map(|_| Buffer::take(10 * LARGE)).collect();
        let sizes: Vec<usize> = taken.iter().map(|buffer| buffer.len()).collect();
        let large = sizes.iter().filter(|size| **size == LARGE).count();
        // Other tests of this process may hold some.
        assert!(large <= MOST_LARGE && large > MOST_LARGE / 2, "{large}");
        assert!(sizes.iter().all(|size| [LARGE, SMALL].contains(size)));
        drop(taken);
        assert_eq!(Buffer::take(LARGE).len(), LARGE);
        assert!(pool().free.len() <= MOST_KEPT);
    }

    #[test]
    fn bytes_hold_their_buffer() {
        let _alone = ONE_AT_A_TIME.lock();
        let mut buffer = Buffer::take(LARGE);
        buffer.room().fill(7);
        let bytes = buffer.freeze(20_000);
        let part = bytes.slice(19_999..);
        drop(bytes);
        // Would be cleared, were it given out again.
        let mut others: Vec<Buffer> = (0..MOST_LARGE).map(|_| Buffer::take(LARGE)).collect();
        others.iter_mut().for_each(|other| other.room().fill(0));
        assert_eq!(part, [7][..]);
        assert_eq!(Buffer::take(0).len(), 0);
    }
}
