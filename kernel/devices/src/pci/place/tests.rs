//! Places beside the memory and the BARs of a machine, and on machines that say odd things.

use super::super::tests::{Fake, disk};
use super::*;
use crate::pci::{Region, virtio_regions};

const BAR: usize = 8;

/// The disk as a machine without firmware leaves it.
fn unplaced() -> Fake {
    let mut fake = disk();
    (fake.words[BAR], fake.words[BAR + 1]) = (0x0c, 0);
    fake
}

/// QEMU's q35 with 2 GiB: memory, what firmware took of it, the settings of PCI in memory, memory above 4 GiB.
fn q35() -> Vec<(Range<u64>, bool)> {
    let region = |start: u64, end: u64, is_ram| (start..end, is_ram);
    [
        region(0, 0x9_fc00, true),
        region(0x10_0000, 0x7ffe_0000, true),
        region(0x7ffe_0000, 0x8000_0000, false),
        region(0xb000_0000, 0xc000_0000, false),
        region(0xfeff_c000, 0xff00_0000, false),
        region(0x1_0000_0000, 0x1_8000_0000, true),
    ]
    .into()
}

#[test]
fn a_disk_without_an_address_gets_one_and_is_understood() {
    let (mut places, mut fake) = (Places::new(q35()), unplaced());
    // Another function has the highest place.
    let mut other = disk();
    (other.words[BAR], other.words[BAR + 1]) = (0xfebf_c00c, 0);
    places.claim_of(&mut other);
    assert_eq!(virtio_regions(&mut fake), Err(PciError::NoAddress(4)));
    assert_eq!(places.give(&mut fake, 4), Ok(()));
    let regions = virtio_regions(&mut fake).unwrap();
    assert_eq!(regions.common, Region { address: 0xfebf_8000, length: 0x1000 });
    assert_eq!((fake.words[BAR], fake.words[BAR + 1]), (0xfebf_800c, 0), "its kind stays");
    assert_eq!(fake.words[1], disk().words[1], "it answers as before");
    // One that has an address keeps it, and the next one gets another.
    assert_eq!(places.give(&mut fake, 4), Err(PciError::NoAddress(4)));
    let mut next = unplaced();
    assert_eq!(places.give(&mut next, 4), Ok(()));
    assert_eq!(next.words[BAR], 0xfebf_400c);
}

#[test]
fn a_function_that_forgot_its_address_is_placed_again() {
    let mut fake = disk();
    forget(&mut fake);
    assert_eq!((fake.words[BAR], fake.words[BAR + 1]), (0x0c, 0));
    assert_eq!(Places::new(q35()).give(&mut fake, 4), Ok(()));
    assert!(virtio_regions(&mut fake).is_ok());
}

#[test]
fn all_that_a_function_answers_by_is_placed() {
    // BAR 1 of 4 KiB, as MSI-X has, beside BAR 4.
    let mut fake = unplaced();
    (fake.words[5], fake.sizes[1]) = (0, 4096);
    assert_eq!(Places::new(q35()).give_all(&mut fake), Ok(()));
    assert!(fake.words[5] != 0 && fake.words[BAR] & !0xf != 0, "{:#x} {:#x}", fake.words[5], fake.words[BAR]);
    forget(&mut fake);
    assert_eq!((fake.words[5], fake.words[BAR] & !0xf), (0, 0));
    assert_eq!(fake.words[1] & 0b11, 0, "it answers nowhere meanwhile");
    fake.sizes[1] = 1 << 30;
    assert_eq!(Places::new(q35()).give_all(&mut fake), Err(PciError::NoAddress(1)));
}

#[test]
fn there_is_not_always_a_place() {
    let refused = |places: &mut Places, fake: &mut Fake| {
        assert_eq!(places.give(fake, 4), Err(PciError::NoAddress(4)));
    };
    // All of it is memory, or claimed; the hole is smaller than the BAR.
    refused(&mut Places::new([(0..TOP, true)]), &mut unplaced());
    refused(&mut Places::new([(0..1 << 20, true), (BOTTOM..1 << 32, false)]), &mut unplaced());
    refused(&mut Places::new([(0..TOP - 0x2000, true)]), &mut unplaced());
    // A BAR that is far too large, one of ports, none.
    for spoil in [
        |fake: &mut Fake| fake.sizes[4] = LARGEST * 2,
        |fake: &mut Fake| fake.words[BAR] = 1,
        |fake: &mut Fake| fake.sizes[4] = 0,
    ] {
        let mut fake = unplaced();
        spoil(&mut fake);
        refused(&mut Places::new(q35()), &mut fake);
    }
    assert_eq!(Places::new(q35()).give(&mut unplaced(), 6), Err(PciError::NoAddress(6)));
}

