//! The kernel starts on both machines, tells what it is, and ends as it is told, whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_vm::vm::{Config, Kind, Vm};

#[test]
fn without_a_disk_there_is_the_rescue_prompt() {
    for kind in Kind::BOTH {
        let mut vm = Vm::start(&Config::new(kind));
        let greeting = vm.wait_for_prompt();
        let version = concat!("Plyos ", env!("CARGO_PKG_VERSION"), " on x86-64");
        assert!(greeting.contains(version), "{kind:?}: {greeting}");
        assert!(greeting.contains("Nothing could be mounted: this is the rescue prompt."), "{greeting}");
        assert!(vm.run("ls").line().starts_with("nothing is mounted; 'status' says why"));
        assert!(vm.run("lsblk").line().starts_with("no block device"));
        assert!(vm.run("free").lines[0].starts_with("total "));
        assert!(vm.run("status").text().contains(env!("CARGO_PKG_VERSION")));
        vm.power_off();
    }
}

#[test]
fn every_size_of_memory_is_seen() {
    for (kind, memory) in
        [(Kind::Q35, 64), (Kind::Microvm, 64), (Kind::Q35, 256), (Kind::Q35, 4096), (Kind::Microvm, 4096)]
    {
        let mut vm = Vm::boot(&Config::new(kind).memory(memory));
        let free = vm.run("free");
        let words: Vec<&str> = free.lines[0].split_whitespace().collect();
        let total: u32 = words[1].parse().unwrap();
        // Firmware, the image and the holes below 1 MiB are not for others.
        assert!(total <= memory << 10 && total > (memory << 10) - 4096, "{kind:?} {memory}: {total}");
        vm.power_off();
    }
}

#[test]
fn a_mistake_of_the_kernel_is_told_and_ends_the_machine() {
    for (kind, mistake, said) in [
        (Kind::Q35, "null-read", "page fault"),
        (Kind::Microvm, "null-read", "page fault"),
        (Kind::Q35, "text-write", "page fault"),
        (Kind::Q35, "alias-write", "page fault"),
        (Kind::Q35, "heap-run", "page fault"),
        (Kind::Q35, "stack-overflow", "stack"),
        (Kind::Q35, "invalid-instruction", "invalid instruction"),
    ] {
        let mut vm = Vm::start(&Config::new(kind).words(&format!("provoke={mistake}")));
        let ended = vm.wait();
        let written = vm.written();
        assert!(ended.debug_status().is_some(), "{mistake}: {ended:?}: {written}");
        assert!(written.to_lowercase().contains(said), "{mistake}: {written}");
        assert!(written.contains(" kernel_main + 0x"), "{mistake}: no backtrace with names: {written}");
    }
}
