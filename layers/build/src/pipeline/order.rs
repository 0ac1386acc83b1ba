//! Putting frames that were made side by side back into the stream's order.

use std::collections::BTreeMap;
use std::io;

use crossbeam_channel::Receiver;

use super::worker::Frame;
use crate::error::BuildError;

/// Hands out each frame when all before it have been handed out, until no more come. How many wait here is bounded by
/// the permits that they hold.
pub(super) fn in_order(
    frames: Receiver<io::Result<Frame>>,
    mut each: impl FnMut(&Frame) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for frame in frames {
        let frame = frame.map_err(BuildError::Compress)?;
        waiting.insert(frame.ordinal, frame);
        while let Some(frame) = waiting.remove(&next) {
            each(&frame)?;
            next += 1;
        }
    }
    Ok(())
}
