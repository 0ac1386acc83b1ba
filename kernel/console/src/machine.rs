//! What the console asks of the machine. The image answers.

use alloc::{string::String, vec::Vec};
use core::{net::Ipv4Addr, time::Duration};

use plyos_kernel_logic::{Level, Line, Trusted};

/// The machine.
pub trait Machine {
    /// Time since the kernel was started, never going back.
    fn uptime(&self) -> Duration;

    /// Seconds since 1970-01-01 UTC, as far as somebody told the machine.
    fn wall_clock(&self) -> Option<u64>;

    /// Whom it trusts; `None` for nobody.
    fn trusted(&self) -> Option<Trusted>;

    /// Where the memory is.
    fn memory(&self) -> Memory;

    /// Block devices, the store's first.
    fn disks(&self) -> Vec<Disk>;

    /// The network device; `None` when there is none, or it was turned off.
    fn network(&self) -> Option<Network>;

    /// Time spent on decompression since the start, and the bytes that came out.
    fn decompression(&self) -> (Duration, u64);

    /// The last lines of the log of at least this importance, the oldest first, at most so many.
    fn log(&self, least: Level, last: usize) -> Vec<Line>;
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// All that the start structure gave.
    pub total: u64,
    /// Frames that nobody has.
    pub free: u64,
    /// The kernel's image.
    pub image: u64,
    /// What the heap may take at most.
    pub heap_limit: u64,
    /// What is allocated on it.
    pub heap_used: u64,
    /// The most that ever was.
    pub heap_peak: u64,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disk {
    /// What it is called: `vda`.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether it refuses to be written.
    pub read_only: bool,
    /// Requests that were made.
    pub requests: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
    /// Finished flushes.
    pub flushes: u64,
    /// Requests that the device refused, or answered with what cannot be.
    pub errors: u64,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its address with the length of the network's prefix, once DHCP gave one.
    pub address: Option<(Ipv4Addr, u8)>,
    /// The way out.
    pub gateway: Option<Ipv4Addr>,
    /// Who resolves names.
    pub resolvers: Vec<Ipv4Addr>,
    /// Frames and bytes that came.
    pub received: (u64, u64),
    /// Frames and bytes that went.
    pub sent: (u64, u64),
    /// Frames that were dropped or refused.
    pub errors: u64,
    /// Why the card is not used any more.
    pub broken: Option<String>,
    /// Connections that are open now.
    pub connections: usize,
    /// Pages that were asked of the built-in server.
    pub pages: u64,
}

impl Network {
    /// Whether somebody can be reached: there is an address, and the card is used.
    pub fn is_up(&self) -> bool {
        self.broken.is_none() && self.address.is_some()
    }
}
