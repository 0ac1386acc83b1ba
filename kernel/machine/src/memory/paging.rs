//! Page tables: four levels, made once from the memory map; later only device memory is added.

use core::arch::asm;

use plyos_kernel_logic::frames::FRAME_SIZE;
use spin::Mutex;

use super::{
    DEVICES, DIRECT_MAP, KERNEL_BASE, PhysAddr, direct_map, frames, kernel_data_start, kernel_end,
    kernel_range, kernel_rodata_start, kernel_text_start, symbol,
};
use crate::boot::{RegionKind, StartInfo};
use crate::cpu::{self, Features};
use crate::processor;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 3 | 1 << 4;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const LARGE_PAGE: u64 = 2 << 20;
const HUGE_PAGE: u64 = 1 << 30;

/// Most device memory that is mapped in all.
const MAX_DEVICES: u64 = 64 << 30;

/// The tables in use, and how much of the window for devices is taken.
static TABLES: Mutex<Option<Tables>> = Mutex::new(None);

struct Tables {
    root: PhysAddr,
    devices_used: u64,
}

/// The size of a page, by the level of the table that maps it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Large,
    Huge,
}

impl Size {
    const fn bytes(self) -> u64 {
        match self {
            Self::Small => FRAME_SIZE,
            Self::Large => LARGE_PAGE,
            Self::Huge => HUGE_PAGE,
        }
    }

    /// Levels above the one whose entry maps the page.
    const fn shift(self) -> u32 {
        self.bytes().trailing_zeros()
    }
}

/// Makes the real tables and goes over to them. Without them everything is writable and executable: then this is the end.
pub(super) fn start(info: &StartInfo, features: &Features) {
    let Some(tables) = Tables::new(info, features) else {
        let free = frames::counts().total * FRAME_SIZE / 1024;
        let (between, odd) =
            if info.oddity().is_empty() { ("", "") } else { ("; the loader: ", info.oddity()) };
        panic!("there is no memory for the page tables: {free} KiB were usable{between}{odd}");
    };
    // SAFETY: I8: the new tables map what runs now (text, data, this stack) at the same addresses as the old ones.
    unsafe { asm!("mov cr3, {}", in(reg) tables.root.0, options(nostack)) };
    *TABLES.lock() = Some(tables);
}

impl Tables {
    /// The tables for this memory; `None` when there is no frame for one.
    fn new(info: &StartInfo, features: &Features) -> Option<Self> {
        let mut tables = Self { root: frames::allocate_contiguous(1)?, devices_used: 0 };
        tables.make(info, features)?;
        Some(tables)
    }

    fn make(&mut self, info: &StartInfo, features: &Features) -> Option<()> {
        let text = symbol(&raw const kernel_text_start);
        let rodata = symbol(&raw const kernel_rodata_start);
        let data = symbol(&raw const kernel_data_start);
        let end = symbol(&raw const kernel_end);
        let guards = processor::guard_pages();
        for at in (text..end).step_by(FRAME_SIZE as usize) {
            let flags = match at {
                at if at < rodata => 0,
                at if at < data => NO_EXECUTE,
                at if guards.contains(&at) => continue,
                _ => WRITABLE | NO_EXECUTE,
            };
            self.map(at, at - KERNEL_BASE, Size::Small, flags)?;
        }
        // The direct map. Text and constants are seen there too, and are read-only there as well.
        let (start, constants_end) = (kernel_range().start, data - KERNEL_BASE);
        for region in info.regions().iter().filter(|region| region.kind == RegionKind::Ram) {
            let mut at = region.start.next_multiple_of(FRAME_SIZE);
            let end = region.end / FRAME_SIZE * FRAME_SIZE;
            while at < end {
                let fits = |size: Size| {
                    let page = at..at.saturating_add(size.bytes());
                    at.is_multiple_of(size.bytes())
                        && page.end <= end
                        && (page.end <= start || constants_end <= page.start)
                };
                let size = if features.gigabyte_pages && fits(Size::Huge) {
                    Size::Huge
                } else if fits(Size::Large) {
                    Size::Large
                } else {
                    Size::Small
                };
                let writable = if start <= at && at < constants_end { 0 } else { WRITABLE };
                self.map(DIRECT_MAP + at, at, size, writable | NO_EXECUTE)?;
                at += size.bytes();
            }
        }
        // What the loader left may lie in memory that it keeps for itself.
        for kept in info.kept() {
            let first = kept.start / FRAME_SIZE * FRAME_SIZE;
            for at in (first..kept.end).step_by(FRAME_SIZE as usize) {
                if self.translate(DIRECT_MAP + at).is_none() {
                    self.map(DIRECT_MAP + at, at, Size::Small, NO_EXECUTE)?;
                }
            }
        }
        Some(())
    }

