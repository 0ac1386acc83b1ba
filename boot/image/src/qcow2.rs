//! An image as qcow2, version 3: the part of QEMU's format (docs/interop/qcow2.txt of QEMU) that a file without snapshots,
//! encryption, compression or backing file needs.
//!
//! Clusters of zeroes are left out, so the file is short where the store is empty, and QEMU lets it grow as the store is
//! written. Everything follows from the bytes of the image: equal images give equal files. In the file stand, one behind the
//! other: header, refcount table, refcount blocks, L1 table, L2 tables, data.

use std::io::{self, Write};

use plyos_blockstore::BlockDevice;

/// Bytes of a cluster: 64 KiB, QEMU's own choice.
pub const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;
/// Entries of 8 bytes in a cluster: those of an L2 table, or of a cluster of the L1 or refcount table.
const ENTRIES: u64 = CLUSTER / 8;
/// Counts of 16 bits in a refcount block.
const COUNTS: u64 = CLUSTER / 2;
/// Longest L1 table that QEMU opens: 32 MiB, for images of 2 PiB.
const MAX_L1: u64 = (32 << 20) / 8;
/// In an entry of L1 and L2: what it names has a refcount of exactly one.
const COPIED: u64 = 1 << 63;
/// Bytes of the header of version 3 without extensions; after them the mark of no extensions.
const HEADER_LEN: u32 = 104;

/// Where the parts of the file stand, in clusters.
struct Layout {
    /// Bytes of the image.
    size: u64,
    table: u64,
    blocks: u64,
    l1: u64,
    /// Numbers of the L1 entries that have an L2 table.
    l2: Vec<u64>,
    /// Numbers of the image's clusters that hold data.
    data: Vec<u64>,
}

impl Layout {
    fn of(size: u64, data: Vec<u64>) -> Self {
        let mut l2: Vec<u64> = data.iter().map(|cluster| cluster / ENTRIES).collect();
        l2.dedup();
        let l1 = size.div_ceil(CLUSTER * ENTRIES).div_ceil(ENTRIES).max(1);
        let rest = 1 + l1 + (l2.len() + data.len()) as u64;
        let (mut table, mut blocks) = (1, 1);
        // Refcounts are counted too.
        while (rest + table + blocks).div_ceil(COUNTS) > blocks || blocks.div_ceil(ENTRIES) > table {
            blocks = (rest + table + blocks).div_ceil(COUNTS);
            table = blocks.div_ceil(ENTRIES);
        }
        Self { size, table, blocks, l1, l2, data }
    }

    const fn blocks_at(&self) -> u64 {
        1 + self.table
    }

    const fn l1_at(&self) -> u64 {
        self.blocks_at() + self.blocks
    }

    const fn l2_at(&self) -> u64 {
        self.l1_at() + self.l1
    }

    const fn data_at(&self) -> u64 {
        self.l2_at() + self.l2.len() as u64
    }

    /// Clusters of the file.
    const fn clusters(&self) -> u64 {
        self.data_at() + self.data.len() as u64
    }

    fn header(&self) -> Vec<u8> {
        let mut out = Vec::from(*b"QFI\xfb");
        let l1_entries = self.size.div_ceil(CLUSTER * ENTRIES) as u32;
        out.extend_from_slice(&3u32.to_be_bytes()); // version
        out.extend_from_slice(&[0; 12]); // no backing file
        out.extend_from_slice(&CLUSTER_BITS.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&[0; 4]); // no encryption
        out.extend_from_slice(&l1_entries.to_be_bytes());
        out.extend_from_slice(&(self.l1_at() * CLUSTER).to_be_bytes());
        out.extend_from_slice(&CLUSTER.to_be_bytes()); // the refcount table stands behind the header
        out.extend_from_slice(&(self.table as u32).to_be_bytes());
        out.extend_from_slice(&[0; 12]); // no snapshots
        out.extend_from_slice(&[0; 24]); // no features
        out.extend_from_slice(&4u32.to_be_bytes()); // counts of 16 bits
        out.extend_from_slice(&HEADER_LEN.to_be_bytes());
        out.extend_from_slice(&[0; 8]); // no extensions
        out
    }
}

/// Writes the image on `device` as qcow2. Its length is a whole number of 512-byte sectors, and behind the first `used` bytes it
/// holds zeroes only.
///
/// # Errors
/// Those of the device and of `out`; an image longer than QEMU opens.
pub fn write<D: BlockDevice<Error = io::Error>>(
    device: &D,
    used: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let size = device.len();
    if !size.is_multiple_of(512) || size.div_ceil(CLUSTER * ENTRIES) > MAX_L1 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an image of a length that QEMU does not open",
        ));
    }
    let mut data = Vec::new();
    let mut buffer = vec![0; CLUSTER as usize];
    for number in 0..size.min(used).div_ceil(CLUSTER) {
        if read(device, number, &mut buffer)?.iter().any(|byte| *byte != 0) {
            data.push(number);
        }
    }
    let layout = Layout::of(size, data);
    cluster(out, &layout.header())?;
    let places = (layout.blocks_at()..layout.l1_at()).map(|at| at * CLUSTER);
    entries(out, places, layout.table)?;
    for block in 0..layout.blocks {
        let counted = (layout.clusters() - block * COUNTS).min(COUNTS);
        cluster(out, &1u16.to_be_bytes().repeat(counted as usize))?;
    }
    let mut tables = (layout.l2_at()..).zip(&layout.l2).peekable();
    let l1 = (0..size.div_ceil(CLUSTER * ENTRIES)).map(|entry| {
        let table = tables.next_if(|(_, number)| **number == entry);
        table.map_or(0, |(at, _)| (at * CLUSTER) | COPIED)
    });
    entries(out, l1, layout.l1)?;
    let mut found = (layout.data_at()..).zip(&layout.data).peekable();
    for table in &layout.l2 {
        let l2 = (table * ENTRIES..(table + 1) * ENTRIES).map(|entry| {
            let place = found.next_if(|(_, number)| **number == entry);
            place.map_or(0, |(at, _)| (at * CLUSTER) | COPIED)
        });
        entries(out, l2, 1)?;
    }
    for number in &layout.data {
        cluster(out, read(device, *number, &mut buffer)?)?;
    }
    Ok(())
}

/// Bytes of a cluster of the image; the last may be shorter.
fn read<'a, D: BlockDevice<Error = io::Error>>(
    device: &D,
    number: u64,
    buffer: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    let len = (device.len() - number * CLUSTER).min(CLUSTER);
    let part = buffer.get_mut(..len as usize).unwrap_or_default();
    device.read_at(number * CLUSTER, part)?;
    Ok(part)
}

/// Writes bytes and fills the cluster up.
fn cluster(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    let missing = (CLUSTER as usize).saturating_sub(bytes.len());
    io::copy(&mut io::Read::take(io::repeat(0), missing as u64), out).map(drop)
}

/// Writes a table of 8-byte entries over whole clusters.
fn entries(out: &mut impl Write, entries: impl Iterator<Item = u64>, clusters: u64) -> io::Result<()> {
    let mut bytes = Vec::with_capacity((clusters * CLUSTER) as usize);
    entries.for_each(|entry| bytes.extend_from_slice(&entry.to_be_bytes()));
    bytes.resize((clusters * CLUSTER) as usize, 0);
    out.write_all(&bytes)
}
