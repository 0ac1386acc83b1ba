//! Entropy from a virtio source of it, for sequence numbers and keys of hash maps.

use core::time::Duration;

use thiserror::Error;

use crate::patience::{Patience, Silent};
use crate::{Clock, Device, Fault, QueueIndex, Shape};

/// Bytes asked for at once, and the most that one seed has.
const ROOM: usize = 64;

/// One queue of empty buffers.
pub(crate) const SHAPE: Shape = Shape { depth: 2, room: ROOM };

const REQUESTS: QueueIndex = QueueIndex(0);

/// How long the device may think. A host that is short of entropy itself may take a while.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SeedError {
    /// More bytes than a seed has.
    #[error("a seed has at most {ROOM} bytes")]
    TooLong,
    /// No answer in time.
    #[error("the source of entropy does not answer")]
    Silent,
    /// It says that it answered, and gave nothing.
    #[error("the source of entropy gave nothing")]
    Nothing,
    /// It could not be spoken to.
    #[error("the source of entropy: {0}")]
    Fault(#[from] Fault),
}

/// Fills `out` from a device that was started with [`crate::wants::SEED_FEATURES`] and [`crate::wants::SEED_QUEUES`]. What
/// comes is as good as the host: mix it with what else there is.
///
/// # Errors
/// [`SeedError`]; the device may not be used again then.
pub fn seed(device: &mut impl Device, clock: &impl Clock, out: &mut [u8]) -> Result<(), SeedError> {
    if out.len() > ROOM {
        return Err(SeedError::TooLong);
    }
    let patience = Patience::new(clock, PATIENCE);
    let mut left = out;
    while !left.is_empty() {
        let ticket = device.submit(REQUESTS, &[], &[left.len()])?;
        device.notify(REQUESTS);
        let written = loop {
            match device.finished(REQUESTS)? {
                Some(finished) if finished.ticket == ticket => break finished.written,
                Some(_) => return Err(SeedError::Fault(Fault::Broken)),
                None => patience.wait(clock, device, REQUESTS).map_err(|Silent| SeedError::Silent)?,
            }
        };
        let Some((now, later)) = left.split_at_mut_checked(written).filter(|(now, _)| !now.is_empty()) else {
            return Err(SeedError::Nothing);
        };
        device.copy_out(REQUESTS, ticket, 0, now)?;
        device.release(REQUESTS, ticket);
        left = later;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeDevice, Ticks};
    use std::boxed::Box;
    use std::vec;

    fn ask(length: usize, each: usize) -> Result<std::vec::Vec<u8>, SeedError> {
        let mut next = 0;
        let answering = Box::new(move |request: &crate::fake::Request| {
            let given = each.min(request.room);
            next += 1;
            Some((vec![next; given], given))
        });
        let mut device = FakeDevice::new(&[SHAPE], 0, vec![], answering);
        let mut out = vec![0; length];
        seed(&mut device, &Ticks::default(), &mut out).map(|()| out)
    }

    #[test]
    fn a_seed_may_come_in_pieces() {
        assert_eq!(ask(5, 2), Ok(vec![1, 1, 2, 2, 3]));
        assert_eq!(ask(64, 100).map(|out| out.len()), Ok(64));
    }

    #[test]
    fn nothing_silence_and_too_much_are_errors() {
        assert_eq!(ask(5, 0), Err(SeedError::Nothing));
        assert_eq!(ask(65, 65), Err(SeedError::TooLong));
        let mut silent = FakeDevice::new(&[SHAPE], 0, vec![], Box::new(|_| None));
        assert_eq!(seed(&mut silent, &Ticks::default(), &mut [0; 8]), Err(SeedError::Silent));
    }
}
