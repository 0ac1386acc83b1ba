//! How fast bytes may come: a bucket that fills with time and is emptied by what came.
//!
//! It is told the time and never waits. Bytes that came cannot be sent back, so it may owe; what it owes is how long to wait before the next
//! ones are read. One bucket serves all requests of a pull, which then share the rate whatever their number.

use core::num::NonZeroU64;
use core::time::Duration;

/// Nanoseconds of a second.
const SECOND: u128 = 1_000_000_000;
/// What may come at once after a pause, in time: long enough for a round trip, short enough not to be noticed by others.
const BURST: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub struct Bucket {
    per_second: NonZeroU64,
    /// Up to when what came has used the rate up; before now: that much is saved.
    used_until: Duration,
}

impl Bucket {
    /// A bucket of so many bytes a second, full. Times count from when it is made.
    pub const fn new(per_second: NonZeroU64) -> Self {
        Self { per_second, used_until: Duration::ZERO }
    }

    /// Tells that `bytes` came by `now`; gives how long to wait before more are read. A clock that goes back counts as standing still.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let nanos = u128::from(bytes).saturating_mul(SECOND) / u128::from(self.per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let from = self.used_until.max(now.saturating_sub(BURST));
        self.used_until = from.saturating_add(cost);
        self.used_until.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: u64 = 1 << 10;

    fn bucket(per_second: u64) -> Bucket {
        Bucket::new(NonZeroU64::new(per_second).unwrap())
    }

    #[test]
    fn a_second_brings_the_rate() {
        let mut bucket = bucket(100 * KIB);
        assert_eq!(bucket.take(Duration::ZERO, 100 * KIB), Duration::from_secs(1));
        // What was waited for is paid.
        assert_eq!(bucket.take(Duration::from_secs(1), 50 * KIB), Duration::from_millis(500));
        // Whoever does not wait waits longer.
        assert_eq!(bucket.take(Duration::from_secs(1), 50 * KIB), Duration::from_secs(1));
    }

    #[test]
    fn a_pause_saves_a_burst_and_no_more() {
        let mut bucket = bucket(1000);
        assert_eq!(bucket.take(Duration::from_secs(3600), 250), Duration::ZERO);
        assert_eq!(bucket.take(Duration::from_secs(3600), 250), Duration::from_millis(250));
    }

    #[test]
    fn no_number_is_too_large() {
        let mut slow = bucket(1);
        assert!(slow.take(Duration::ZERO, u64::MAX) > Duration::from_secs(3600));
        slow.take(Duration::MAX, u64::MAX);
        assert_eq!(bucket(u64::MAX).take(Duration::ZERO, 1), Duration::ZERO);
    }

    proptest! {
        /// Whoever heeds it gets no more than the rate and one burst, in whatever pieces and with whatever pauses.
        #[test]
        fn who_waits_keeps_to_the_rate(rate in 1_000u64..1 << 30, steps in proptest::collection::vec((0u64..1 << 20, 0u64..2_000), 1..100)) {
            let mut bucket = bucket(rate);
            let (mut now, mut came, mut last) = (Duration::ZERO, 0u64, 0);
            for (bytes, pause) in steps {
                now += bucket.take(now, bytes) + Duration::from_millis(pause);
                came += bytes;
                last = bytes;
            }
            let allowed = rate as f64 * (now.as_secs_f64() + BURST.as_secs_f64()) + 1.0;
            prop_assert!((came - last.min(came)) as f64 <= allowed && came as f64 <= allowed + last as f64);
        }

        /// And no less: without pauses all of it is used.
        #[test]
        fn who_waits_loses_nothing(rate in 1_000u64..1 << 30, pieces in proptest::collection::vec(1u64..1 << 20, 1..100)) {
            let mut bucket = bucket(rate);
            let mut now = Duration::ZERO;
            for bytes in &pieces {
                now += bucket.take(now, *bytes);
            }
            let needed = pieces.iter().sum::<u64>() as f64 / rate as f64;
            prop_assert!(now.as_secs_f64() <= needed + 0.001, "{now:?} for {needed}");
        }
    }
}
