//! Settings as QEMU shows them, and spoilt in every way.

use super::*;
use std::vec::Vec;

/// Settings in memory; the BARs answer to being measured.
pub(super) struct Fake {
    pub(super) words: [u32; 64],
    /// Of each BAR; 0 for none, and for the upper half of one of 64 bits.
    pub(super) sizes: [u64; 6],
}

impl ConfigSpace for Fake {
    fn read(&self, register: u8) -> u32 {
        self.words[usize::from(register / 4)]
    }

    fn write(&mut self, register: u8, value: u32) {
        let number = usize::from(register.wrapping_sub(0x10) / 4);
        let before = self.words[usize::from(register / 4)];
        self.words[usize::from(register / 4)] = match number {
            0..6 => match (self.sizes[number], self.sizes[number.saturating_sub(1)]) {
                (0, 0) => before,
                // The upper half of an address.
                (0, size) => value & (size.wrapping_neg() >> 32) as u32,
                // The lowest bits say what kind of BAR it is, and cannot be set.
                (size, _) => value & size.wrapping_neg() as u32 & !0xf | before & 0xf,
            },
            // The upper half of this one tells, and cannot be set.
            _ if register == COMMAND => before & 0xffff_0000 | value & 0xffff,
            _ => value,
        };
    }
}

/// As QEMU shows a disk: a 64-bit BAR 4 of 16 KiB, capabilities from 0x84 down.
pub(super) fn disk() -> Fake {
    let mut fake = Fake { words: [0; 64], sizes: [0, 0, 0, 0, 0x4000, 0] };
    let mut set = |register: u8, words: &[u32]| {
        for (at, word) in words.iter().enumerate() {
            fake.words[usize::from(register) / 4 + at] = *word;
        }
    };
    set(ID, &[0x1042_1af4, 0x0010_0003]);
    set(0x20, &[0xfe00_000c, 0x0000_00e0]);
    set(CAPABILITIES, &[0x84]);
    set(0x84, &[0x0214_7009, 4, 0x3000, 0x1000, 4]);
    set(0x70, &[0x0410_6009, 4, 0x2000, 0x1000]);
    set(0x60, &[0x0310_5009, 4, 0x1000, 0x1000]);
    set(0x50, &[0x0110_4009, 4, 0, 0x1000]);
    set(0x40, &[0x0000_0011, 0, 0, 0]);
    fake
}

#[test]
fn a_disk_of_qemu_is_understood_and_left_as_it_was() {
    let mut fake = disk();
    let before = fake.words;
    let region = |offset: u64| Region { address: 0xe0_fe00_0000 + offset, length: 0x1000 };
    let regions = virtio_regions(&mut fake).unwrap();
    assert_eq!(regions.common, region(0));
    assert_eq!((regions.notify, regions.notify_step), (region(0x3000), 4));
    assert_eq!((regions.interrupt, regions.own), (region(0x1000), Some(region(0x2000))));
    assert_eq!(fake.words, before);
    let (vendor, device) = identity(&fake).unwrap();
    assert_eq!(Kind::of_function(vendor, device), Some(Kind::Disk));
}

#[test]
fn capabilities_in_a_circle_end() {
    let mut fake = disk();
    fake.words[0x40 / 4] = 0x0000_8411;
    assert_eq!(virtio_regions(&mut fake), Err(PciError::Circle));
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    let spoil = |register: u8, value: u32| {
        let mut fake = disk();
        fake.words[usize::from(register) / 4] = value;
        virtio_regions(&mut fake).unwrap_err()
    };
    // Wraps around 32 bits, ends beyond the BAR, too short, misaligned, an odd step.
    assert_eq!(spoil(0x58, 0xffff_f000), PciError::Misplaced("common"));
    assert_eq!(spoil(0x58, 0x3004), PciError::Misplaced("common"));
    assert_eq!(spoil(0x5c, COMMON - 1), PciError::Misplaced("common"));
    assert_eq!(spoil(0x58, 2), PciError::Misplaced("common"));
    assert_eq!(spoil(0x94, 3), PciError::Misplaced("notification"));
    // A BAR that does not exist, that is ports, that nobody gave an address.
    assert_eq!(spoil(0x54, 6), PciError::NoBar(6));
    assert_eq!(spoil(0x54, 255), PciError::NoBar(255));
    assert_eq!(spoil(0x20, 0xc001), PciError::NoBar(4));
    assert_eq!(spoil(0x50, 0x0510_4009), PciError::Missing("common"));
    let mut unset = disk();
    (unset.words[8], unset.words[9]) = (0x0c, 0);
    assert_eq!(virtio_regions(&mut unset), Err(PciError::NoAddress(4)));
}

#[test]
fn any_settings_end_in_regions_inside_one_bar_or_an_error() {
    // Chance of its own kind: a generator with a fixed start, so that a failure comes again.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut chance = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u32
    };
    let mut good = Vec::new();
    for _ in 0..200_000 {
        let mut fake = disk();
        for _ in 0..chance() % 6 {
            let (place, bits) = (chance() as usize % 64, chance());
            fake.words[place] ^= bits & chance() & chance();
        }
        if let Ok(regions) = virtio_regions(&mut fake) {
            assert!(regions.common.length >= COMMON && regions.common.address.is_multiple_of(4));
            assert!(regions.notify.length >= 2 && regions.notify_step.is_multiple_of(2));
            good.push(regions);
        }
    }
    assert!(good.len() > 1000, "the spoiling spoils everything: {}", good.len());
}

#[test]
fn a_function_may_reach_memory_and_interrupt_only_while_it_is_enabled() {
    let mut fake = disk();
    let command = |fake: &Fake| fake.words[1] & 0xffff;
    fake.words[15] = 0x0000_010b;
    assert_eq!(interrupt_line(&fake), Some(11));
    // As firmware left it: it may reach memory, which an answer must not keep.
    fake.words[1] |= COMMAND_MASTER;
    answer(&mut fake);
    assert_eq!(command(&fake), COMMAND_IO | COMMAND_MEMORY | COMMAND_NO_LINE_INTERRUPT);
    enable(&mut fake);
    assert_eq!(command(&fake), COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
    disable(&mut fake);
    assert_eq!(command(&fake), COMMAND_IO | COMMAND_MEMORY | COMMAND_NO_LINE_INTERRUPT);
    // Without a pin, or with a line that no controller has.
    for none in [0x0000_000b, 0x0000_01ff, 0x0000_0110] {
        fake.words[15] = none;
        enable(&mut fake);
        assert_eq!(interrupt_line(&fake), None);
        assert_ne!(command(&fake) & COMMAND_NO_LINE_INTERRUPT, 0);
    }
}

#[test]
fn bridges_of_any_kind_are_told_from_devices() {
    for (class, bridge) in [
        (0x0604_0001, true),
        (0x0601_0000, true),
        (0x0600_0000, true),
        (0x0106_0100, false),
        (0xff00_0600, false),
    ] {
        let mut fake = disk();
        fake.words[2] = class;
        assert_eq!(is_bridge(&fake), bridge, "{class:#x}");
    }
}

#[test]
fn ids_of_both_ways_are_known() {
    assert_eq!(Kind::of_function(0x1af4, 0x1000), Some(Kind::Network));
    assert_eq!(Kind::of_function(0x1af4, 0x1044), Some(Kind::Entropy));
    assert_eq!(Kind::of_function(0x1af4, 0x1040), None);
    assert_eq!(Kind::of_function(0x8086, 0x1000), None);
}
