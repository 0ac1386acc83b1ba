//! Live switches: prepared whole, flipped as `pkg` does it, and what is held stays.

use plyos_blockstore::{Action, HistoryEntry, RecordType, open};
use plyos_kernel_logic::{Held, Limits, Options, SwitchError, System};
use plyos_slots::{BadReason, SlotName, SlotState};
use plyos_storefile::Store;
use plyos_test_stores::maker::{As, NOW};
use plyos_test_stores::memory::Memory;

use crate::world::{World, content, start, start_with};

fn system(device: &Memory) -> System<Memory> {
    start(device.clone()).0.unwrap()
}

fn index(system: &System<Memory>) -> Vec<u8> {
    content(system, "www/docs/index.html", 100).unwrap()
}

#[test]
fn there_and_back_with_slots_and_history_as_pkg_writes_them() {
    let world = World::two();
    let device = world.device();
    let system = system(&device);
    assert_eq!(index(&system), b"<h1>two</h1>");
    system.switch(1, NOW + 77).unwrap();
    assert_eq!(index(&system), b"<h1>one</h1>");
    let store = Store::on_device(device.clone(), "store").unwrap();
    assert_eq!(store.slots().active().map(|slot| slot.number), Some(1));
    let history = store.history().unwrap();
    let last = history.entries().next_back().unwrap();
    assert_eq!((last.number, last.from, last.at, last.action), (1, 2, NOW + 77, Action::Rollback));
    system.switch(2, NOW + 78).unwrap();
    assert_eq!(index(&system), b"<h1>two</h1>");
    assert_eq!(start(device).0.unwrap().shown().number(), 2, "the next start agrees");
}

#[test]
fn what_is_held_stays_on_the_old_generation_and_is_visible() {
    let world = World::two();
    let system = system(&world.device());
    let held = system.hold("a test");
    system.switch(1, 0).unwrap();
    let found = held.resolve(b"www/docs/index.html").unwrap().unwrap();
    let mut out = [0; 12];
    held.read(found.source.unwrap().layer, &found.entry, 0, &mut out).unwrap();
    assert_eq!(&out, b"<h1>two</h1>");
    assert_eq!(system.leases(), [Held { number: 2, who: "a test" }]);
    assert_eq!(system.mounted(), [2, 1]);
    drop(held);
    assert_eq!((system.leases(), system.mounted()), (Vec::new(), vec![1]));
}

#[test]
fn a_switch_that_fails_changes_nothing() {
    let mut world = World::two();
    let (first, second) = (world.first(), world.second());
    assert_eq!(world.maker.activate(&first[..2], As::Trial(2)), 3);
    let device = world.device();
    let system = system(&device);
    assert_eq!(system.shown().number(), 3, "on trial");
    let before = device.image();
    assert_eq!(system.switch(3, 0).unwrap_err(), SwitchError::Shown(3));
    assert_eq!(system.switch(9, 0).unwrap_err(), SwitchError::NotFound(9));
    assert!(device.image() == before);
    // Generation 2 cannot be written, or is damaged.
    device.fail_writes(true);
    assert!(matches!(system.switch(2, 0), Err(SwitchError::Commit(_))));
    device.fail_writes(false);
    assert!(device.image() == before);
    let copy = open(&device).unwrap().chosen;
    let offset = copy.directory.layers[&second[2].id].index.offset;
    device.flip(offset + 40);
    system.clear_cache();
    assert!(matches!(system.switch(2, 0), Err(SwitchError::Mount(_))));
    device.flip(offset + 40);
    assert!(device.image() == before);
    assert_eq!((system.shown().number(), system.mounted()), (3, vec![3]));
    // And then it goes: back to the good generation ends the trial.
    system.switch(2, 0).unwrap();
    let slots = open(&device).unwrap().chosen.superblock.slots;
    assert_eq!(slots.get(SlotName::A).state, SlotState::Bad(BadReason::Operator));
    assert_eq!(system.switch(3, 0).unwrap_err(), SwitchError::NeverGood(3));
}

#[test]
fn a_generation_that_is_in_no_slot_any_more() {
    let mut world = World::two();
    let layers = world.first();
    assert_eq!(world.maker.activate(&layers[..2], As::Good), 3);
    let system = system(&world.device());
    let listed = system.generations().unwrap();
    let told: Vec<(u64, bool, Option<SlotName>)> =
        listed.iter().map(|found| (found.number, found.was_good, found.slot.map(|(name, _)| name))).collect();
    assert_eq!(told, [(1, true, None), (2, true, Some(SlotName::B)), (3, true, Some(SlotName::A))]);
    assert_eq!(system.switch(1, 0).unwrap().number(), 1);
    assert_eq!(index(&system), b"<h1>one</h1>");
}

