//! Registers of a device, mapped and bounded.

use plyos_kernel_devices::pci::Region;

use crate::memory::{PhysAddr, map_device};

/// Device memory that is mapped for as long as the kernel runs. Reads beyond its end give all ones, as a bus without a device
/// does; writes beyond it go nowhere.
#[derive(Debug)]
pub(crate) struct Registers {
    base: *mut u8,
    length: usize,
}

/// A register's width: bytes, half words, words.
pub(crate) trait Width: Copy {
    /// What a read beyond the end gives.
    const NOTHING: Self;
}

impl Width for u8 {
    const NOTHING: Self = Self::MAX;
}

impl Width for u16 {
    const NOTHING: Self = Self::MAX;
}

impl Width for u32 {
    const NOTHING: Self = Self::MAX;
}

impl Registers {
    /// Maps the first `most` bytes of a region, or all of it if it is smaller. `None` if it lies in RAM, or memory for page tables
    /// is short.
    pub(crate) fn map(region: Region, most: u32) -> Option<Self> {
        let length = usize::try_from(region.length.min(most)).ok()?;
        map_device(PhysAddr(region.address), length).map(|base| Self { base, length })
    }

    /// Where it begins, for who checks bounds himself.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    fn place<T: Width>(&self, offset: usize) -> Option<*mut T> {
        let inside = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.length);
        let at = self.base.wrapping_add(offset).cast::<T>();
        (inside && at.is_aligned()).then_some(at)
    }

    pub(crate) fn read<T: Width>(&self, offset: usize) -> T {
        match self.place::<T>(offset) {
            // SAFETY: I16: inside device memory that stays mapped, aligned; every bit pattern is a value of T.
            Some(at) => unsafe { at.read_volatile() },
            None => T::NOTHING,
        }
    }

    pub(crate) fn write<T: Width>(&mut self, offset: usize, value: T) {
        if let Some(at) = self.place::<T>(offset) {
            // SAFETY: I16: inside device memory that stays mapped, aligned. What the device does with it is bounded by I17.
            unsafe { at.write_volatile(value) }
        }
    }
}
