//! The kernel starts on both machines, tells what it is, and ends as it is told, whatever goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use std::time::Duration;

use plyos_test_vm::vm::{Config, Kind, Vm};
use serde_json::json;

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

#[test]
fn after_a_panic_it_stands_still_or_starts_again_as_it_was_told() {
    for kind in Kind::BOTH {
        // The last word counts; QEMU is told to end instead of starting again.
        let mut reset = Vm::start(&Config::new(kind).words("panic=reset provoke=null-read"));
        let ended = reset.wait();
        assert!(ended.is_off() && reset.written().contains("page fault"), "{kind:?}: {ended:?}");
        let mut halted = Vm::start(&Config::new(kind).words("panic=halt provoke=null-read"));
        halted.read_until("kernel_main + 0x");
        // Long enough for one that does not stand still: its end would take the monitor along.
        std::thread::sleep(Duration::from_secs(1));
        let status = halted.monitor().run("query-status", &json!({}));
        assert_eq!(status["status"], "running", "it stands still, so that somebody can read");
        assert!(!halted.written().contains("plyos> "));
    }
}

#[test]
fn reboot_starts_again() {
    for kind in Kind::BOTH {
        let mut vm = Vm::boot(&Config::new(kind));
        vm.type_bytes(b"reboot\r");
        assert!(vm.end().is_off(), "{kind:?}");
    }
}

#[test]
fn a_processor_that_forbids_too_little_is_refused_in_a_line() {
    for kind in Kind::BOTH {
        let mut vm = Vm::start(&Config { processor: Some("qemu64,-nx"), ..Config::new(kind) });
        let ended = vm.wait();
        let written = vm.written();
        assert!(ended.debug_status().is_some(), "{kind:?}: {ended:?}: {written}");
        assert!(
            written.contains("this processor does not forbid to execute data (NX)"),
            "{kind:?}: {written}"
        );
    }
}

/// A virtio disk's first registers, as they would stand in memory (Virtio 1.2, 4.2.2): magic, version, kind, maker.
fn registers() -> Vec<u8> {
    let mut page = [0x7472_6976u32, 2, 2, 0x554d_4551].map(u32::to_le_bytes).as_flattened().to_vec();
    page.resize(4096, 0);
    page
}

#[test]
fn devices_of_the_command_line_are_looked_for_only_where_one_can_be() {
    // What looks like a device lies in memory, everywhere in a module of 4 MiB, which QEMU puts close to the end of the 64.
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("module");
    std::fs::write(&module, registers().repeat(1024)).unwrap();
    let places = [
        ("in memory", 0x3d0_0000u64),
        ("in the kernel itself", 0x10_0000),
        ("where nothing is", 0xd000_0000),
        ("across a page", 0xd000_0f01),
        ("beyond what the processor reaches", 1 << 46),
        ("at the end of what the processor reaches", (1 << 40) - 512),
        ("beyond what any processor reaches", 1 << 52),
        ("at the last addresses", u64::MAX - 4096),
    ];
    let words = places.map(|(_, address)| format!("virtio_mmio.device=512@{address:#x}:5")).join(" ");
    for kind in Kind::BOTH {
        let config = Config { roots: Some(module.clone()), ..Config::new(kind).memory(64).words(&words) };
        let mut vm = Vm::start(&config);
        let greeting = vm.wait_for_prompt();
        for (place, address) in places {
            let line = format!(
                "warning: memory {address:#x}: a device that cannot be used: no known virtio device answers there"
            );
            assert!(greeting.contains(&line), "{kind:?}: {place}: {greeting}");
        }
        assert!(vm.run("lsblk").line().starts_with("no block device"));
        vm.power_off();
    }
}
