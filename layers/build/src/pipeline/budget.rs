//! A bound on the bytes that are under way between reading and writing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a piece costs beside its bytes, so that very many small pieces are bounded too.
const OVERHEAD: usize = 1024;

/// How many bytes are under way. Permits are given in the order in which they are asked for by one thread.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: Mutex<usize>,
    freed: Condvar,
}

/// Bytes of the budget, given back when dropped: also when a channel with it is torn down, so nobody waits for ever.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: Mutex::new(0), freed: Condvar::new() })
    }

    /// Waits until `bytes` more fit. A piece larger than the whole budget passes alone.
    pub(crate) fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        let bytes = bytes + OVERHEAD;
        let mut used = self.lock();
        while *used > 0 && *used + bytes > self.limit {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        Permit { budget: Arc::clone(self), bytes }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.budget.lock() -= self.bytes;
        self.budget.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_until_bytes_are_given_back() {
        let budget = Budget::new(10_000);
        let first = budget.acquire(6_000);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(budget.acquire(6_000)).unwrap());
            assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "must wait");
            drop(first);
            drop(receiver.recv_timeout(Duration::from_secs(10)).unwrap());
        });
        assert_eq!(*budget.lock(), 0);
    }

    #[test]
    fn a_piece_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(10);
        drop(budget.acquire(1 << 20));
        assert_eq!(*budget.lock(), 0);
    }
}
