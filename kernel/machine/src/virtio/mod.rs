//! Virtio devices: finding them, starting them, and their queues as [`Device`].
//!
//! [`on_pci`] and [`in_memory`] find; [`Found::start`] gives a [`Started`], which the drivers of `plyos_kernel_devices` use. The
//! parts: [`transport`] (registers of both kinds), [`buffers`] (one queue and its memory), [`hal`] (memory for virtio-drivers).
//!
//! A device that breaks the rules is cut off: reset, and over PCI without the right to reach memory.

mod buffers;
mod hal;
mod transport;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use plyos_kernel_devices::pci::place::{Places, forget};
use plyos_kernel_devices::pci::{Kind, PciError, Region, disable, identity, interrupt_line, is_bridge};
use plyos_kernel_devices::{Device, Fault, Finished, QueueIndex, Shape, Ticket};
use virtio_drivers::PAGE_SIZE;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use crate::boot::RegionKind;
use crate::pci::{Function, functions};
use crate::registers::Registers;
use crate::{interrupts, memory};
use buffers::{Buffers, Ring};
use hal::Memory;
use transport::{Mmio, Pci, Way, either};

/// Where a device is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Over PCI.
    Pci(Function),
    /// In memory, at this physical address.
    Memory(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(function) => function.fmt(to),
            Self::Memory(address) => write!(to, "memory {address:#x}"),
        }
    }
}

/// Why a device was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// Its settings of PCI.
    Pci(PciError),
    /// Nothing that is known answers at this address.
    Nothing,
    /// A reset did not end.
    Reset,
    /// It does not take the features that it offered.
    Features,
    /// Its queues are too small, or not there.
    Queues,
    /// No memory for its queues.
    Memory,
}

impl fmt::Display for StartError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Pci(error) => return error.fmt(to),
            Self::Nothing => "no known virtio device answers there",
            Self::Reset => "it does not end a reset",
            Self::Features => "it does not take the features that it offers",
            Self::Queues => "its queues are too small, or not there",
            Self::Memory => "there is no memory for its queues",
        })
    }
}

/// A device that there is a driver for, not started yet.
#[derive(Debug)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub place: Place,
    /// Whether it was given an address here, for firmware gave it none.
    pub placed: bool,
    interrupt: Option<u8>,
    way: Way,
}

/// All known devices on PCI, in order of bus and number; those that cannot be used with the reason. No device on PCI may reach memory
/// afterwards, until it is started: not what firmware used, nor what nobody has a driver for (I15). Those that firmware gave no address
/// get one, apart from `taken` (physical), with `anew` also those that it gave one.
pub fn on_pci(anew: bool, taken: &[Range<u64>]) -> Vec<(Place, Result<Found, StartError>)> {
    let all = functions();
    let kind = |function: &Function| {
        let (vendor, device) = identity(function)?;
        Kind::of_function(vendor, device)
    };
    for mut function in all.iter().copied() {
        if !is_bridge(&function) {
            disable(&mut function);
        }
        if anew && function.is_on_first_bus() && kind(&function).is_some() {
            forget(&mut function);
        }
    }
    let mut places = None;
    let known = |function: &Function| {
        let (kind, place, interrupt) = (kind(function)?, Place::Pci(*function), interrupt_line(function));
        let found = reached(*function, kind, &mut places, || free_places(&all, taken));
        let found = found.map(|(pci, placed)| Found { kind, place, placed, interrupt, way: Way::Pci(pci) });
        Some((place, found.map_err(StartError::Pci)))
    };
    all.iter().filter_map(known).collect()
}

/// A function with its registers mapped, and whether it was given an address for that. What is free is found out when it is first
/// asked for: measuring all BARs of a machine is not done to one that needs nothing.
fn reached(
    mut function: Function,
    kind: Kind,
    places: &mut Option<Places>,
    free: impl FnOnce() -> Places,
) -> Result<(Pci, bool), PciError> {
    match Pci::new(function, kind) {
        Err(PciError::NoAddress(_)) if function.is_on_first_bus() => {
            places.get_or_insert_with(free).give_all(&mut function)?;
            Pci::new(function, kind).map(|pci| (pci, true))
        }
        reached => reached.map(|pci| (pci, false)),
    }
}

