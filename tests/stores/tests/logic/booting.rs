//! Which slot is booted, what is written on the way, and what is said of the one that was not.

use std::io;
use std::sync::Mutex;

use plyos_blockstore::{BlockDevice, RecordType, Superblock, layout::SUPERBLOCK_OFFSETS, open};
use plyos_kernel_logic::{Level, Limits, NoneGood, Options, Passed, SwitchError, System, Why, boot};
use plyos_slots::{BadReason, SlotName, SlotState};
use plyos_test_stores::maker::{As, NOW, ROOT, pins};
use plyos_test_stores::means::means;
use plyos_test_stores::memory::Memory;

use crate::world::{World, start, start_with};

fn states(device: &Memory) -> [SlotState; 2] {
    let slots = open(device).unwrap().chosen.superblock.slots;
    SlotName::BOTH.map(|name| slots.get(name).state)
}

fn trial(left: u8) -> SlotState {
    SlotState::Trial { left, granted: 3 }
}

/// Where the record of a generation lies.
fn generation_record(device: &Memory, number: u64) -> (u64, u64) {
    let copy = open(device).unwrap().chosen;
    let slots = copy.superblock.slots;
    let id = SlotName::BOTH
        .map(|name| *slots.get(name))
        .into_iter()
        .find(|slot| slot.number == number)
        .unwrap()
        .generation;
    let extent = copy.directory.records[&(RecordType::Generation, *id.as_bytes())].extent;
    (extent.offset, extent.len)
}

fn booted(device: &Memory) -> (System<Memory>, u64) {
    let system = start(device.clone()).0.unwrap();
    let number = system.shown().number();
    (system, number)
}

#[test]
fn the_preferred_good_slot_is_booted_and_nothing_is_written() {
    let world = World::two();
    let before = world.device().image();
    let (system, number) = booted(&world.device());
    assert_eq!((number, system.booted(), system.passed()), (2, SlotName::B, &[][..]));
    assert!(world.device().image() == before);
}

#[test]
fn a_trial_loses_a_try_at_each_start_and_the_good_slot_returns_after_three() {
    let world = World::on_trial(3);
    let device = world.device();
    for left in [2, 1, 0] {
        assert_eq!(booted(&device).1, 2);
        assert_eq!(states(&device), [SlotState::Good, trial(left)]);
    }
    let (system, lines) = start(device.clone());
    let system = system.unwrap();
    assert_eq!((system.shown().number(), system.booted()), (1, SlotName::A));
    assert_eq!(states(&device), [SlotState::Good, SlotState::Unconfirmed]);
    assert!(lines.of(Level::Warning)[0].contains("has used up its tries"), "{:?}", lines.of(Level::Warning));
    assert_eq!(booted(&device).1, 1, "and stays");
}

#[test]
fn a_trial_whose_try_cannot_be_counted_is_not_booted() {
    let world = World::on_trial(3);
    let device = world.device();
    device.fail_writes(true);
    let (system, number) = booted(&device);
    assert_eq!(number, 1);
    let [Passed { slot: SlotName::B, number: 2, why: Why::NotCounted(reason) }] = system.passed() else {
        panic!("{:?}", system.passed())
    };
    assert!(reason.contains("the disk cannot be written"), "{reason}");
    device.fail_writes(false);
    assert_eq!(states(&device), [SlotState::Good, trial(3)]);
    // Nor when the command line forbids to write.
    let before = device.image();
    let options = Options { read_only: true, ..Options::default() };
    let system = start_with(device.clone(), &options).0.unwrap();
    assert_eq!(system.shown().number(), 1);
    assert!(system.switch(2, 0).is_err() && device.image() == before);
    assert_eq!(booted(&device).1, 2, "the next start tries it");
}

#[test]
fn an_unconfirmed_generation_is_booted_rather_than_nothing() {
    let mut world = World::new();
    let layers = world.first();
    world.maker.activate(&layers, As::Trial(1));
    let device = world.device();
    assert_eq!(booted(&device).1, 1, "its one try");
    // Also on a disk that cannot be written, where it stays a trial without tries.
    device.fail_writes(true);
    assert_eq!(booted(&device).1, 1);
    device.fail_writes(false);
    assert_eq!(booted(&device).1, 1);
    assert_eq!(states(&device), [SlotState::Unconfirmed, SlotState::Empty]);
}

#[test]
fn a_slot_that_is_asked_for_is_booted_and_nothing_is_counted() {
    let world = World::on_trial(3);
    let before = world.device().image();
    for (name, expected) in [(SlotName::A, 1), (SlotName::B, 2)] {
        let options = Options { slot: Some(name), ..Options::default() };
        let system = start_with(world.device(), &options).0.unwrap();
        assert_eq!(system.shown().number(), expected);
    }
    assert!(world.device().image() == before);
    let empty = World::one();
    let options = Options { slot: Some(SlotName::B), ..Options::default() };
    let refused = start_with(empty.device(), &options).0.unwrap_err();
    assert!(matches!(&refused, NoneGood::Slots(passed) if passed.len() == 1), "{refused}");
}

