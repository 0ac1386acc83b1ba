//! What the kernel makes of its devices: a disk, a seed of entropy, a place on the network.
//!
//! Everything here speaks to hardware through [`Device`], which `plyos-kernel-machine` implements over virtio's queues,
//! and knows the time from a [`Clock`]. So the same code runs against hostile devices in tests on the host. Devices are
//! not trusted anywhere: whatever one answers, or if it never answers, the caller gets bytes or an error after a bounded
//! time. Whether the bytes are the right ones is decided above, by hashes.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod clock;
mod device;
mod disk;
#[cfg(test)]
mod fake;
pub mod net;
mod patience;
pub mod pci;
mod seed;

pub use clock::Clock;
pub use device::{Device, Fault, Finished, QueueIndex, Shape, Ticket, UNWRITTEN};
pub use disk::{Activity, Disk, DiskCounts, DiskError, Reason};
pub use seed::{SeedError, seed};

/// Features and queues that the drivers ask of a device, by its kind.
pub mod wants {
    use crate::Shape;

    /// `VIRTIO_F_VERSION_1`: the device follows version 1 of the specification or a later one.
    pub const VERSION_1: u64 = 1 << 32;

    /// Of a block device: read-only is told (5), so is the size of blocks (6), flush (9).
    pub const DISK_FEATURES: u64 =
        VERSION_1 | crate::disk::READ_ONLY | crate::disk::BLOCK_SIZE | crate::disk::FLUSH;
    /// One queue of requests.
    pub const DISK_QUEUES: &[Shape] = &[crate::disk::SHAPE];

    /// Of a source of entropy: nothing.
    pub const SEED_FEATURES: u64 = VERSION_1;
    /// One queue of empty buffers.
    pub const SEED_QUEUES: &[Shape] = &[crate::seed::SHAPE];

    /// Of a network card: that it tells its address.
    pub const NET_FEATURES: u64 = VERSION_1 | crate::net::ADDRESS;
    /// One queue each way: in, out.
    pub const NET_QUEUES: &[Shape] = &[crate::net::RECEIVE_SHAPE, crate::net::TRANSMIT_SHAPE];
}
