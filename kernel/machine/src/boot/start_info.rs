//! What the loader says: PVH's `hvm_start_info` (Xen's public/arch-x86/hvm/start_info.h).
//!
//! It is read once, before memory is handed out, into a value of fixed size. The loader is trusted to write where it says
//! (it could have written the kernel itself), not to be free of mistakes: counts are bounded, and every address must lie below the
//! 4 GiB that are mapped at that time.

use core::ops::Range;
use core::slice;

use crate::cpu;
use crate::memory::{PhysAddr, direct_map};

/// Regions of memory that are read; more are passed over.
pub const MAX_REGIONS: usize = 64;
const MAGIC: u32 = 0x336e_c578;
const MAX_COMMAND_LINE: usize = 4096;
const MAX_MODULE: u64 = 64 << 20;
/// What the first page tables map.
const MAPPED: u64 = 1 << 32;

/// What a region of physical memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionKind {
    /// Usable memory.
    Ram,
    /// Anything else.
    Reserved,
}

/// A region of physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// The address after the last one.
    pub end: u64,
    /// What it is.
    pub kind: RegionKind,
}

/// The start information, read and bounded.
#[derive(Debug)]
pub struct StartInfo {
    regions: [Region; MAX_REGIONS],
    region_count: usize,
    command_line: Range<u64>,
    module: Option<Range<u64>>,
    oddity: &'static str,
}

impl StartInfo {
    /// Reads what lies at the physical address `at`.
    pub(crate) fn read(at: u64) -> Self {
        let none = Region { start: 0, end: 0, kind: RegionKind::Reserved };
        let mut info = Self {
            regions: [none; MAX_REGIONS],
            region_count: 0,
            command_line: 0..0,
            module: None,
            oddity: "",
        };
        let Some(head) = bytes(at..at.saturating_add(56)) else {
            info.oddity = "the start information lies beyond 4 GiB";
            return info;
        };
        if u32_at(head, 0) != MAGIC {
            info.oddity = "the start information has another magic number";
            return info;
        }
        let (version, modules) = (u32_at(head, 4), u32_at(head, 12));
        let command_line = u64_at(head, 24);
        if command_line != 0 {
            let most =
                bytes(command_line..command_line.saturating_add(MAX_COMMAND_LINE as u64)).unwrap_or(&[]);
            match most.iter().position(|byte| *byte == 0) {
                Some(length) => info.command_line = command_line..command_line + length as u64,
                None => info.oddity = "the command line is longer than 4 KiB and was passed over",
            }
        }
        if modules > 0 {
            info.read_module(u64_at(head, 16));
        }
        if version >= 1 {
            info.read_memory_map(u64_at(head, 40), u32_at(head, 48) as usize);
        }
        if info.region_count == 0 {
            info.oddity = "the loader gave no memory map";
        }
        info
    }

    fn read_module(&mut self, list: u64) {
        let Some(entry) = bytes(list..list.saturating_add(32)) else { return };
        let (start, length) = (u64_at(entry, 0), u64_at(entry, 8));
        let range = start..start.saturating_add(length);
        if length <= MAX_MODULE && bytes(range.clone()).is_some() {
            self.module = Some(range);
        } else {
            self.oddity = "the first module is larger than 64 MiB or lies beyond 4 GiB, and was passed over";
        }
    }

    fn read_memory_map(&mut self, at: u64, count: usize) {
        if count > MAX_REGIONS {
            self.oddity = "the memory map has more than 64 regions; the others were passed over";
        }
        // What lies beyond is reached by nobody, RAM or not; and nothing overflows that computes with these addresses.
        let most = cpu::physical_end();
        for number in 0..count.min(MAX_REGIONS) {
            let entry = at.saturating_add(number as u64 * 24);
            let Some(entry) = bytes(entry..entry.saturating_add(24)) else { break };
            let (start, length) = (u64_at(entry, 0), u64_at(entry, 8));
            let kind = if u32_at(entry, 16) == 1 { RegionKind::Ram } else { RegionKind::Reserved };
            if let Some(place) = self.regions.get_mut(self.region_count) {
                *place = Region { start: start.min(most), end: start.saturating_add(length).min(most), kind };
                self.region_count += 1;
            }
        }
    }

    /// The regions of memory.
    pub fn regions(&self) -> &[Region] {
        self.regions.get(..self.region_count).unwrap_or(&[])
    }

    /// Physical ranges that must not be handed out: what [`StartInfo::command_line`] and [`StartInfo::module`] give.
    pub(crate) fn kept(&self) -> [Range<u64>; 2] {
        [self.command_line.clone(), self.module.clone().unwrap_or(0..0)]
    }

    /// The command line.
    pub(crate) fn command_line(&self) -> &'static str {
        core::str::from_utf8(bytes(self.command_line.clone()).unwrap_or(&[])).unwrap_or("")
    }

    /// The first module.
    pub(crate) fn module(&self) -> Option<&'static [u8]> {
        bytes(self.module.clone()?)
    }

    /// What was odd; empty for nothing.
    pub(crate) const fn oddity(&self) -> &'static str {
        self.oddity
    }
}

/// Physical memory below 4 GiB; 0 is no address.
fn bytes(range: Range<u64>) -> Option<&'static [u8]> {
    if range.start == 0 || range.start > range.end || range.end > MAPPED {
        return None;
    }
    let length = usize::try_from(range.end - range.start).ok()?;
    // SAFETY: I6: the first page tables, and the real ones for what `kept` names, map this memory; the frames are never handed
    // out, so nobody writes to them. Where there is no memory, reading gives some bytes, which are then judged.
    Some(unsafe { slice::from_raw_parts(direct_map(PhysAddr(range.start)), length) })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let part = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
    part.map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
