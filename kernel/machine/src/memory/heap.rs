//! The heap: one run of frames, taken at the start, so that what the kernel can use is bounded and everything in it is physically
//! contiguous.

use plyos_kernel_logic::frames::FRAME_SIZE;

use super::allocator::ALLOCATOR;
use super::{direct_map, frames};

/// Most of a heap. More memory than this is left to frames.
const MOST: u64 = 1 << 30;
/// Least that a kernel can start with.
const LEAST: u64 = 8 << 20;

/// How much of the heap is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeapCounts {
    /// Bytes of the heap.
    pub total: u64,
    /// Bytes that were asked for and not given back.
    pub used: u64,
    /// Blocks of that.
    pub blocks: u64,
    /// The most bytes that were ever in use.
    pub peak: u64,
}

/// Takes three quarters of what is free, or less if that is not in one piece.
pub(super) fn start() {
    let mut bytes = (frames::counts().free * FRAME_SIZE / 4 * 3).min(MOST);
    while bytes >= LEAST {
        if let Some(at) = frames::take(bytes / FRAME_SIZE) {
            // SAFETY: I7: the frames are the heap's alone from now on, and are never given back.
            unsafe { ALLOCATOR.give(direct_map(at), (bytes / FRAME_SIZE * FRAME_SIZE) as usize) };
            return;
        }
        bytes -= bytes / 8;
    }
}

/// How much is in use.
pub fn counts() -> HeapCounts {
    ALLOCATOR.counts()
}
