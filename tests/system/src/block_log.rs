//! What reached a disk, write by write: the log that QEMU's `blklogwrites` driver keeps, in the format of the kernel's
//! dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst), and what a disk may hold after a cut in it.
//!
//! [`BlockLog`] is the log, [`Disk`] an image in memory. Who records one is [`crate::recorded_disk`].

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// First eight bytes of a log.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// Unit in which entries count, whatever the log's own sectors are.
const SECTOR: u64 = 512;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// Bytes that an image keeps together.
const BLOCK: u64 = 4096;

/// One entry: a write (a discard reads as zeroes) and whether what was written before is there for certain afterwards.
#[derive(Debug)]
pub struct Entry {
    /// First byte on the disk.
    pub offset: u64,
    /// What was written; empty for a mere flush.
    pub bytes: Vec<u8>,
    /// A flush; with bytes they are part of what it makes certain.
    pub flush: bool,
    /// First byte of the log behind it.
    end: u64,
}

/// A log.
#[derive(Debug)]
pub struct BlockLog {
    /// In the order in which the disk got them.
    pub entries: Vec<Entry>,
}

impl BlockLog {
    /// Reads a log.
    ///
    /// # Panics
    /// When it is not one, or not whole.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let number = |at: u64| u64::from_le_bytes(part(&bytes, at, 8).try_into().unwrap());
        assert_eq!((number(0), number(8)), (MAGIC, VERSION), "{} is no log of writes", path.display());
        let step = u64::from(u32::from_le_bytes(part(&bytes, 24, 4).try_into().unwrap()));
        let mut entries = Vec::new();
        let mut at = step;
        for _ in 0..number(16) {
            let (offset, len) = (number(at) * SECTOR, number(at + 8) * SECTOR);
            let flags = number(at + 16);
            at += step;
            let bytes = match flags & (DISCARD | MARK) {
                0 => {
                    at += len;
                    part(&bytes, at - len, len).to_vec()
                }
                DISCARD => vec![0; usize::try_from(len).unwrap()],
                // The text of a mark stands in the entry's own sector.
                _ => Vec::new(),
            };
            entries.push(Entry { offset, bytes, flush: flags & (FLUSH | FUA) != 0, end: at });
        }
        Self { entries }
    }

    /// How many entries lie in the first `len` bytes of the log.
    pub fn entries_in(&self, len: u64) -> usize {
        self.entries.partition_point(|entry| entry.end <= len)
    }

    /// The last flush before entry `at`, as the number of entries that it and what came before it make.
    pub fn certain_at(&self, at: usize) -> usize {
        self.entries[..at].iter().rposition(|entry| entry.flush).map_or(0, |flush| flush + 1)
    }
}

fn part(bytes: &[u8], at: u64, len: u64) -> &[u8] {
    let (at, len) = (usize::try_from(at).unwrap(), usize::try_from(len).unwrap());
    bytes.get(at..at + len).expect("the log ends in the middle of an entry")
}

/// The content of a disk; blocks that were never written are zeroes.
#[derive(Debug, Clone)]
pub struct Disk {
    len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    /// Reads an image.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let mut disk = Self { len: bytes.len() as u64, blocks: BTreeMap::new() };
        for (number, block) in (0..).zip(bytes.chunks(4096)) {
            if block.iter().any(|byte| *byte != 0) {
                disk.write(number * BLOCK, block);
            }
        }
        disk
    }

    /// Writes bytes.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let inside = usize::try_from(at % BLOCK).unwrap();
            let count = (4096 - inside).min(bytes.len() - done);
            let block = self.blocks.entry(at / BLOCK).or_insert_with(|| vec![0; 4096]);
            block[inside..inside + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    /// Writes it into a new, sparse file.
    pub fn store(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.len).unwrap();
        for (number, block) in &self.blocks {
            file.write_all_at(block, number * BLOCK).unwrap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(entries: &[(u64, u64, u64)]) -> Vec<u8> {
        let mut bytes = [MAGIC, VERSION, entries.len() as u64].map(u64::to_le_bytes).concat();
        bytes.extend(512u32.to_le_bytes());
        bytes.resize(512, 0);
        for (sector, count, flags) in entries {
            bytes.extend([*sector, *count, *flags, 0].map(u64::to_le_bytes).concat());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            let data = if flags & (DISCARD | MARK) == 0 { count * SECTOR } else { 0 };
            bytes.resize(bytes.len() + data as usize, 7);
        }
        bytes
    }

    #[test]
    fn a_log_is_read_entry_by_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let bytes = log(&[(8, 2, 0), (0, 0, FLUSH), (9, 1, DISCARD), (0, 0, MARK), (1, 1, FUA)]);
        std::fs::write(&path, &bytes).unwrap();
        let log = BlockLog::read(&path);
        let seen: Vec<_> = log.entries.iter().map(|e| (e.offset, e.bytes.len(), e.flush)).collect();
        assert_eq!(
            seen,
            [(4096, 1024, false), (0, 0, true), (4608, 512, false), (0, 0, false), (512, 512, true)]
        );
        assert_eq!(log.entries_in(bytes.len() as u64), 5);
        assert_eq!(log.entries_in(bytes.len() as u64 - 1), 4);
        assert_eq!([0, 1, 2, 4, 5].map(|at| log.certain_at(at)), [0, 0, 2, 2, 5]);

        let image = folder.path().join("image");
        std::fs::write(&image, vec![1; 8192]).unwrap();
        let mut disk = Disk::read(&image);
        log.entries.iter().for_each(|entry| disk.write(entry.offset, &entry.bytes));
        disk.store(&image);
        let now = std::fs::read(&image).unwrap();
        let runs = [(0, 1), (511, 1), (512, 7), (1024, 1), (4095, 1), (4096, 7), (4608, 0), (5120, 1)];
        for (at, byte) in runs {
            assert_eq!(now[at], byte, "byte {at}");
        }
    }
}
