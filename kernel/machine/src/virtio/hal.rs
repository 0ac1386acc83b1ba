//! What virtio-drivers asks of the machine: memory that devices share.

use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PhysAddr as DeviceAddr};

use crate::memory::{direct_map, frames, translate};

/// The kernel's memory as devices see it: there is no IOMMU, so a device's address is the physical one.
#[derive(Debug)]
pub(super) struct Memory;

// SAFETY: I7: frames belong to who asked for them until they are given back; the direct map shows them at page boundaries, zeroed.
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (DeviceAddr, NonNull<u8>) {
        let taken =
            frames::allocate_contiguous(pages).and_then(|at| Some((at.0, NonNull::new(direct_map(at))?)));
        // Address 0 is how virtio-drivers wants to hear that there is no memory.
        taken.unwrap_or((0, NonNull::dangling()))
    }

    unsafe fn dma_dealloc(_: DeviceAddr, _: NonNull<u8>, _: usize) -> i32 {
        // Only of devices that were given up. One that does not keep to what it is told might still write to these frames (I17):
        // nobody gets them any more.
        0
    }

    unsafe fn mmio_phys_to_virt(_: DeviceAddr, _: usize) -> NonNull<u8> {
        // Only virtio-drivers' own PCI transport asks, which is not used (see `transport`).
        unreachable!("registers are mapped by Registers::map")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> DeviceAddr {
        // Buffers are buffers, in frames that follow each other. Another one would be a defect of this crate, and a wrong address
        // would let a device write where it must not.
        match translate(buffer.as_ptr().cast()) {
            Some(at) => at.0,
            None => unreachable!("a buffer for a device that is not mapped"),
        }
    }

    unsafe fn unshare(_: DeviceAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
