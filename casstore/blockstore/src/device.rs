//! What a store lies on.

/// Bytes that can be read and written at any offset, and a barrier.
///
/// Between two flushes writes may reach the medium in any order, in part or not at all; what was written before a flush
/// returned is there afterwards. A write may tear at 512-byte sectors, never inside one.
pub trait BlockDevice {
    /// What goes wrong.
    type Error;

    /// Bytes in all.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` from `offset`; fewer bytes than asked for are an error.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Returns when everything written before is on the medium.
    fn flush(&self) -> Result<(), Self::Error>;
}

impl<D: BlockDevice + ?Sized> BlockDevice for &D {
    type Error = D::Error;

    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Self::Error> {
        (**self).read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        (**self).write_at(offset, bytes)
    }

    fn flush(&self) -> Result<(), Self::Error> {
        (**self).flush()
    }
}