    /// Maps one page; `None` when there is no frame for a table. A page inside a larger one that is mapped stays as it is: regions of
    /// RAM that overlap are the only case, and the direct map has one address for each.
    fn map(&mut self, at: u64, to: u64, size: Size, flags: u64) -> Option<()> {
        let mut table = self.root;
        let mut shift = 39;
        while shift > size.shift() {
            let entry = entry(table, at >> shift);
            // SAFETY: I9: a frame of these tables, which only this module touches, under its lock or before there is one.
            let value = unsafe { entry.read() };
            if value & PRESENT != 0 && value & LARGE != 0 {
                return Some(());
            }
            table = if value & PRESENT != 0 {
                PhysAddr(value & ADDRESS)
            } else {
                let new = frames::allocate_contiguous(1)?;
                // SAFETY: I9, as above.
                unsafe { entry.write(new.0 | PRESENT | WRITABLE) };
                new
            };
            shift -= 9;
        }
        let large = if size == Size::Small { 0 } else { LARGE };
        // SAFETY: I9, as above.
        unsafe { entry(table, at >> shift).write(to | PRESENT | large | flags) };
        Some(())
    }

    /// What is mapped at a virtual address.
    fn translate(&self, at: u64) -> Option<PhysAddr> {
        let mut table = self.root;
        for shift in [39, 30, 21, 12] {
            // SAFETY: I9, as above.
            let value = unsafe { entry(table, at >> shift).read() };
            if value & PRESENT == 0 {
                return None;
            }
            if shift == 12 || (value & LARGE != 0 && shift < 39) {
                let inside = (1 << shift) - 1;
                return Some(PhysAddr((value & ADDRESS & !inside) | (at & inside)));
            }
            table = PhysAddr(value & ADDRESS);
        }
        None
    }
}

/// The place of an entry in a table.
fn entry(table: PhysAddr, index: u64) -> *mut u64 {
    direct_map(PhysAddr(table.0 + (index & 511) * 8)).cast()
}

/// The physical address behind a virtual one of the kernel.
pub fn translate(at: *const u8) -> Option<PhysAddr> {
    TABLES.lock().as_ref()?.translate(at.addr() as u64)
}

/// Maps device memory, uncached: `len` bytes from a physical address, which need not be aligned. It stays mapped. `None` when it
/// would lie in RAM or where this processor cannot reach, or there is no room.
pub fn map_device(at: PhysAddr, len: usize) -> Option<*mut u8> {
    let first = at.0 / FRAME_SIZE * FRAME_SIZE;
    let end = at.0.checked_add(len as u64)?.checked_next_multiple_of(FRAME_SIZE)?;
    if end > cpu::physical_end() {
        return None;
    }
    let mut guard = TABLES.lock();
    let tables = guard.as_mut()?;
    let is_ram = |at: u64| tables.translate(DIRECT_MAP + at).is_some();
    if (first..end).step_by(FRAME_SIZE as usize).any(is_ram) {
        return None;
    }
    let window = DEVICES + tables.devices_used;
    if tables.devices_used + (end - first) > MAX_DEVICES {
        return None;
    }
    // A hole behind each, so that who goes too far faults. Taken first: a window that could be mapped in part only is used by nobody.
    tables.devices_used += end - first + FRAME_SIZE;
    for page in (0..end - first).step_by(FRAME_SIZE as usize) {
        tables.map(window + page, first + page, Size::Small, WRITABLE | UNCACHED | NO_EXECUTE)?;
    }
    Some(core::ptr::with_exposed_provenance_mut((window + (at.0 - first)) as usize))
}
