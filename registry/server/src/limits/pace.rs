//! Whether bytes move fast enough. Only time in which the client is waited for counts, and the first of it is free.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// What is asked of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// How long nothing may move.
    pub(crate) idle: Duration,
    /// Bytes a second; 0 for any.
    pub(crate) rate: u64,
    /// Waiting that is free.
    pub(crate) grace: Duration,
}

/// What was seen of a client. Old times fade, so that a fast beginning does not pay for a slow end for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    moved: u64,
}

impl Pace {
    /// Bytes moved, after they were waited for.
    pub(super) fn moved(&mut self, bytes: u64, waited: Duration, demand: &Demand) {
        self.moved = self.moved.saturating_add(bytes);
        self.waited += waited;
        if self.waited > demand.grace * 2 {
            self.waited /= 2;
            self.moved /= 2;
        }
    }

    /// Whether a client that lets us wait `more` by now is too slow.
    pub(super) fn is_too_slow(&self, more: Duration, demand: &Demand) -> bool {
        let waited = self.waited + more;
        let expected = u128::from(demand.rate) * waited.as_millis() / 1000;
        more >= demand.idle || (waited > demand.grace && u128::from(self.moved) < expected)
    }
}

/// A [`Pace`] with a clock: looks at it while nothing moves.
#[derive(Debug)]
pub(super) struct Watch {
    demand: Demand,
    pace: Pace,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(super) fn new(demand: Demand) -> Self {
        Self { demand, pace: Pace::default(), since: None, alarm: None }
    }

    /// Bytes moved. Costs nothing to speak of when they were not waited for.
    pub(super) fn moved(&mut self, bytes: u64) {
        let waited = self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.pace.moved(bytes, waited, &self.demand);
    }

    /// Nothing moves now: ready once the client is too slow.
    pub(super) fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        // Looking four times in the shortest time that matters is exact enough.
        let step = self.demand.idle.min(self.demand.grace) / 4;
        let step = step.clamp(Duration::from_millis(10), Duration::from_secs(5));
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(step)));
        loop {
            ready!(alarm.as_mut().poll(context));
            if self.pace.is_too_slow(since.elapsed(), &self.demand) {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(tokio::time::Instant::now() + step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DEMAND: Demand =
        Demand { idle: Duration::from_secs(60), rate: 1000, grace: Duration::from_secs(10) };

    #[test]
    fn the_first_waiting_is_free_then_the_rate_counts() {
        let mut pace = Pace::default();
        assert!(!pace.is_too_slow(SECOND * 10, &DEMAND) && pace.is_too_slow(SECOND * 11, &DEMAND));
        pace.moved(10_000, SECOND * 9, &DEMAND);
        assert!(!pace.is_too_slow(SECOND, &DEMAND) && pace.is_too_slow(SECOND * 2, &DEMAND));
        // What moved without being waited for is to the client's good.
        pace.moved(1_000_000, Duration::ZERO, &DEMAND);
        assert!(!pace.is_too_slow(SECOND * 59, &DEMAND));
        // Nothing at all for the idle time is too slow for any rate.
        assert!(pace.is_too_slow(SECOND * 60, &DEMAND));
        assert!(!Pace::default().is_too_slow(SECOND * 59, &Demand { rate: 0, ..DEMAND }));
    }

    #[test]
    fn a_fast_beginning_fades() {
        let mut pace = Pace::default();
        pace.moved(10_000_000, SECOND, &DEMAND);
        let slow = (0..1000).find(|_| {
            pace.moved(1, SECOND * 5, &DEMAND);
            pace.is_too_slow(Duration::ZERO, &DEMAND)
        });
        assert!(slow.is_some_and(|rounds| rounds > 10), "{slow:?}");
    }
}