#[test]
fn a_damaged_trial_is_bad_at_once_and_an_unreadable_one_keeps_its_tries() {
    let world = World::on_trial(3);
    let (offset, length) = generation_record(&world.device(), 2);

    let damaged = world.device().copied();
    damaged.flip(offset + length / 2);
    let (system, number) = booted(&damaged);
    assert_eq!((number, system.passed().len()), (1, 1));
    assert_eq!(states(&damaged), [SlotState::Good, SlotState::Bad(BadReason::Damaged)]);

    let unreadable = world.device().copied();
    unreadable.break_range(offset..offset + length);
    assert_eq!(booted(&unreadable).1, 1);
    unreadable.heal();
    assert_eq!(states(&unreadable), [SlotState::Good, trial(2)]);
    assert_eq!(booted(&unreadable).1, 2);
}

#[test]
fn what_all_generations_share_is_no_evidence_against_one() {
    let world = World::on_trial(3);
    let device = world.device();
    let copy = open(&device).unwrap().chosen;
    let every = (RecordType::Keyring, [0; 32])..=(RecordType::Keyring, [0xff; 32]);
    let keyring = copy.directory.records.range(every).next().unwrap().1.extent;
    device.flip(keyring.offset + keyring.len / 2);
    assert!(start(device.clone()).0.is_err(), "nothing speaks for any layer");
    assert_eq!(states(&device), [SlotState::Good, trial(2)], "once the keyring is mended, the trial goes on");
}

#[test]
fn a_good_slot_that_does_not_mount_is_passed_over_and_stays_good() {
    let world = World::two();
    let device = world.device();
    let (offset, length) = generation_record(&device, 2);
    device.flip(offset + length / 2);
    let (system, number) = booted(&device);
    assert_eq!((number, system.booted()), (1, SlotName::A));
    assert!(
        system.passed()[0].to_string().starts_with("slot B, generation 2: the record"),
        "{}",
        system.passed()[0]
    );
    assert_eq!(states(&device), [SlotState::Good, SlotState::Good]);
    // The other one as well: nothing is left.
    let (offset, length) = generation_record(&device, 1);
    device.flip(offset + length / 2);
    let refused = start(device).0.unwrap_err();
    assert!(matches!(&refused, NoneGood::Slots(passed) if passed.len() == 2), "{refused}");
    assert!(refused.to_string().contains("slot A, generation 1: the record"), "{refused}");
}

#[test]
fn a_layer_that_is_not_whole_or_not_there_passes_the_generation_over() {
    let mut world = World::one();
    let site = world.trees.path().join("base");
    let descriptor = crate::world::descriptor(plyos_ids::Kind::Model, "part", "1");
    let id = world.maker.uncertified(&site, &descriptor, 3);
    world.maker.certify(id, 1, plyos_test_stores::maker::LAYERS);
    let part = plyos_test_stores::maker::listed(&descriptor, id);
    world.maker.activate(std::slice::from_ref(&part), plyos_test_stores::maker::As::Trial(3));
    // In a copy, for the kernel writes and the writer does not expect it.
    let device = world.device().copied();
    let (system, _) = booted(&device);
    assert!(
        system.passed()[0].to_string().contains("model/part 1: it is in the store in part only"),
        "{}",
        system.passed()[0]
    );
    assert_eq!(states(&device)[1], SlotState::Bad(BadReason::Damaged));
    let absent =
        plyos_namespace::generation::GenerationLayer { id: plyos_ids::LayerId::from_bytes([9; 32]), ..part };
    world.maker.activate(&[absent], plyos_test_stores::maker::As::Good);
    let (system, number) = booted(&world.device());
    assert_eq!(number, 1);
    assert!(system.passed()[0].to_string().contains("it is not in the store"), "{}", system.passed()[0]);
}

#[test]
fn one_superblock_is_enough_and_without_any_there_is_a_reason() {
    let world = World::two();
    for offset in SUPERBLOCK_OFFSETS {
        let device = world.device().copied();
        device.flip(offset + 100);
        let number = booted(&device).1;
        assert!(number == 1 || number == 2, "{number}");
    }
    let device = world.device().copied();
    SUPERBLOCK_OFFSETS.iter().for_each(|offset| device.flip(offset + 100));
    let refused = start(device).0.unwrap_err();
    assert!(refused.to_string().contains("neither superblock is valid"), "{refused}");
    for (what, device) in
        [("empty", Memory::new(0)), ("short", Memory::new(5000)), ("zeroes", Memory::new(1 << 20))]
    {
        assert!(matches!(start(device).0.unwrap_err(), NoneGood::Store(_)), "{what}");
    }
    let cut = world.device().image();
    let refused = start(Memory::of(cut[..cut.len() / 2].to_vec())).0.unwrap_err();
    assert!(refused.to_string().contains("of them are there"), "{refused}");
}

