//! A run of bytes in the store.

use crate::layout::{DATA_START, UNIT};

/// Bytes `offset..offset + len` of the store. `len` is at least 1 wherever an extent was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl Extent {
    /// The extent, when it lies in the data area of a store of `store_len` bytes and is not longer than `limit`.
    pub fn checked(offset: u64, len: u64, limit: u64, store_len: u64) -> Option<Self> {
        let end = offset.checked_add(len)?;
        (offset >= DATA_START && (1..=limit).contains(&len) && end <= store_len)
            .then_some(Self { offset, len })
    }

    /// First byte behind it.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// The units that it touches: first, and first behind.
    pub const fn units(&self) -> (u64, u64) {
        (self.offset / UNIT, self.end().div_ceil(UNIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let store = 1 << 20;
        assert!(Extent::checked(DATA_START, 1, 10, store).is_some());
        assert_eq!(Extent::checked(DATA_START - 1, 1, 10, store), None, "superblock area");
        assert_eq!(Extent::checked(DATA_START, 0, 10, store), None, "empty");
        assert_eq!(Extent::checked(DATA_START, 11, 10, store), None, "over the limit");
        assert_eq!(Extent::checked(store - 5, 6, 10, store), None, "past the end");
        assert_eq!(Extent::checked(u64::MAX, 6, 10, store), None, "overflow");
    }

    #[test]
    fn units_round_outwards() {
        assert_eq!(Extent { offset: 4097, len: 4096 }.units(), (1, 3));
        assert_eq!(Extent { offset: 4096, len: 4096 }.units(), (1, 2));
    }
}
