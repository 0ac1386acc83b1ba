//! How a virtio device is reached: over PCI, or in memory (virtio-mmio).
//!
//! virtio-drivers has both, and its transport over memory is used. The one over PCI believes what the device tells while it
//! runs (the place to notify at is read each time, and one that lies outside panics; a reset is waited for without an end), so this
//! has one of its own: everything is checked once, and each wait is bounded.

use core::ptr::NonNull;

use plyos_kernel_devices::pci::{COMMON, Kind, PciError, Regions, answer, disable, enable, virtio_regions};
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::pci::Function;
use crate::registers::Registers;

// Offsets of the common settings (Virtio 1.2, 4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const STATUS: usize = 0x14;
const GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_PLACE: usize = 0x1e;
const QUEUE_DESCRIPTORS: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;

/// Queues that a device here can have.
const QUEUES: usize = 2;
/// Most of the device's own settings that anybody reads, in bytes.
const OWN: u32 = 256;
/// Most of the notification registers that is mapped: far more than two queues need.
const NOTIFY: u32 = 64 * 1024;

/// A device over PCI.
#[derive(Debug)]
pub(super) struct Pci {
    kind: Kind,
    function: Function,
    common: Registers,
    notify: Registers,
    step: u32,
    interrupt: Registers,
    own: Option<Registers>,
    /// Where each queue is notified, read when it was set up.
    places: [usize; QUEUES],
}

impl Pci {
    /// Maps the registers of a function. The device may not reach memory yet.
    pub(super) fn new(mut function: Function, kind: Kind) -> core::result::Result<Self, PciError> {
        let Regions { common, notify, notify_step, interrupt, own } = virtio_regions(&mut function)?;
        let map = |region, most, name| Registers::map(region, most).ok_or(PciError::Misplaced(name));
        Ok(Self {
            kind,
            function,
            common: map(common, COMMON, "common")?,
            notify: map(notify, NOTIFY, "notification")?,
            step: notify_step,
            interrupt: map(interrupt, 1, "interrupt")?,
            own: own.map(|own| map(own, OWN, "own")).transpose()?,
            places: [usize::MAX; QUEUES],
        })
    }

    fn select(&mut self, queue: u16) {
        self.common.write(QUEUE_SELECT, queue);
    }

    fn write_address(&mut self, offset: usize, address: PhysAddr) {
        let [low, high] = [address as u32, (address >> 32) as u32];
        self.common.write(offset, low);
        self.common.write(offset + 4, high);
    }

    /// Lets the device answer at its registers. To be called before anything is read from them.
    pub(super) fn answer(&mut self) {
        answer(&mut self.function);
    }

    /// Lets the device reach memory, and interrupt. To be called when it has ended a reset: before it may still do what somebody
    /// else told it (I15).
    pub(super) fn enable(&mut self) {
        enable(&mut self.function);
    }

    /// Takes memory away from the device for good.
    pub(super) fn cut_off(&mut self) {
        disable(&mut self.function);
    }
}

impl Transport for Pci {
    fn device_type(&self) -> DeviceType {
        match self.kind {
            Kind::Network => DeviceType::Network,
            Kind::Disk => DeviceType::Block,
            Kind::Entropy => DeviceType::EntropySource,
        }
    }

    fn read_device_features(&mut self) -> u64 {
        let mut half = |which: u32| {
            self.common.write(DEVICE_FEATURE_SELECT, which);
            u64::from(self.common.read::<u32>(DEVICE_FEATURE))
        };
        half(0) | half(1) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for (which, half) in [(0u32, features as u32), (1, (features >> 32) as u32)] {
            self.common.write(DRIVER_FEATURE_SELECT, which);
            self.common.write(DRIVER_FEATURE, half);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        u32::from(self.common.read::<u16>(QUEUE_SIZE))
    }

    fn notify(&mut self, queue: u16) {
        if let Some(place) = self.places.get(usize::from(queue)) {
            self.notify.write(*place, queue);
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(u32::from(self.common.read::<u8>(STATUS)))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.common.write(STATUS, status.bits() as u8);
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        self.select(queue);
        self.common.write(QUEUE_SIZE, size as u16);
        self.write_address(QUEUE_DESCRIPTORS, descriptors);
        self.write_address(QUEUE_DRIVER, driver);
        self.write_address(QUEUE_DEVICE, device);
        // A place outside of the registers is written to nowhere: the device then hears nothing, and is found silent.
        let number = u64::from(self.common.read::<u16>(QUEUE_NOTIFY_PLACE));
        if let Some(place) = self.places.get_mut(usize::from(queue)) {
            *place = usize::try_from(number * u64::from(self.step)).unwrap_or(usize::MAX);
        }
        self.common.write(QUEUE_ENABLE, 1u16);
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.common.read::<u16>(QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_truncate(u32::from(self.interrupt.read::<u8>(0)))
    }

    fn read_config_generation(&self) -> u32 {
        u32::from(self.common.read::<u8>(GENERATION))
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let own = self.own.as_ref().ok_or(Error::ConfigSpaceMissing)?;
        let mut value = T::new_zeroed();
        for (at, byte) in value.as_mut_bytes().iter_mut().enumerate() {
            *byte = own.read(offset + at);
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        let own = self.own.as_mut().ok_or(Error::ConfigSpaceMissing)?;
        for (at, byte) in value.as_bytes().iter().enumerate() {
            own.write(offset + at, *byte);
        }
        Ok(())
    }
}

/// A device in memory.
#[derive(Debug)]
pub(super) struct Mmio {
    pub(super) inner: MmioTransport<'static>,
}

impl Mmio {
    /// A device whose registers are `registers`, of `length` bytes. `None` if there is none that this kernel knows.
    pub(super) fn new(registers: &Registers, length: usize) -> Option<Self> {
        let header =
            NonNull::new(registers.base().cast::<VirtIOHeader>()).filter(|header| header.is_aligned())?;
        // SAFETY: I16: device memory of this length, mapped for as long as the kernel runs, and `Registers` is not used any more by
        // who calls this.
        unsafe { MmioTransport::new(header, length) }.ok().map(|inner| Self { inner })
    }
}

/// Either.
#[derive(Debug)]
pub(super) enum Way {
    Pci(Pci),
    Mmio(Mmio),
}

/// Does the same with either transport.
macro_rules! either {
    ($way:expr, $transport:ident => $work:expr) => {
        match $way {
            $crate::virtio::transport::Way::Pci($transport) => $work,
            $crate::virtio::transport::Way::Mmio($crate::virtio::transport::Mmio { inner: $transport }) => {
                $work
            }
        }
    };
}
pub(super) use either;
