//! How slowly an answer may come. A server that sends a byte now and then would hold whoever waits for ever ("slow retrieval" in the
//! words of TUF), and is as lost as one that is silent.
//!
//! Only time that is spent waiting for the server counts, not what is done with the bytes meanwhile. The least rate is far below that of any
//! link that is of use: eight requests beside each other over GSM (9600 bit/s) stay above it.

use std::time::Duration;

use reqwest::Response;
use tokio::time::Instant;

use crate::http::{TransferError, stalled};
use bytes::Bytes;

/// Bytes in a second.
const LEAST: u64 = 64;
/// Times without any byte, after which a server counts as silent, over which the rate is looked at.
const WINDOWS: u32 = 4;

/// Looks at the rate of one answer.
#[derive(Debug)]
pub(crate) struct Pace {
    window: Duration,
    waited: Duration,
    came: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { window: stalled() * WINDOWS, waited: Duration::ZERO, came: 0 }
    }

    /// The next bytes of an answer; `None` at its end.
    pub(crate) async fn next(
        &mut self,
        what: &str,
        response: &mut Response,
    ) -> Result<Option<Bytes>, TransferError> {
        let asked = Instant::now();
        let part = response.chunk().await.map_err(|error| TransferError::network(what, &error))?;
        let came = part.as_ref().map_or(0, Bytes::len) as u64;
        if self.holds(asked.elapsed(), came) {
            return Ok(part);
        }
        let cause = format!("timed out: less than {LEAST} bytes came in a second");
        Err(TransferError::Network { what: what.to_owned(), cause })
    }

    /// Whether it is still fast enough when so many bytes came after so long.
    fn holds(&mut self, waited: Duration, came: u64) -> bool {
        self.waited += waited;
        self.came = self.came.saturating_add(came);
        if self.waited < self.window {
            return true;
        }
        let least = LEAST.saturating_mul(self.waited.as_secs());
        let holds = self.came >= least;
        (self.waited, self.came) = (Duration::ZERO, 0);
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace { window: Duration::from_secs(120), waited: Duration::ZERO, came: 0 }
    }

    #[test]
    fn a_byte_a_second_is_too_slow_and_a_weak_link_is_not() {
        let mut pace_of_dripping = pace();
        let until = (1..).find(|_| !pace_of_dripping.holds(Duration::from_secs(1), 1));
        assert_eq!(until, Some(120));
        let mut weak = pace();
        assert!((0..10_000).all(|_| weak.holds(Duration::from_secs(1), 150)));
    }

    #[test]
    fn an_outage_after_a_quick_start_is_seen() {
        let mut pace = pace();
        assert!(pace.holds(Duration::from_secs(100), 1 << 20));
        // What came before the window does not count for the next.
        assert!(pace.holds(Duration::from_secs(20), 1));
        assert!(pace.holds(Duration::from_secs(100), 10));
        assert!(!pace.holds(Duration::from_secs(20), 10));
    }
}
