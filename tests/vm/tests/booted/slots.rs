//! Trials: counted at each start, given up after the last one, and never started if they cannot be counted.

use std::time::Duration;

use plyos_slots::{BadReason, Candidate, Event, SlotState};
use plyos_storefile::Store;
use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Config, Kind, Vm};

use crate::versions::image;

/// The usual store with generation 3 on trial and generation 2 good and preferred.
fn on_trial(tries: u8) -> StoreImage {
    let image = image();
    let mut writer = Store::writer(image.path(), Duration::from_secs(10)).unwrap();
    let now = 1_900_000_000;
    let slots = *writer.slots();
    let other = |number: u64| [slots.a, slots.b].into_iter().find(|slot| slot.number == number).unwrap();
    let candidate = |number: u64| {
        let slot = other(number);
        Candidate { number, generation: slot.generation, layer_set: slot.layer_set }
    };
    let back = slots.apply(Event::Rollback(candidate(2)), now).unwrap();
    let trial = back.apply(Event::ActivateTrial(candidate(3), tries), now).unwrap();
    let before = slots.active().unwrap().generation;
    writer.set_slots(trial);
    writer.commit(Some(before)).unwrap();
    image
}

fn state_of(image: &StoreImage, number: u64) -> SlotState {
    let slots = *image.open().slots();
    [slots.a, slots.b].into_iter().find(|slot| slot.number == number).unwrap().state
}

#[test]
fn a_trial_that_fails_three_times_goes_back() {
    let image = on_trial(3);
    for left in [2, 1, 0] {
        // The machine loses its power each time: nobody says that all is well.
        let mut vm = Vm::boot(&image.machine(Kind::BOTH[usize::from(left) % 2]));
        assert_eq!(vm.run("cat /www/docs/version").line(), "2");
        assert_eq!(vm.run("status").text().matches("on trial").count(), 0, "states are told in one way");
        assert!(vm.run("status").text().contains(&format!("trial ({left} of 3 tries left)")));
        drop(vm);
        assert_eq!(state_of(&image, 3), SlotState::Trial { left, granted: 3 });
    }
    let mut vm = Vm::boot(&image.machine(Kind::Q35));
    assert_eq!(vm.run("cat /www/docs/version").line(), "1", "the good one again");
    vm.power_off();
    assert_eq!(state_of(&image, 3), SlotState::Unconfirmed, "without evidence nothing is bad");
    assert_eq!(state_of(&image, 2), SlotState::Good, "and the good one never loses a try");
}

#[test]
fn a_trial_that_is_damaged_is_bad() {
    let image = on_trial(3);
    let docs = {
        let store = image.open();
        let trial = store.slots().trial().unwrap();
        let id = store.slots().get(trial).generation;
        let key = plyos_storefile::RecordType::Generation;
        let bytes = store.record(key, id.as_bytes()).unwrap().unwrap();
        let generation = plyos_namespace::generation::Generation::parse(&bytes).unwrap();
        let id = generation.layers.iter().find(|layer| layer.name == "docs").unwrap().id;
        *store.layers().find(|entry| entry.id == id).unwrap()
    };
    image.flip(docs.index.offset + 100);
    let mut vm = Vm::boot(&image.machine(Kind::Microvm));
    assert_eq!(vm.run("cat /www/docs/version").line(), "1");
    vm.power_off();
    assert_eq!(state_of(&image, 3), SlotState::Bad(BadReason::Damaged));
}

#[test]
fn a_try_that_cannot_be_counted_is_not_made() {
    let image = on_trial(3);
    let sick = Config::new(Kind::Q35).with(image.disk().refusing_writes(), &image.roots());
    let read_only = Config::new(Kind::Microvm).with(image.disk().read_only(), &image.roots());
    for config in [sick, read_only, image.machine(Kind::Q35).words("ro")] {
        let mut vm = Vm::start(&config);
        let greeting = vm.wait_for_prompt();
        assert!(
            greeting.contains("passed over: slot ") && greeting.contains("could not be counted"),
            "{greeting}"
        );
        assert_eq!(vm.run("cat /www/docs/version").line(), "1");
        vm.power_off();
        assert_eq!(state_of(&image, 3), SlotState::Trial { left: 3, granted: 3 });
    }
}

#[test]
fn a_slot_can_be_looked_at_and_nothing_is_counted() {
    let image = on_trial(3);
    let slot = image.open().slots().trial().unwrap().to_string().to_lowercase();
    let mut vm = Vm::boot(&image.machine(Kind::Q35).words(&format!("slot={slot}")));
    assert_eq!(vm.run("cat /www/docs/version").line(), "2");
    vm.power_off();
    assert_eq!(state_of(&image, 3), SlotState::Trial { left: 3, granted: 3 });
}