/// Where nothing is: neither in the loader's memory map, nor by what any function says, nor what is `taken`.
fn free_places(all: &[Function], taken: &[Range<u64>]) -> Places {
    let regions = memory::regions().into_iter();
    let mut places =
        Places::new(regions.map(|region| (region.start..region.end, region.kind == RegionKind::Ram)));
    for mut function in all.iter().copied() {
        places.claim_of(&mut function);
    }
    taken.iter().cloned().for_each(|range| places.claim(range));
    places
}

/// The device whose `length` bytes of registers lie at a physical address, and its interrupt line, as a command line tells.
///
/// # Errors
/// [`StartError::Nothing`].
pub fn in_memory(address: u64, length: u32, irq: u32) -> Result<Found, StartError> {
    let registers =
        Registers::map(Region { address, length }, PAGE_SIZE as u32).ok_or(StartError::Nothing)?;
    let length = usize::try_from(length).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
    let mmio = Mmio::new(&registers, length).ok_or(StartError::Nothing)?;
    let kind = match mmio.inner.device_type() {
        DeviceType::Network => Kind::Network,
        DeviceType::Block => Kind::Disk,
        DeviceType::EntropySource => Kind::Entropy,
        _ => return Err(StartError::Nothing),
    };
    let interrupt = u8::try_from(irq).ok().filter(|irq| *irq < 16);
    Ok(Found { kind, place: Place::Memory(address), placed: false, interrupt, way: Way::Mmio(mmio) })
}

/// Looks at a device's state before a reset is given up: some milliseconds.
const RESET_LOOKS: usize = 100_000;

/// Parts of the requests in a queue of several parts: head, data, status.
const DISK_PARTS: usize = 3;

impl Found {
    /// Starts the device: features that both want, queues, go (Virtio 1.2, 3.1.1).
    ///
    /// # Errors
    /// [`StartError`]; the device is reset then.
    pub fn start(mut self, wanted: u64, shapes: &[Shape]) -> Result<Started, StartError> {
        if let Way::Pci(pci) = &mut self.way {
            pci.answer();
        }
        let started = self.prepare(wanted, shapes);
        match started {
            Ok((features, queues)) => {
                Ok(Started { way: self.way, interrupt: self.interrupt, features, queues, broken: false })
            }
            Err(error) => {
                end(&mut self.way);
                Err(error)
            }
        }
    }

    fn prepare(&mut self, wanted: u64, shapes: &[Shape]) -> Result<(u64, Vec<Buffers>), StartError> {
        // 1. Reset.
        let mut status = DeviceStatus::empty();
        either!(&mut self.way, way => way.set_status(status));
        let reset = |way: &Way| either!(way, way => way.get_status()) == DeviceStatus::empty();
        if !(0..RESET_LOOKS).any(|_| reset(&self.way)) {
            return Err(StartError::Reset);
        }
        if let Way::Pci(pci) = &mut self.way {
            pci.enable();
        }
        // 2., 3. Seen, and known.
        status |= DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
        either!(&mut self.way, way => way.set_status(status));
        // 4. Features: never more than is offered.
        let features = either!(&mut self.way, way => way.read_device_features()) & wanted;
        either!(&mut self.way, way => way.write_driver_features(features));
        // 5., 6. Agreed. Devices from before version 1 do not say so.
        let old = either!(&mut self.way, way => way.requires_legacy_layout());
        if !old {
            status |= DeviceStatus::FEATURES_OK;
            either!(&mut self.way, way => way.set_status(status));
            if !either!(&mut self.way, way => way.get_status()).contains(DeviceStatus::FEATURES_OK) {
                return Err(StartError::Features);
            }
        }
        either!(&mut self.way, way => way.set_guest_page_size(PAGE_SIZE as u32));
        // 7. Queues.
        let mut queues = Vec::new();
        for (number, shape) in (0..).zip(shapes) {
            let parts = if self.kind == Kind::Disk { DISK_PARTS } else { 2 };
            let ring = either!(&mut self.way, way => ring(way, number, Buffers::entries(*shape, parts)))?;
            queues.push(Buffers::new(ring, *shape).ok_or(StartError::Memory)?);
        }
        // 8. Go.
        status |= DeviceStatus::DRIVER_OK;
        either!(&mut self.way, way => way.set_status(status));
        Ok((features, queues))
    }
}