#[test]
fn where_a_boot_fell_back_to_can_be_made_active() {
    let world = World::two();
    let device = world.device();
    let copy = open(&device).unwrap().chosen;
    let second = copy.superblock.slots.get(SlotName::B).generation;
    let record = copy.directory.records[&(RecordType::Generation, *second.as_bytes())].extent;
    device.flip(record.offset + 40);
    let system = system(&device);
    assert_eq!((system.shown().number(), system.slots().preferred), (1, Some(SlotName::B)));
    system.switch(1, 5).unwrap();
    assert_eq!(system.slots().preferred, Some(SlotName::A));
    assert_eq!(system.switch(1, 6).unwrap_err(), SwitchError::Shown(1), "now it is");
    let (next, _) = start(device);
    assert!(next.unwrap().passed().is_empty(), "the next start begins there");
}

#[test]
fn back_to_where_a_boot_fell_back_to_ends_the_trial() {
    let world = World::on_trial(3);
    let device = world.device();
    let copy = open(&device).unwrap().chosen;
    let trial = copy.superblock.slots.get(SlotName::B).generation;
    let record = copy.directory.records[&(RecordType::Generation, *trial.as_bytes())].extent;
    // It cannot be read today, which is no evidence against it.
    device.break_range(record.offset..record.offset + record.len);
    let system = system(&device);
    assert_eq!((system.shown().number(), system.slots().trial()), (1, Some(SlotName::B)));
    system.switch(1, 0).unwrap();
    assert_eq!(system.slots().get(SlotName::B).state, SlotState::Bad(BadReason::Operator));
    assert_eq!(system.switch(1, 0).unwrap_err(), SwitchError::Shown(1));
}

#[test]
fn a_machine_without_a_clock_does_not_go_back_in_time() {
    let mut world = World::two();
    world.maker.writer().set_time_floor(2_000_000_000);
    world.maker.commit();
    let device = world.device();
    system(&device).switch(1, 0).unwrap();
    let store = Store::on_device(device, "store").unwrap();
    assert_eq!(store.history().unwrap().entries().next_back().unwrap().at, 2_000_000_000);
    assert_eq!(store.slots().a.changed_at.max(store.slots().b.changed_at), 2_000_000_000);
}

#[test]
fn a_history_beyond_the_memory_of_the_machine_refuses_a_switch() {
    let world = World::two();
    let device = world.device();
    let options = Options { limits: Limits { lists: 200, ..Limits::default() }, ..Options::default() };
    let system = start_with(device.clone(), &options).0.unwrap();
    let before = device.image();
    let refused = system.switch(1, 0).unwrap_err();
    assert!(refused.to_string().contains("and this machine's memory is enough for 200"), "{refused}");
    assert!(system.generations().is_err());
    assert!(device.image() == before && system.shown().number() == 2);
}

#[test]
fn a_switch_makes_room_for_a_long_history() {
    let mut world = World::two();
    let mut history = world.maker.writer().history().unwrap();
    let last = history.entries().next_back().unwrap().clone();
    for _ in 0..150 {
        history.push(HistoryEntry { command: "x".repeat(1000), ..last.clone() });
    }
    let record = history.emit();
    world.maker.writer().put_record(RecordType::History, &RecordType::ONLY, &record).unwrap();
    world.maker.commit();
    let system = system(&world.device());
    content(&system, "usr/lib/large.so", 1 << 20).unwrap();
    let chunks = || system.cache().chunks.bytes;
    assert!(chunks() > 1 << 20);
    system.switch(1, 0).unwrap();
    assert_eq!(chunks(), 0);
}

#[test]
fn no_more_records_are_listed_than_there_is_memory_for() {
    let world = World::two();
    let damaged = |generations| {
        let options = Options { limits: Limits { generations, ..Limits::default() }, ..Options::default() };
        let system = start_with(world.device(), &options).0.unwrap();
        let listed = system.generations().unwrap();
        assert_eq!(listed.iter().map(|found| found.number).collect::<Vec<_>>(), [1, 2]);
        listed.into_iter().filter_map(|found| found.damage).collect::<Vec<_>>()
    };
    let copy = open(&world.device()).unwrap().chosen;
    let every = copy.directory.records.values().filter(|entry| entry.record_type == RecordType::Generation);
    let bytes: u64 = every.map(|entry| entry.extent.len).sum();
    assert!(damaged(bytes).is_empty());
    let unread = damaged(bytes - 1);
    assert!(matches!(&*unread, [why] if why.starts_with("not read: ")), "{unread:?}");
}
