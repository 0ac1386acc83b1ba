//! Memory: physical frames, page tables, the heap.
//!
//! | addresses | what | how |
//! | --- | --- | --- |
//! | 0xffff_8000_0000_0000 | the direct map: RAM at its physical address plus this | readable, writable, never executable; the kernel's own text and constants read-only |
//! | 0xffff_c000_0000_0000 | device memory, mapped on demand | uncached, never executable |
//! | 0xffff_ffff_8000_0000 | the kernel | text executable, constants read-only, data writable; a hole below each stack |
//!
//! Below that nothing is mapped; later it belongs to user programs.

mod allocator;
pub mod frames;
pub mod heap;
mod paging;

use core::ops::Range;

use alloc::vec::Vec;

use spin::Mutex;

use crate::boot::{Region, StartInfo};
use crate::cpu::Features;

pub use paging::{map_device, translate};

/// Where the direct map begins.
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Where device memory is mapped.
const DEVICES: u64 = 0xffff_c000_0000_0000;
/// The difference between where the kernel runs and where it lies.
const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// What the loader says of physical memory.
static REGIONS: Mutex<Vec<Region>> = Mutex::new(Vec::new());

/// A physical address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysAddr(pub u64);

/// Where RAM at this physical address is seen. The pointer may be used for what [`frames`] gave out, for as long as it is not given
/// back; for anything else it may lead nowhere.
pub fn direct_map(at: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut((DIRECT_MAP + at.0) as usize)
}

/// Bytes of memory that the kernel's image takes, its stacks included.
pub fn image_size() -> u64 {
    let range = kernel_range();
    range.end - range.start
}

/// Physical memory that the kernel itself lies in, from the linker script.
fn kernel_range() -> Range<u64> {
    symbol(&raw const kernel_physical_start)..symbol(&raw const kernel_physical_end)
}

/// The value of a symbol of the linker script: its address.
fn symbol(at: *const u8) -> u64 {
    at.addr() as u64
}

unsafe extern "C" {
    static kernel_physical_start: u8;
    static kernel_physical_end: u8;
    static kernel_text_start: u8;
    static kernel_rodata_start: u8;
    static kernel_data_start: u8;
    static kernel_end: u8;
}

/// Makes frames, page tables and the heap from what the loader says.
pub(crate) fn start(info: &StartInfo, features: &Features) {
    frames::start(info);
    paging::start(info, features);
    heap::start();
    REGIONS.lock().extend_from_slice(info.regions());
}

/// What the loader says of physical memory.
pub(crate) fn regions() -> Vec<Region> {
    REGIONS.lock().clone()
}