#[test]
fn a_directory_beyond_the_memory_of_the_machine_is_refused_before_it_is_read() {
    let world = World::one();
    let options = Options { limits: Limits { directory: 100, ..Limits::default() }, ..Options::default() };
    let refused = start_with(world.device(), &options).0.unwrap_err();
    assert!(refused.to_string().contains("this machine's memory is enough for 100"), "{refused}");
}

/// A device whose superblocks are others when they are read for the second time.
struct Changing {
    device: Memory,
    first: Mutex<Vec<(u64, Vec<u8>)>>,
    /// Offsets of what was read.
    read: Mutex<Vec<u64>>,
}

impl BlockDevice for &Changing {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read.lock().unwrap().push(offset);
        let mut first = self.first.lock().unwrap();
        match first.iter().position(|(at, bytes)| (*at, bytes.len()) == (offset, out.len())) {
            Some(at) => {
                out.copy_from_slice(&first.swap_remove(at).1);
                Ok(())
            }
            None => self.device.read_at(offset, out),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.device.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        self.device.flush()
    }
}

#[test]
fn a_directory_that_grows_between_two_reads_of_the_superblock_is_not_read() {
    let mut world = World::on_trial(3);
    let superblocks = |device: &Memory| {
        SUPERBLOCK_OFFSETS.map(|offset| {
            let mut bytes = vec![0; Superblock::SIZE];
            device.read_at(offset, &mut bytes).unwrap();
            (offset, bytes)
        })
    };
    let first = superblocks(&world.device());
    let directory = open(&world.device()).unwrap().chosen.superblock.directory.len;
    world.maker.keyring("another", 1, &[5], &[6], &[]);
    world.maker.commit();
    let grown = open(&world.device()).unwrap().chosen.superblock.directory;
    assert!(grown.len > directory);
    let device = Changing { device: world.device(), first: Mutex::new(first.into()), read: Mutex::default() };
    let options = Options { limits: Limits { directory, ..Limits::default() }, ..Options::default() };
    let system = boot(&device, pins(&[ROOT]), means().0, options, NOW).unwrap();
    // The commit that counts the try opens the store again, and finds the longer one.
    assert_eq!(system.shown().number(), 1);
    let passed = system.passed()[0].to_string();
    assert!(passed.contains("could not be counted: its directory has"), "{passed}");
    assert!(matches!(system.switch(2, 0), Err(SwitchError::Store(_))));
    assert!(!device.read.lock().unwrap().contains(&grown.offset));
}

#[test]
fn the_slots_are_known_without_the_device() {
    let world = World::on_trial(3);
    let device = world.device();
    let (system, _) = booted(&device);
    let stored = || open(&device).unwrap().chosen.superblock.slots;
    assert_eq!(system.slots(), stored(), "a try is counted");
    system.switch(1, 9).unwrap();
    assert_eq!(system.slots(), stored(), "and given up");
    let before = device.asked();
    system.slots();
    assert_eq!(device.asked(), before);
}

/// A device on which the second flush fails, that of a commit's flip, when all is written.
struct Doubtful {
    device: Memory,
    flushes: Mutex<u32>,
}

impl BlockDevice for &Doubtful {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.device.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.device.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.device.write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        let mut flushes = self.flushes.lock().unwrap();
        *flushes += 1;
        if *flushes == 2 { Err(io::Error::other("the disk did not answer")) } else { self.device.flush() }
    }
}

#[test]
fn a_try_that_was_counted_though_the_commit_failed_is_told_as_counted() {
    let world = World::on_trial(3);
    let device = Doubtful { device: world.device(), flushes: Mutex::default() };
    let system = boot(&device, pins(&[ROOT]), means().0, Options::default(), NOW).unwrap();
    let why = &system.passed()[0].why;
    assert!(matches!(why, Why::NotCounted(reason) if reason.contains("did not answer")), "{why}");
    assert_eq!((system.shown().number(), system.booted()), (1, SlotName::A));
    assert_eq!(states(&device.device), [SlotState::Good, trial(2)], "it did happen");
    assert_eq!(system.slots(), open(&device.device).unwrap().chosen.superblock.slots);
}

#[test]
fn a_list_beyond_the_memory_of_the_machine_is_no_damage() {
    let mut world = World::on_trial(3);
    let site = world.site.clone();
    world.maker.floor(&site, 1);
    world.maker.commit();
    let device = world.device();
    let options = Options { limits: Limits { lists: 10, ..Limits::default() }, ..Options::default() };
    let refused = start_with(device.clone(), &options).0.unwrap_err();
    assert!(refused.to_string().contains("and this machine's memory is enough for 10"), "{refused}");
    assert_eq!(states(&device), [SlotState::Good, trial(2)], "a larger machine tries it again");
    assert_eq!(booted(&device).1, 2);
}
