//! The limit on what comes in: [`Bucket`] with a clock.

use plyos_plan::fetch::rate::Bucket;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Instant, sleep};

/// A rate that all requests of all clients share that hold it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Limit {
    bucket: Arc<Mutex<Bucket>>,
    begun: Instant,
}

impl Limit {
    /// So many bytes a second.
    pub fn new(per_second: NonZeroU64) -> Self {
        Self { bucket: Arc::new(Mutex::new(Bucket::new(per_second))), begun: Instant::now() }
    }

    /// Waits until more than the `bytes` that just came may be read.
    pub(crate) async fn came(&self, bytes: u64) {
        let now = self.begun.elapsed();
        let wait = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now, bytes);
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a clock that moves only when all wait.
    #[tokio::test(start_paused = true)]
    async fn requests_side_by_side_share_the_rate() {
        let limit = Limit::new(NonZeroU64::new(1000).unwrap());
        let begun = Instant::now();
        let request = |limit: Limit| async move {
            for _ in 0..5 {
                limit.came(100).await;
            }
        };
        tokio::join!(request(limit.clone()), request(limit.clone()), request(limit));
        assert_eq!(begun.elapsed().as_millis() / 10, 150, "1500 bytes");
    }
}
