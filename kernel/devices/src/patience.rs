//! Waiting for a device, with an end.

use core::hint::spin_loop;
use core::time::Duration;

use crate::{Clock, Device, QueueIndex};

/// How long to ask again and again before letting time pass: most requests end sooner than an interrupt would tell.
const EAGER: Duration = Duration::from_millis(1);

/// The device has not answered for as long as it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silent;

/// The end of waiting for the next answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    since: Duration,
    limit: Duration,
}

impl Patience {
    /// From now on, for so long.
    pub(crate) fn new(clock: &impl Clock, limit: Duration) -> Self {
        Self { since: clock.now(), limit }
    }

    /// To be called when nothing has come: lets a moment pass, or says that there were enough of them.
    pub(crate) fn wait(
        &self,
        clock: &impl Clock,
        device: &mut impl Device,
        queue: QueueIndex,
    ) -> Result<(), Silent> {
        let waited = clock.now().saturating_sub(self.since);
        if waited >= self.limit {
            return Err(Silent);
        }
        if waited < EAGER {
            spin_loop();
        } else if !device.listen(queue) {
            clock.rest();
        }
        Ok(())
    }
}
