//! Time, as an argument: a core reads no clock of its own.

use core::time::Duration;

/// Tells how long the machine has been up, and how to pass time while a device is busy.
pub trait Clock {
    /// Time since start. Never goes back.
    fn now(&self) -> Duration;

    /// Lets a little time pass: until the next interrupt, or a moment where there are none. Bounded: it returns even if no
    /// device ever speaks again.
    fn rest(&self);
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn rest(&self) {
        (**self).rest();
    }
}
