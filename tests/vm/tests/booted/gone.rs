//! A disk that goes while the machine runs: what is in the cache is still read, all else is an error and a prompt.

use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Config, Kind, Vm};

use crate::outcome::goes_on;
use crate::reading::sums_of;
use crate::versions::{LARGE, image, large};

/// Bytes of [`LARGE`] that are read before the disk goes.
const READ: usize = 70_000;

/// A machine that has read a page of the site and the start of the large file.
fn machine(image: &StoreImage, kind: Kind) -> Vm {
    let config = Config::new(kind).with(image.disk().mortal(), &image.roots());
    let mut vm = Vm::boot(&config);
    cached_is_read(&mut vm);
    assert!(errors(&mut vm) == 0);
    vm
}

/// What was read before is read again.
fn cached_is_read(vm: &mut Vm) {
    assert_eq!(vm.run("cat /www/docs/version").line(), "2");
    let (blake3, sha256) = sums_of(&large()[..READ]);
    let answer = vm.run(&format!("sum -n {READ} {LARGE}"));
    assert_eq!(answer.lines, [format!("blake3 {blake3}"), format!("sha256 {sha256}")]);
}

/// Errors of the disk, as `lsblk` counts them.
fn errors(vm: &mut Vm) -> u64 {
    let line = vm.run("lsblk").line().to_owned();
    let count = line.strip_suffix(" errors").and_then(|line| line.rsplit(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// The disk is gone: each thing that needs it is one line that says why, the rest works.
fn lives_on_what_it_has(vm: &mut Vm, why: &str) {
    let answer = vm.run(&format!("sum {LARGE}"));
    let line = answer.line();
    assert!(line.starts_with("cannot read /usr/lib/large: chunk ") && line.contains(why), "{line}");
    assert_eq!(answer.log, [format!("error: {line}")]);
    cached_is_read(vm);
    let line = vm.run("switch 2").line().to_owned();
    assert!(line.starts_with("cannot switch to generation 2: ") && line.contains(why), "{line}");
    assert!(errors(vm) >= 2);
    assert!(vm.run("status").text().contains("generation 3 (2 layers)"));
    assert!(vm.run("ls /www/docs").text().contains("page.html"));
    assert!(vm.run("free").lines[0].starts_with("total "));
}

/// Everything is there.
fn is_well(vm: &mut Vm) {
    assert_eq!(vm.sums(LARGE), sums_of(&large()));
    assert_eq!(vm.run("switch 2").line(), "generation 2 is shown, before it was 3");
    assert_eq!(vm.run("cat /www/docs/version").line(), "1");
    assert_eq!(vm.run("switch 3").line(), "generation 3 is shown, before it was 2");
    cached_is_read(vm);
}

/// The next boot of the same disk is like any other.
fn boots_again(image: &StoreImage) {
    let mut vm = Vm::boot(&image.machine(Kind::Q35));
    is_well(&mut vm);
    goes_on(vm);
    assert_eq!(image.open().slots().active().unwrap().number, 3);
}

#[test]
fn a_disk_that_begins_to_refuse_everything() {
    for kind in Kind::BOTH {
        let image = image();
        let mut vm = machine(&image, kind);
        vm.disk_refuses(0);
        lives_on_what_it_has(&mut vm, "vda: reading ");
        vm.disk_recovers(0);
        is_well(&mut vm);
        goes_on(vm);
        boots_again(&image);
    }
}

#[test]
fn a_disk_that_says_nothing_any_more() {
    let image = image();
    let mut vm = machine(&image, Kind::Microvm);
    vm.disk_falls_silent(0);
    lives_on_what_it_has(&mut vm, "the device does not answer");
    vm.disk_recovers(0);
    is_well(&mut vm);
    goes_on(vm);
    boots_again(&image);
}

#[test]
fn a_disk_that_is_pulled_out() {
    let image = image();
    let mut vm = machine(&image, Kind::Q35);
    vm.pull_out(0);
    lives_on_what_it_has(&mut vm, "the device does not answer");
    goes_on(vm);
    boots_again(&image);
}
