//! PCI: reaching the settings of functions by ports, and finding all there are.
//!
//! What the settings mean is decided in `plyos_kernel_devices::pci`, which is tested on the host.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use plyos_kernel_devices::pci::{ConfigSpace, bus_behind, has_more_functions, identity};

use crate::port::Port;

/// Which register the data port shows (PCI Local Bus 3.0, 3.2.2.3.2). Setting it alone reaches no device.
const ADDRESS: Port = Port::new(0xcf8);
/// The register itself. It can give a device the right to memory: see I15 at [`Function`].
const DATA: Port = Port::new(0xcfc);

/// A function of a device on a bus. Only `virtio` writes its settings: it takes the right to reach memory from every device, and gives
/// it to one that is started when that has ended a reset (I15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    bus: u8,
    device: u8,
    function: u8,
}

impl fmt::Display for Function {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "pci {:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

impl Function {
    /// Whether the host bridge alone is before it.
    pub(crate) const fn is_on_first_bus(self) -> bool {
        self.bus == 0
    }

    fn select(self, register: u8) {
        let [bus, device, function] = [self.bus, self.device & 31, self.function & 7].map(u32::from);
        ADDRESS.write32(1 << 31 | bus << 16 | device << 11 | function << 8 | u32::from(register & 0xfc));
    }
}

impl ConfigSpace for Function {
    fn read(&self, register: u8) -> u32 {
        self.select(register);
        DATA.read32()
    }

    fn write(&mut self, register: u8, value: u32) {
        self.select(register);
        DATA.write32(value);
    }
}

/// All functions of all buses, bus 0 first. Empty on a machine without PCI.
pub fn functions() -> Vec<Function> {
    let (mut found, mut buses) = (Vec::new(), vec![0]);
    let mut next = 0;
    // A bus is looked at once, whatever bridges say: this ends.
    while let Some(bus) = buses.get(next).copied() {
        next += 1;
        for device in 0..32 {
            for function in 0..8 {
                let here = Function { bus, device, function };
                if identity(&here).is_some() {
                    found.push(here);
                    if let Some(behind) = bus_behind(&here).filter(|behind| !buses.contains(behind)) {
                        buses.push(behind);
                    }
                }
                if function == 0 && (identity(&here).is_none() || !has_more_functions(&here)) {
                    break;
                }
            }
        }
    }
    found
}
