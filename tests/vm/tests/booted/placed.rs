//! Devices on PCI whose addresses the kernel gave them: they work as with those of the firmware.

use plyos_test_vm::vm::{Kind, Vm, free_port, page};

use crate::versions::{LARGE, image, large};

#[test]
fn devices_that_the_kernel_gave_addresses_work() {
    let image = image();
    // Where memory ends well below the hole for devices, and where it reaches up to it.
    for memory in [256, 4096] {
        let port = free_port();
        let mut config = image.machine(Kind::Q35).words("pci=assign");
        (config.port, config.memory) = (Some(port), memory);
        let mut vm = Vm::boot(&config);
        let log = vm.run("log -n 200").text();
        assert_eq!(
            log.matches("it had no address, and was given one").count(),
            3,
            "disk, card, chance: {log}"
        );
        assert!(page(port, "/metrics").contains("\nplyos_mounted 1\n"));
        assert_eq!(vm.sums(LARGE).0, blake3::hash(&large()).to_hex().as_str());
        vm.power_off();
    }
}
