//! The heap: runs of frames in the direct map, so that what lies on it in one piece lies in memory in one piece, and its size is
//! bounded. It begins small, for whoever reads the command line, and is then grown once to what that says.

use plyos_kernel_logic::frames::FRAME_SIZE;

use super::allocator::ALLOCATOR;
use super::{direct_map, frames};

/// The heap at the start.
const FIRST: u64 = 2 << 20;
/// Most of a heap that nobody asked for. More memory than this is left to frames.
const MOST: u64 = 1 << 30;
/// A run that is smaller is not worth having.
const LEAST: u64 = 1 << 20;

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

/// Takes what is needed to begin. Without it this is the end.
pub(super) fn start() {
    assert!(take(FIRST), "there is no memory for the heap: {} KiB in one piece are needed", FIRST >> 10);
}

/// Grows the heap to `limit` bytes, or without one to three quarters of the memory. Where no run of frames is that long, or so
/// much is not there, it becomes what can be had.
pub fn grow(limit: Option<u64>) {
    let memory = frames::counts();
    // Page tables and devices need frames too, whatever was asked for.
    let left = (memory.free * FRAME_SIZE).saturating_sub(memory.total * FRAME_SIZE / 16);
    let wanted = limit.unwrap_or((memory.total * FRAME_SIZE / 4 * 3).min(MOST)).min(counts().total + left);
    let mut piece = wanted.saturating_sub(counts().total);
    while piece >= LEAST && counts().total + LEAST <= wanted {
        piece = piece.min(wanted - counts().total);
        if !take(piece) {
            piece -= piece / 4;
        }
    }
}

/// Adds a run of so many bytes, if there is one.
fn take(bytes: u64) -> bool {
    let Some(at) = frames::take(bytes / FRAME_SIZE) else { return false };
    // SAFETY: I7: the frames are the heap's alone from now on, and are never given back.
    unsafe { ALLOCATOR.give(direct_map(at), (bytes / FRAME_SIZE * FRAME_SIZE) as usize) };
    true
}

/// How much is in use.
pub fn counts() -> HeapCounts {
    ALLOCATOR.counts()
}
