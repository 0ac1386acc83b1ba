//! The bytes of a request to a virtio disk, and of its answer (Virtio 1.2, 5.2.6).

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Sectors from the device.
    Read,
    /// Sectors to the device.
    Write,
    /// Everything written so far on the medium.
    Flush,
}

/// Length of a request's head, in bytes.
pub const HEAD: usize = 16;

/// The head: type (u32), reserved (u32), first sector (u64), little-endian.
pub fn head(ask: Ask, sector: u64) -> [u8; HEAD] {
    let kind: u32 = match ask {
        Ask::Read => 0,
        Ask::Write => 1,
        Ask::Flush => 4,
    };
    let [k0, k1, k2, k3] = kind.to_le_bytes();
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sector.to_le_bytes();
    [k0, k1, k2, k3, 0, 0, 0, 0, s0, s1, s2, s3, s4, s5, s6, s7]
}

/// The byte after the data of an answer that means success. 1 is an error of the medium, 2 "not supported"; a device may
/// write anything else, or nothing: all of that is an error.
pub const DONE: u8 = 0;
