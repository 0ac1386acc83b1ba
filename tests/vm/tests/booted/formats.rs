//! A disk that `plyos image store` made in QEMU's own format: read, switched, and started again.

use std::process::Command;

use plyos_slots::SlotState;
use plyos_storefile::Store;
use plyos_test_system::target::Target;
use plyos_test_vm::vm::disk::Disk;
use plyos_test_vm::vm::{Config, Kind, Vm};

use crate::reading::sums_of;
use crate::versions::{LARGE, large, world};

#[test]
fn a_disk_in_qcow2_is_read_switched_and_started_again() {
    let world = world();
    let (store, disk) = (world.target.store(), world.target.beside("disk.qcow2"));
    let (from, to) = (Target::text_of(&store), Target::text_of(&disk));
    let words = ["image", "store", to, "--from", from, "--format", "qcow2", "--size", "64M"];
    world.publisher.plyos(words.into_iter().chain(["--generation", "3", "--generation", "2"])).ok();
    assert!(std::fs::read(&disk).unwrap().starts_with(b"QFI\xfb"), "it is no qcow2");
    let roots = world.target.beside("disk.qcow2.roots");
    let machine = |kind| Config::new(kind).with(Disk::qcow2(&disk), &roots);

    let mut vm = Vm::boot(&machine(Kind::Q35));
    assert!(vm.run("lsblk").line().starts_with("vda 64.0 MiB read-write"));
    assert_eq!(vm.run("cat /www/docs/version").line(), "2");
    assert_eq!(vm.sums(LARGE), sums_of(&large()));
    assert_eq!(vm.run("switch 2").line(), "generation 2 is shown, before it was 3");
    vm.power_off();
    let mut vm = Vm::boot(&machine(Kind::Microvm));
    assert_eq!(vm.run("cat /www/docs/version").line(), "1");
    assert_eq!(vm.sums(LARGE), sums_of(&large()));
    vm.power_off();

    // QEMU's tool finds the format sound, and in it the store that the machine left.
    let raw = world.target.beside("disk.raw");
    for words in [vec!["check", "-q", to], vec!["convert", "-O", "raw", to, Target::text_of(&raw)]] {
        let ended = Command::new("qemu-img").args(&words).status();
        assert!(ended.is_ok_and(|status| status.success()), "qemu-img {words:?}");
    }
    let slots = *Store::open(&raw).unwrap().slots();
    assert_eq!(slots.active().map(|slot| (slot.number, slot.state)), Some((2, SlotState::Good)));
    world.target.pkg(&["--store", Target::text_of(&raw), "verify"]).ok();
}