/// A function that takes only the address 0.
struct Stubborn(Fake);

impl ConfigSpace for Stubborn {
    fn read(&self, register: u8) -> u32 {
        self.0.read(register)
    }

    fn write(&mut self, register: u8, value: u32) {
        let is_address = register == 0x20 && value != u32::MAX;
        self.0.write(register, if is_address { 0 } else { value });
    }
}

#[test]
fn a_place_that_was_not_taken_is_given_to_nobody_else() {
    let mut places = Places::new(q35());
    assert_eq!(places.give(&mut Stubborn(unplaced()), 4), Err(PciError::NoAddress(4)));
    let mut next = unplaced();
    assert_eq!(places.give(&mut next, 4), Ok(()));
    assert_eq!(next.words[BAR], 0xfebf_800c);
}

#[test]
fn what_a_bridge_passes_on_is_claimed() {
    let mut bridge = Fake { words: [0; 64], sizes: [0; 6] };
    (bridge.words[2], bridge.words[3]) = (0x0604_0000, 0x0001_0000);
    // Memory 0xfea00000 to 0xfebfffff; ahead 0x1_00000000 and on, and nothing (the first above the last).
    (bridge.words[8], bridge.words[9]) = (0xfeb0_fea0, 0x0001_0001 | 0x10_0000);
    (bridge.words[10], bridge.words[11]) = (1, 1);
    let mut places = Places::new(q35());
    places.claim_of(&mut bridge);
    let mut fake = unplaced();
    assert_eq!(places.give(&mut fake, 4), Ok(()));
    assert_eq!(fake.words[BAR], 0xfe9f_c00c);
    (bridge.words[8], bridge.words[9]) = (0x0000_fff0, 0x0000_fff0);
    let mut places = Places::new(q35());
    places.claim_of(&mut bridge);
    let mut fake = unplaced();
    assert_eq!(places.give(&mut fake, 4), Ok(()));
    assert_eq!(fake.words[BAR], 0xfebf_c00c, "BARs that are closed claim nothing");
}

#[test]
fn nothing_is_given_that_is_claimed_or_given() {
    // Chance of its own kind: a generator with a fixed start, so that a failure comes again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut given = 0;
    for _ in 0..3000 {
        let mut taken: Vec<Range<u64>> = Vec::new();
        let mut regions = Vec::new();
        for _ in 0..chance(6) {
            let start = chance(1 << 33);
            let region = start..start + chance(1 << 31);
            regions.push((region.clone(), chance(4) == 0));
            taken.push(region);
        }
        let mut places = Places::new(regions);
        for _ in 0..20 {
            if chance(3) == 0 {
                let start = chance(1 << 32);
                let range = start..start.saturating_add(chance(1 << 24));
                places.claim(range.clone());
                taken.push(range);
                continue;
            }
            let mut fake = unplaced();
            fake.sizes[4] = 16 << chance(24);
            if places.give(&mut fake, 4).is_ok() {
                let address = u64::from(fake.words[BAR] & !0xf);
                let range = address..address + fake.sizes[4];
                assert!(address.is_multiple_of(fake.sizes[4]) && address.is_multiple_of(LEAST));
                assert!(BOTTOM <= range.start && range.end <= TOP);
                let meets = |other: &&Range<u64>| other.start < range.end && range.start < other.end;
                assert_eq!(taken.iter().filter(|other| !other.is_empty()).find(meets), None, "{range:x?}");
                taken.push(address / LEAST * LEAST..range.end.next_multiple_of(LEAST));
                given += 1;
            }
        }
    }
    assert!(given > 1000, "hardly any place was found: {given}");
}
