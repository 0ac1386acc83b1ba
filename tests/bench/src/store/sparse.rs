//! A store of 4 GiB that takes little room on the disk: what is written is zeroes, and zeroes are not written.
//!
//! Its chunks and indexes cannot be read; what counts are its maps, and that they are as scattered as can be.

use anyhow::Result;
use plyos_blockstore::BlockDevice;
use plyos_ids::{Codec, Kind, LayerId, Mount};
use plyos_namespace::generation::GenerationLayer;
use plyos_storefile::{
    Access, CreateOptions, FileDevice, LayerUpdate, LockMode, Place, Store, StoreDevice, Writer,
};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::synthetic::activate;

/// Bytes of the store.
pub const SIZE: u64 = 4 << 30;
/// Layers; two make a generation.
pub const LAYERS: usize = 24;
/// Stored bytes of a chunk: what one of 64 KiB usually has, and no multiple of a unit.
const CHUNK: usize = 60_000;
/// Bytes of an index.
const INDEX: usize = 4 << 20;

/// A file that stays sparse.
struct SparseDevice(FileDevice);

impl BlockDevice for SparseDevice {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { self.0.write_at(offset, bytes) }
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StoreDevice for SparseDevice {
    fn try_lock(&self, byte: u64, mode: LockMode) -> io::Result<bool> {
        self.0.try_lock(byte, mode)
    }

    fn unlock(&self, byte: u64) -> io::Result<()> {
        self.0.unlock(byte)
    }
}

/// Makes a store that is full: [`LAYERS`] layers, of which each has every so many-th chunk, so that no two runs of units
/// come together; two layers in each generation. Gives the number of chunks.
pub fn fill(path: &Path) -> Result<u64> {
    Store::create(path, &CreateOptions { size: SIZE, boots: false })?;
    let device = SparseDevice(FileDevice::open(path, Access::Write)?);
    let mut writer = Writer::on_device(device, path, Duration::ZERO)?;
    let mut places: Vec<Vec<Option<Place>>> = vec![Vec::new(); LAYERS];
    // Room stays for the indexes, for maps and directories of both copies, and to work in.
    let room = writer.free_bytes().saturating_sub(LAYERS as u64 * (INDEX as u64 + (3 << 20)));
    let count = room / (CHUNK as u64).next_multiple_of(4096);
    let chunk = vec![0; CHUNK];
    for layer in (0..LAYERS).cycle().take(usize::try_from(count)?) {
        let place = writer.append_chunk(Codec::Zstd, &chunk)?;
        places.get_mut(layer).into_iter().for_each(|places| places.push(Some(place)));
    }
    let mut listed = Vec::with_capacity(LAYERS);
    for (number, places) in (1u8..).zip(&places) {
        let mut index = vec![0; INDEX];
        index.first_mut().into_iter().for_each(|first| *first = number);
        let id = LayerId::from_bytes(*blake3::hash(&index).as_bytes());
        let page_hashes = vec![[number; 32]; INDEX / 16_384];
        writer.put_layer(LayerUpdate {
            id,
            index: &index,
            page_hashes: &page_hashes,
            places,
            manifest: None,
        })?;
        let name = format!("layer-{number:02}");
        listed.push(GenerationLayer {
            id,
            kind: Kind::Package,
            mount: Mount::of(Kind::Package, &name),
            asked: true,
            unsigned: false,
            epoch: 1,
            name,
            version: "1".to_owned(),
            arch: "any".to_owned(),
            repo: "bench".to_owned(),
        });
    }
    for pair in listed.chunks(2) {
        activate(&mut writer, pair.to_vec())?;
    }
    Ok(count)
}
