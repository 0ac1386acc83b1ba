//! Live switches: prepared whole, flipped as `pkg` does it, and what is held stays.

use plyos_blockstore::{Action, open};
use plyos_kernel_logic::{Held, SwitchError, System};
use plyos_slots::{BadReason, SlotName, SlotState};
use plyos_storefile::Store;
use plyos_test_stores::maker::As;
use plyos_test_stores::memory::Memory;

use crate::world::{World, content, start};

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
    system.switch(1, 77).unwrap();
    assert_eq!(index(&system), b"<h1>one</h1>");
    let store = Store::on_device(device.clone(), "store").unwrap();
    assert_eq!(store.slots().active().map(|slot| slot.number), Some(1));
    let history = store.history().unwrap();
    let last = history.entries().next_back().unwrap();
    assert_eq!((last.number, last.from, last.at, last.action), (1, 2, 77, Action::Rollback));
    system.switch(2, 78).unwrap();
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
