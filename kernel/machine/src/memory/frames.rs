//! The frames of this machine's memory. Which are free is decided in `plyos_kernel_logic::frames`; here are the bits.

use core::ops::Range;
use core::slice;

use plyos_kernel_logic::frames::{FRAME_SIZE, FrameCounts, Frames};
use spin::Mutex;

use super::{PhysAddr, direct_map, kernel_range};
use crate::boot::{Region, RegionKind, StartInfo};

/// Memory beyond 64 GiB is passed over.
const MAX_FRAMES: u64 = (64 << 30) / FRAME_SIZE;
/// The first MiB holds what firmware and old devices use.
const FIRST: u64 = 1 << 20;
/// What the first page tables map: the bits must lie below.
const MAPPED: u64 = 1 << 32;

static FRAMES: Mutex<Option<Frames<'static>>> = Mutex::new(None);

/// Takes all usable memory but what kernel, command line and module lie in, and what another region says is no RAM.
pub(super) fn start(info: &StartInfo) {
    let ram = || info.regions().iter().filter(|region| region.kind == RegionKind::Ram);
    let end = ram().map(|region| region.end / FRAME_SIZE).max().unwrap_or_default().min(MAX_FRAMES);
    let kernel = kernel_range();
    let [command_line, module] = info.kept();
    let words = Frames::words(end);
    let others = info.regions().iter().filter(|region| region.kind == RegionKind::Reserved);
    let kept =
        [kernel, command_line, module].into_iter().chain(others.map(|region| region.start..region.end));
    let Some(bits_at) = ram().find_map(|region| place(region, words * 8, kept.clone())) else { return };
    let kept = kept.chain(core::iter::once(bits_at..bits_at + words * 8));
    // SAFETY: I6: mapped by the first page tables (below 4 GiB), inside RAM, apart from all that is kept, and never added below:
    // this is its only user, for ever.
    let bits = unsafe { slice::from_raw_parts_mut(direct_map(PhysAddr(bits_at)).cast(), words as usize) };
    let mut frames = Frames::new(bits);
    for region in ram() {
        let mut at = region.start.max(FIRST).next_multiple_of(FRAME_SIZE);
        while at < region.end && region.end - at >= FRAME_SIZE {
            // Up to the next thing that is kept, then on behind it.
            let next =
                kept.clone().filter(|kept| kept.end > at && !kept.is_empty()).min_by_key(|kept| kept.start);
            let until = next.as_ref().map_or(region.end, |kept| kept.start.min(region.end));
            frames.add(at / FRAME_SIZE..until.max(at) / FRAME_SIZE);
            match next {
                Some(kept) if kept.start < region.end => at = kept.end.next_multiple_of(FRAME_SIZE),
                _ => break,
            }
        }
    }
    *FRAMES.lock() = Some(frames);
}

/// An address for `len` bytes in a region, below what is mapped and apart from what is kept.
fn place(region: &Region, len: u64, kept: impl Iterator<Item = Range<u64>> + Clone) -> Option<u64> {
    let mut at = region.start.max(FIRST).next_multiple_of(FRAME_SIZE);
    while let Some(hit) = kept.clone().find(|kept| kept.start < at + len && at < kept.end) {
        at = hit.end.next_multiple_of(FRAME_SIZE);
    }
    (at + len <= region.end.min(MAPPED)).then_some(at)
}

/// Takes `count` frames that follow each other, zeroed, for ever; `None` when there is no such gap.
pub fn allocate_contiguous(count: usize) -> Option<PhysAddr> {
    let at = take(count as u64)?;
    // SAFETY: I7: the frames were free, so nobody else uses them; the direct map has all of RAM.
    unsafe { direct_map(at).write_bytes(0, count * FRAME_SIZE as usize) };
    Some(at)
}

/// The same with whatever they hold: writing to all of a heap would be most of the time of a start.
pub(super) fn take(count: u64) -> Option<PhysAddr> {
    let first = FRAMES.lock().as_mut()?.take(count, 1)?;
    Some(PhysAddr(first * FRAME_SIZE))
}

/// How many there are.
pub fn counts() -> FrameCounts {
    FRAMES.lock().as_ref().map(Frames::counts).unwrap_or_default()
}
