//! Everything that stays for as long as the kernel runs, and what the console asks of it.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use plyos_blockstore::BlockDevice as _;
use plyos_kernel_console::Standing;
use plyos_kernel_console::machine::{Disk, Machine, Memory, Network};
use plyos_kernel_console::status::{Facts, http};
use plyos_kernel_devices::net::{Effort, Net, News};
use plyos_kernel_logic::frames::FRAME_SIZE;
use plyos_kernel_logic::{Level, Line, System, Trusted};
use plyos_kernel_machine::virtio::Started;
use plyos_kernel_machine::{clock, memory};

use crate::devices::{Devices, MachineDisk};
use crate::log::told;
use crate::{log, store};

/// A disk for as long as the kernel runs.
pub type StoreDisk = &'static MachineDisk;

/// What was mounted.
#[expect(clippy::large_enum_variant, reason = "there is one, for as long as the kernel runs")]
pub enum Mounted {
    /// The system of the store on the first disk.
    System(System<StoreDisk>),
    /// Nothing, for these reasons.
    Nothing(Vec<String>),
}

/// The kernel as it runs.
pub struct Host {
    disks: Vec<StoreDisk>,
    net: RefCell<Option<Net<Started>>>,
    trusted: Option<Trusted>,
    /// What was mounted.
    pub mounted: Mounted,
}

impl Host {
    /// Takes the devices over. Disks stay for ever, so that the system may refer to them; `mount` makes it of the first.
    pub fn new(
        devices: Devices,
        trusted: Option<Trusted>,
        mount: impl FnOnce(Option<StoreDisk>) -> Mounted,
    ) -> Self {
        let disks: Vec<StoreDisk> =
            devices.disks.into_iter().map(|disk| &*Box::leak(Box::new(disk))).collect();
        let mounted = mount(disks.first().copied());
        Self { disks, net: RefCell::new(devices.net), trusted, mounted }
    }

    /// What the console tells about.
    pub const fn standing(&self) -> Standing<'_, System<StoreDisk>> {
        match &self.mounted {
            Mounted::System(system) => Standing::Mounted(system),
            Mounted::Nothing(reasons) => Standing::Rescue(reasons.as_slice()),
        }
    }

    /// Does what the network wants done, as much as there is time for.
    pub fn poll_network(&self, effort: Effort) {
        // Taken out meanwhile, for the page that it asks for tells of the network too: as it was a moment ago.
        let Some(mut net) = self.net.borrow_mut().take() else { return };
        let state = network(&net);
        let mut respond = |head: &[u8]| {
            let request = http::Request::read(head)?;
            let gather = || Facts { network: Some(state.clone()), ..Facts::gather(self, &self.standing()) };
            Some(http::answer(request, gather))
        };
        net.poll(clock::uptime(), effort, &mut respond);
        for news in net.news() {
            tell(&news);
        }
        *self.net.borrow_mut() = Some(net);
    }

    /// Asks the network to interrupt when something comes. True if it has come already: do not rest.
    pub fn await_network(&self) -> bool {
        self.net.borrow_mut().as_mut().is_some_and(Net::listen)
    }
}

impl Machine for Host {
    fn uptime(&self) -> Duration {
        clock::uptime()
    }

    fn wall_clock(&self) -> Option<u64> {
        clock::now()
    }

    fn trusted(&self) -> Option<Trusted> {
        self.trusted
    }

    fn memory(&self) -> Memory {
        let (frames, heap) = (memory::frames::counts(), memory::heap::counts());
        Memory {
            total: frames.total * FRAME_SIZE,
            free: frames.free * FRAME_SIZE,
            image: memory::image_size(),
            heap_limit: heap.total,
            heap_used: heap.used,
            heap_peak: heap.peak,
        }
    }

    fn disks(&self) -> Vec<Disk> {
        let told = |disk: &StoreDisk| {
            let counts = disk.counts();
            Disk {
                name: disk.name().into(),
                bytes: disk.len(),
                read_only: disk.read_only(),
                requests: counts.requests,
                read_bytes: counts.read,
                written_bytes: counts.written,
                flushes: counts.flushes,
                errors: counts.errors,
            }
        };
        self.disks.iter().map(told).collect()
    }

    fn network(&self) -> Option<Network> {
        self.net.borrow().as_ref().map(network)
    }

    fn decompression(&self) -> (Duration, u64) {
        store::decompressed()
    }

    fn log(&self, least: Level, last: usize) -> Vec<Line> {
        log::last(least, last)
    }
}

fn tell(news: &News) {
    match news {
        News::Lease(lease) if lease.unfit_router.is_none() => told!(Info, "net: {news}"),
        _ => told!(Warning, "net: {news}"),
    }
}

fn network(net: &Net<Started>) -> Network {
    let state = net.state();
    let lease = state.lease.as_ref();
    Network {
        mac: state.card,
        address: lease.map(|lease| (lease.address, lease.prefix)),
        gateway: lease.and_then(|lease| lease.router),
        resolvers: lease.map(|lease| lease.resolvers.clone()).unwrap_or_default(),
        received: (state.counts.received, state.counts.received_bytes),
        sent: (state.counts.sent, state.counts.sent_bytes),
        errors: state.counts.dropped,
        broken: state.broken.map(|fault| fault.to_string()),
        connections: state.connections,
        pages: state.answers,
    }
}
