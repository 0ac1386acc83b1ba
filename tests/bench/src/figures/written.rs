//! Bytes that an upgrade writes, counted by the block device below the store.

use super::{mebibytes, met, ratio_of_bytes};
use crate::ours::{Layer, Plyos, Registry};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use crate::store::content;
use crate::store::loop_device::LoopDevice;
use anyhow::Result;
use plyos_ids::LayerId;
use plyos_storefile::{RecordEntry, Store, Superblock};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const TREES: [&str; 4] = ["base-min", "site-pydoc", "model", "pkg-openssl"];
/// Bytes of the device.
const DEVICE: u64 = 1 << 30;
/// Most bytes written for each byte of new chunks.
const BAR: f64 = 1.15;

/// `pkg upgrade` on a loop device, for pairs of the corpus.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Bytes written for an upgrade",
        "The store lies on a loop device; what `pkg upgrade` from version 1 to version 2 writes is what the kernel counts \
         there, in KiB. New chunks are those that the store did not have, as they are stored (zstd level 9). The rest by \
         cause: the new index, the layer's map, records (generation, history, certificate, manifest), directories and \
         superblocks of all commits, and what is left: fresh units that are not full, the same written twice. Bar: 1.15 of \
         the new chunks. Needs root.",
    );
    let headings = [
        "",
        "new chunks",
        "written",
        "written ÷ new chunks",
        "index",
        "map",
        "records",
        "directories",
        "superblocks",
        "left",
        "bar",
    ];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    for name in TREES {
        eprintln!("bench: bytes written for an upgrade of {name}");
        let device = LoopDevice::attach(&work.join("written.device"), DEVICE)?;
        let plyos = Plyos::new(settings, work.join("written"))?.with_store(device.path());
        let registry = Registry::start(settings, &work.join("written-registry"))?;
        let old = Layer { name, version: "v1", level: None };
        let new = Layer { version: "v2", ..old };
        plyos.found_repository(&registry)?;
        plyos.push(&registry, old)?;
        plyos.publish(&registry, &[old])?;
        process::run(plyos.pkg().arg("init"))?;
        plyos.trust(&registry)?;
        plyos.install(name)?;
        plyos.push(&registry, new)?;
        plyos.publish(&registry, &[new])?;
        plyos.update()?;
        process::run(&mut Command::new("sync"))?;

        let before = Held::read(device.path())?;
        let written = device.written()?;
        plyos.upgrade()?;
        process::run(&mut Command::new("sync"))?;
        let written = device.written()? - written;
        let added = Held::read(device.path())?.since(&before);
        table.add(row(name, written, &added));
        std::fs::remove_file(work.join("written.device"))?;
    }
    section.add(String::new(), table);
    Ok(section)
}

fn row(name: &str, written: u64, added: &Added) -> Vec<String> {
    let kibibytes = |bytes: u64| (bytes / 1024).to_string();
    let parts = [added.index, added.map, added.records, added.directories, added.superblocks];
    let left = written.saturating_sub(added.chunks + parts.iter().sum::<u64>());
    let mut row = vec![name.to_owned(), mebibytes(added.chunks), mebibytes(written)];
    row.push(ratio_of_bytes(written, added.chunks));
    row.extend(parts.into_iter().chain([left]).map(kibibytes));
    row.push(format!("{BAR} {}", met(written as f64 <= BAR * added.chunks as f64)));
    row
}

/// What a store holds.
struct Held {
    /// First byte and length of each stored chunk.
    chunks: BTreeSet<(u64, u64)>,
    layers: BTreeSet<LayerId>,
    /// Bytes of index and map, by layer.
    sizes: Vec<(LayerId, u64, u64)>,
    records: Vec<RecordEntry>,
    superblock: Superblock,
}

/// What came to it.
struct Added {
    chunks: u64,
    index: u64,
    map: u64,
    records: u64,
    directories: u64,
    superblocks: u64,
}

impl Held {
    fn read(path: &Path) -> Result<Self> {
        let store = Store::open(path)?;
        let chunks = content::chunks(&store)?.into_values();
        Ok(Self {
            chunks: chunks.map(|(place, _)| (place.offset, u64::from(place.length))).collect(),
            layers: store.layers().map(|entry| entry.id).collect(),
            sizes: store.layers().map(|entry| (entry.id, entry.index.len, entry.map.len)).collect(),
            records: store.view().chosen.directory.records.values().copied().collect(),
            superblock: *store.superblock(),
        })
    }

    fn since(&self, before: &Self) -> Added {
        let new = self.sizes.iter().filter(|(id, ..)| !before.layers.contains(id));
        let (index, map) = new.fold((0, 0), |sum, (_, index, map)| (sum.0 + index, sum.1 + map));
        let records = self.records.iter().filter(|entry| !before.records.contains(entry));
        let commits = self.superblock.sequence - before.superblock.sequence;
        Added {
            chunks: self.chunks.difference(&before.chunks).map(|(_, length)| length).sum(),
            index,
            map,
            records: records.map(|entry| entry.extent.len).sum(),
            directories: commits * self.superblock.directory.len,
            superblocks: commits * Superblock::SIZE as u64,
        }
    }
}
