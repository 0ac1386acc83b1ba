//! Devices on PCI whose addresses the kernel gave them: they work as with those of the firmware.

use plyos_test_vm::vm::{Kind, Vm, free_port, page};

use crate::versions::{LARGE, image, large};

#[test]
fn devices_that_the_kernel_gave_addresses_work() {
    let image = image();
    // Memory that ends far below 4 GiB, that leaves a hole of little more than 1 GiB there, and that goes on above it.
    for memory in [256, 2800, 4096] {
        let port = free_port();
        let mut config = image.machine(Kind::Q35).words("pci=assign");
        (config.port, config.memory) = (Some(port), memory);
        let mut vm = Vm::boot(&config);
        let log = vm.run("log -n 200").text();
        assert_eq!(
            log.matches("it had no address, and was given one").count(),
            3,
            "disk, card, entropy: {log}"
        );
        assert!(page(port, "/metrics").contains("\nplyos_mounted 1\n"));
        assert_eq!(vm.sums(LARGE).0, blake3::hash(&large()).to_hex().as_str());
        vm.power_off();
    }
}
