//! Which superblock was seen, so that another one is noticed for little: every path that leads into a mount asks.
//!
//! A copy that is whole is known by its checksum, 32 bytes: two copies with one checksum are one copy. Of any other (damaged, or just
//! being written) all bytes are kept, for its checksum may be there before the rest is.

use plyos_blockstore::layout::{SUPERBLOCK_OFFSETS, superblock};
use plyos_blockstore::{BlockDevice, Superblock};
use plyos_storefile::FileDevice;
use std::io;

/// Both copies of the superblock, as they were seen.
pub struct Seen([Copy; 2]);

enum Copy {
    Whole([u8; superblock::CHECKSUM.size]),
    Other(Box<[u8; Superblock::SIZE]>),
}

impl Seen {
    /// As they are now.
    pub fn now(device: &FileDevice) -> io::Result<Self> {
        let [first, second] = SUPERBLOCK_OFFSETS;
        Ok(Self([Copy::read(device, first)?, Copy::read(device, second)?]))
    }

    /// Whether they are so still: two short reads, which the page cache answers.
    pub fn is_now(&self, device: &FileDevice) -> io::Result<bool> {
        for (copy, offset) in self.0.iter().zip(SUPERBLOCK_OFFSETS) {
            if !copy.is_now(device, offset)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Copy {
    fn read(device: &FileDevice, offset: u64) -> io::Result<Self> {
        let mut bytes = Box::new([0; Superblock::SIZE]);
        device.read_at(offset, &mut *bytes)?;
        let checksum = bytes.get(superblock::CHECKSUM.offset..).and_then(|rest| rest.first_chunk());
        // Parsing compares the checksum with the rest.
        match (Superblock::parse(&*bytes), checksum) {
            (Ok(_), Some(checksum)) => Ok(Self::Whole(*checksum)),
            _ => Ok(Self::Other(bytes)),
        }
    }

    fn is_now(&self, device: &FileDevice, offset: u64) -> io::Result<bool> {
        match self {
            Self::Whole(checksum) => {
                let mut now = [0; superblock::CHECKSUM.size];
                device.read_at(offset + superblock::CHECKSUM.offset as u64, &mut now)?;
                Ok(now == *checksum)
            }
            Self::Other(bytes) => {
                let mut now = [0; Superblock::SIZE];
                device.read_at(offset, &mut now)?;
                Ok(now == **bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_storefile::{Access, CreateOptions, Store};
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_copy_that_is_not_whole_yet_is_not_taken_for_the_one_that_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(Store::create(&path, &CreateOptions { size: 1 << 20, boots: false }).unwrap());
        let device = FileDevice::open(&path, Access::Read).unwrap();
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        for offset in SUPERBLOCK_OFFSETS {
            let before = Seen::now(&device).unwrap();
            assert!(before.is_now(&device).unwrap());
            // The next copy: its checksum comes first, then the rest.
            let mut copy = [0; Superblock::SIZE];
            file.read_exact_at(&mut copy, SUPERBLOCK_OFFSETS[0]).unwrap();
            let mut next = Superblock::parse(&copy).unwrap();
            next.sequence += 1 + offset;
            let next = next.emit();
            let (rest, checksum) = next.split_at(superblock::CHECKSUM.offset);
            file.write_all_at(checksum, offset + superblock::CHECKSUM.offset as u64).unwrap();
            assert!(!before.is_now(&device).unwrap());
            let torn = Seen::now(&device).unwrap();
            assert!(torn.is_now(&device).unwrap());
            file.write_all_at(rest, offset).unwrap();
            assert!(!torn.is_now(&device).unwrap());
            assert!(Seen::now(&device).unwrap().is_now(&device).unwrap());
        }
    }
}
