//! How fast a background job may ask the store, so that requests of clients do not wait for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much of the allowance may be saved up.
const BURST: Duration = Duration::from_millis(250);

/// A bound on operations a second. Without one it does not wait.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Time that one operation is worth.
    each: Option<Duration>,
    next: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        let each = per_second.map(|per_second| Duration::from_secs(1) / per_second.max(1));
        Self { each, next: Mutex::new(Instant::now()) }
    }

    /// Waits until one more operation is allowed.
    pub(crate) async fn step(&self) {
        let Some(each) = self.each else { return };
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let earliest = Instant::now().checked_sub(BURST).unwrap_or(*next);
            let turn = (*next).max(earliest);
            *next = turn + each;
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn operations_keep_to_the_rate() {
        let pace = Pace::new(Some(100));
        let start = Instant::now();
        for _ in 0..301 {
            pace.step().await;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }
}