/// A ring of at least this many entries. It interrupts nobody before it is asked to.
fn ring<T: Transport>(way: &mut T, number: u16, entries: usize) -> Result<Box<dyn Ring>, StartError> {
    fn of<T: Transport, const SIZE: usize>(way: &mut T, number: u16) -> Result<Box<dyn Ring>, StartError> {
        let mut ring =
            VirtQueue::<Memory, SIZE>::new(way, number, false, false).map_err(|error| match error {
                virtio_drivers::Error::DmaError => StartError::Memory,
                _ => StartError::Queues,
            })?;
        ring.set_dev_notify(false);
        Ok(Box::new(ring))
    }
    match entries {
        0..=8 => of::<T, 8>(way, number),
        9..=32 => of::<T, 32>(way, number),
        _ => Err(StartError::Queues),
    }
}

/// Resets a device; one on PCI loses the right to reach memory besides.
fn end(way: &mut Way) {
    either!(way, way => way.set_status(DeviceStatus::empty()));
    if let Way::Pci(pci) = way {
        pci.cut_off();
    }
}

/// A device that runs.
pub struct Started {
    way: Way,
    /// Its line at the 8259 controllers.
    interrupt: Option<u8>,
    features: u64,
    queues: Vec<Buffers>,
    broken: bool,
}

impl Started {
    fn queue(&mut self, queue: QueueIndex) -> Result<&mut Buffers, Fault> {
        if self.broken {
            return Err(Fault::Broken);
        }
        self.queues.get_mut(usize::from(queue.0)).ok_or(Fault::Broken)
    }

    /// Ends a device that broke the rules.
    fn check<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        if matches!(result, Err(Fault::Broken)) && !self.broken {
            self.broken = true;
            end(&mut self.way);
        }
        result
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        end(&mut self.way);
    }
}

impl Device for Started {
    fn features(&self) -> u64 {
        self.features
    }

    fn setting(&self, offset: usize) -> Option<u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        either!(&self.way, way => way.read_config_space::<u32>(offset)).ok()
    }

    fn settings_version(&self) -> u32 {
        // Devices from before version 1 have none.
        if either!(&self.way, way => way.requires_legacy_layout()) {
            return 0;
        }
        either!(&self.way, way => way.read_config_generation())
    }

    fn submit(&mut self, queue: QueueIndex, send: &[&[u8]], receive: &[usize]) -> Result<Ticket, Fault> {
        let submitted = self.queue(queue).and_then(|queue| queue.submit(send, receive));
        self.check(submitted)
    }

    fn notify(&mut self, queue: QueueIndex) {
        if !self.broken {
            either!(&mut self.way, way => way.notify(queue.0));
        }
    }

    fn listen(&mut self, queue: QueueIndex) -> bool {
        if self.broken {
            return false;
        }
        // What it said before must not stand in the way of what it will say: lines tell by their edge on some machines.
        either!(&mut self.way, way => way.ack_interrupt());
        if let Some(line) = self.interrupt {
            interrupts::rearm(line);
        }
        // Last, so that what came before is seen. What comes between here and resting may be told before anybody rests: then
        // the tick ends the rest.
        self.queue(queue).is_ok_and(Buffers::listen)
    }

    fn finished(&mut self, queue: QueueIndex) -> Result<Option<Finished>, Fault> {
        let finished = self.queue(queue).and_then(Buffers::finished);
        self.check(finished)
    }

    fn copy_out(
        &mut self,
        queue: QueueIndex,
        ticket: Ticket,
        at: usize,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        self.queue(queue)?.copy_out(ticket, at, out)
    }

    fn release(&mut self, queue: QueueIndex, ticket: Ticket) {
        if let Ok(queue) = self.queue(queue) {
            queue.release(ticket);
        }
    }
}
