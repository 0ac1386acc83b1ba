//! The settings of a PCI function as anything: what the kernel takes for registers lies in the BARs that the function has, and an
//! honest function is left as it was found.
#![allow(clippy::indexing_slicing, reason = "registers are bytes, and there are 64 words of them")]

use std::cell::Cell;

use plyos_kernel_devices::pci::{
    COMMON, ConfigSpace, bus_behind, disable, enable, identity, interrupt_line, virtio_regions,
};

const COMMAND: u8 = 1;
const WINDOWS: u8 = 4;

/// A function of 64 words. Each BAR has bits that can be set.
struct Function {
    words: [u32; 64],
    masks: [u32; 6],
    /// After each so many reads one gives something else; 0: never.
    flaky: u8,
    reads: Cell<u8>,
}

impl ConfigSpace for Function {
    fn read(&self, register: u8) -> u32 {
        assert!(register.is_multiple_of(4), "register {register}");
        self.reads.set(self.reads.get().wrapping_add(1));
        let lie = self.flaky != 0 && self.reads.get().is_multiple_of(self.flaky);
        self.words[usize::from(register / 4)] ^ if lie { 1 << (self.reads.get() % 32) } else { 0 }
    }

    fn write(&mut self, register: u8, value: u32) {
        let word = register / 4;
        let old = &mut self.words[usize::from(word)];
        *old = match word {
            COMMAND => *old & 0xffff_0000 | value & 0xffff,
            WINDOWS..10 => {
                let mask = self.masks[usize::from(word - WINDOWS)];
                *old & !mask | value & mask
            }
            _ => panic!("register {register} was written"),
        };
    }
}

/// As QEMU shows a disk: a 64-bit BAR 4 of 16 KiB, capabilities from 0x84 down. Pairs of word and value.
const DISK: [(usize, u32); 22] = [
    (0, 0x1042_1af4),
    (1, 0x0010_0003),
    (8, 0xfe00_000c),
    (9, 0xe0),
    (13, 0x84),
    (33, 0x0214_7009),
    (34, 4),
    (35, 0x3000),
    (36, 0x1000),
    (37, 4),
    (28, 0x0410_6009),
    (29, 4),
    (30, 0x2000),
    (31, 0x1000),
    (24, 0x0310_5009),
    (25, 4),
    (26, 0x1000),
    (27, 0x1000),
    (20, 0x0110_0009),
    (21, 4),
    (22, 0),
    (23, 0x1000),
];

/// A disk of QEMU with edits: each of six bytes a word, how it is changed, and a value. The first byte says how flaky it is.
pub fn pci(data: &[u8]) {
    let Some((first, edits)) = data.split_first() else { return };
    let flaky = if *first < 200 { 0 } else { first % 16 };
    let mut function = Function { words: [0; 64], masks: [0xffff_f000; 6], flaky, reads: Cell::new(0) };
    DISK.iter().for_each(|(word, value)| function.words[*word] = *value);
    (function.masks[4], function.masks[5]) = (0xffff_c000, u32::MAX);
    for [which, how, a, b, c, d] in edits.as_chunks::<6>().0 {
        let value = u32::from_be_bytes([*a, *b, *c, *d]);
        let place = match which {
            0..192 => &mut function.words[usize::from(which % 64)],
            _ => &mut function.masks[usize::from(which % 6)],
        };
        match how % 4 {
            0 => *place ^= 1 << (value % 32),
            1 => *place = value,
            2 => *place = *place & 0xffff_ff00 | value & 0xff,
            _ => *place = u32::from(*d).wrapping_neg(),
        }
    }
    let (before, decoded) = (function.words, bars(&function));
    let found = virtio_regions(&mut function);
    let _ = (identity(&function), bus_behind(&function), interrupt_line(&function));
    if flaky == 0 {
        assert_eq!(function.words, before, "the settings are not what they were");
    }
    if let Ok(regions) = found {
        assert!(regions.common.length >= COMMON && regions.common.address.is_multiple_of(4));
        assert!(regions.notify.address.is_multiple_of(2) && regions.notify_step.is_multiple_of(2));
        for region in [Some(regions.common), Some(regions.notify), Some(regions.interrupt), regions.own]
            .into_iter()
            .flatten()
        {
            let end = region.address.checked_add(region.length.into());
            assert!(end.is_some() && region.length > 0, "{region:?} wraps around");
            let inside = |bar: &(u64, u64)| {
                bar.0 <= region.address && region.address + u64::from(region.length) <= bar.1
            };
            assert!(flaky != 0 || decoded.iter().any(inside), "{region:?} is in no bar of {decoded:?}");
        }
    }
    enable(&mut function);
    disable(&mut function);
}

/// Start and end of each BAR of memory, by the masks.
fn bars(function: &Function) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for number in 0..6 {
        let (value, mask) = (function.words[4 + number], function.masks[number]);
        let high = |list: &[u32], at: usize| list.get(at).map_or(0, |high| u64::from(*high) << 32);
        let wide = value & 7 == 4 && number < 5;
        let start = u64::from(value & !0xf) | if wide { high(&function.words, 5 + number) } else { 0 };
        let settable = u64::from((value & !mask | mask) & !0xf);
        // What can be set, and what always is: as it looks when everything is set.
        let shown = if wide {
            let (word, mask) = (function.words[5 + number], function.masks[number + 1]);
            settable | u64::from(word | mask) << 32
        } else {
            settable | u64::from(u32::MAX) << 32
        };
        found.push((start, start.saturating_add(shown.wrapping_neg())));
    }
    found
}
