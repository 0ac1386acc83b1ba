//! The devices of this machine: found, started, told in the log.
//!
//! A device that cannot be used is a line in the log, never more. Disks are `vda`, `vdb` and on in the order of PCI and then of
//! the command line.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::time::Duration;

use plyos_blockstore::BlockDevice as _;
use plyos_kernel_console::status::http;
use plyos_kernel_devices::net::{Net, Service};
use plyos_kernel_devices::pci::Kind;
use plyos_kernel_devices::{Clock, Disk, Shape, seed, wants};
use plyos_kernel_logic::command_line::CommandLine;
use plyos_kernel_machine::virtio::{self, Found, Place, StartError, Started};
use plyos_kernel_machine::{clock, cpu, interrupts};

use crate::log::told;

/// Where the status page is, and what it reads at most.
const STATUS: Service = Service { port: 80, longest: http::MAX_REQUEST };

/// The machine's time, for who waits for devices.
#[derive(Debug, Clone, Copy)]
pub struct Uptime;

impl Clock for Uptime {
    fn now(&self) -> Duration {
        clock::uptime()
    }

    fn rest(&self) {
        // The tick ends this at the latest.
        interrupts::wait(|| false);
    }
}

/// A disk of this machine.
pub type MachineDisk = Disk<Started, Uptime>;

/// What was found and runs.
pub struct Devices {
    /// In order: `vda` first.
    pub disks: Vec<MachineDisk>,
    /// The first network card, unless the command line turned the network off.
    pub net: Option<Net<Started>>,
}

/// Finds and starts all devices.
pub fn start(words: &CommandLine) -> Devices {
    let (mut disks, mut net, mut entropy) = (Vec::new(), None, None);
    for (place, found) in find(words) {
        match found.map(|found| (found.kind, found)) {
            Ok((Kind::Disk, found)) => disks.extend(disk(&name(disks.len()), found)),
            Ok((Kind::Entropy, found)) if entropy.is_none() => entropy = random(found),
            Ok((Kind::Network, found)) if net.is_none() && words.net => net = Some(found),
            Ok((kind, _)) => told!(Debug, "{place}: a {kind:?} device that is not used"),
            Err(error) => unusable(&place, &error),
        }
    }
    // Hard to guess if there is a source of entropy.
    let seed = entropy.unwrap_or_else(|| cpu::timestamp() ^ clock::now().unwrap_or_default().rotate_left(40));
    Devices { disks, net: net.and_then(|found| card(found, seed)) }
}

fn find(words: &CommandLine) -> Vec<(Place, Result<Found, StartError>)> {
    let in_memory = words.virtio_mmio.iter();
    let taken: Vec<Range<u64>> =
        in_memory.map(|device| device.address..device.address.saturating_add(device.size)).collect();
    let mut found = virtio::on_pci(words.pci_assign, &taken);
    for (place, _) in found.iter().filter(|(_, found)| found.as_ref().is_ok_and(|found| found.placed)) {
        told!(Info, "{place}: it had no address, and was given one");
    }
    for device in &words.virtio_mmio {
        let place = Place::Memory(device.address);
        let length = u32::try_from(device.size).unwrap_or(u32::MAX);
        found.push((place, virtio::in_memory(device.address, length, device.irq)));
    }
    found
}

fn unusable(place: &Place, error: &dyn fmt::Display) {
    told!(Warning, "{place}: a device that cannot be used: {error}");
}

/// Starts a device, or says why not.
fn started(found: Found, wanted: u64, shapes: &[Shape]) -> Option<(Place, Started)> {
    let place = found.place;
    match found.start(wanted, shapes) {
        Ok(started) => Some((place, started)),
        Err(error) => {
            unusable(&place, &error);
            None
        }
    }
}

fn disk(name: &str, found: Found) -> Option<MachineDisk> {
    let (place, device) = started(found, wants::DISK_FEATURES, wants::DISK_QUEUES)?;
    match Disk::new(String::from(name), device, Uptime) {
        Ok(disk) => {
            let kind = if disk.read_only() { ", read-only" } else { "" };
            told!(Info, "{name}: {place}, {} KiB{kind}", disk.len() >> 10);
            Some(disk)
        }
        Err(error) => {
            unusable(&place, &error);
            None
        }
    }
}

fn random(found: Found) -> Option<u64> {
    let (place, mut device) = started(found, wants::SEED_FEATURES, wants::SEED_QUEUES)?;
    let mut bytes = [0; 8];
    match seed(&mut device, &Uptime, &mut bytes) {
        Ok(()) => {
            told!(Debug, "{place}: a source of entropy");
            Some(u64::from_le_bytes(bytes) ^ cpu::timestamp())
        }
        Err(error) => {
            unusable(&place, &error);
            None
        }
    }
}

fn card(found: Found, seed: u64) -> Option<Net<Started>> {
    let (place, device) = started(found, wants::NET_FEATURES, wants::NET_QUEUES)?;
    match Net::new(device, STATUS, seed, clock::uptime()) {
        Ok(net) => {
            let [a, b, c, d, e, f] = net.state().card;
            told!(Info, "net: {place}, {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
            Some(net)
        }
        Err(error) => {
            unusable(&place, &error);
            None
        }
    }
}

/// The name of the disk with this number: `vda` for 0. There are not more than 26 on any machine that is known; the rest share
/// the last letter and differ by number.
fn name(number: usize) -> String {
    match u8::try_from(number).ok().filter(|number| *number < 25) {
        Some(number) => format!("vd{}", char::from(b'a' + number)),
        None => format!("vdz{number}"),
    }
}
