//! How much memory a clean-up takes: bounded, whatever the store holds. A store of 4 GiB is made that is as hard as can be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use plyos_ids::{ChunkId, Codec, Kind, LayerId, Mount};
use plyos_namespace::generation::{Generation, GenerationLayer, GenerationParts};
use plyos_slots::{Candidate, Event};
use plyos_storefile::{
    Access, CreateOptions, FileDevice, LayerUpdate, LockMode, Place, RecordType, Store, StoreDevice, Writer,
};
use plyos_test_system::programs::{command, run};
use plyos_test_system::target::Target;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const MIB: u64 = 1 << 20;

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A file that stays sparse: zeroes are not written.
struct Sparse(FileDevice);

impl plyos_blockstore::BlockDevice for Sparse {
    type Error = std::io::Error;

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { self.0.write_at(offset, bytes) }
    }

    fn flush(&self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl StoreDevice for Sparse {
    fn try_lock(&self, byte: u64, mode: LockMode) -> std::io::Result<bool> {
        self.0.try_lock(byte, mode)
    }

    fn unlock(&self, byte: u64) -> std::io::Result<()> {
        self.0.unlock(byte)
    }
}

/// Fills a store of 4 GiB with 24 layers in 12 generations. The chunks of the layers lie between each other, 60,000 bytes
/// each, so that no two runs of units come together; each index has 4 MiB, which a clean-up has no reason to read.
fn fill(path: &Path) {
    const LAYERS: usize = 24;
    Store::create(path, &CreateOptions { size: 4 << 30, boots: false }).unwrap();
    let device = Sparse(FileDevice::open(path, Access::Write).unwrap());
    let mut writer = Writer::on_device(device, path, Duration::ZERO).unwrap();
    let mut places: Vec<Vec<Option<Place>>> = vec![Vec::new(); LAYERS];
    let room = writer.free_bytes() - LAYERS as u64 * 7 * MIB;
    let chunk = vec![0; 60_000];
    for number in 0..usize::try_from(room / 61_440).unwrap() {
        let place = writer.append_chunk(Codec::Zstd, &chunk).unwrap();
        places[number % LAYERS].push(Some(place));
    }
    let ids: Vec<LayerId> = (0..LAYERS)
        .map(|number| {
            let mut index = vec![0; 4 << 20];
            index[0] = number as u8 + 1;
            let id = LayerId::from_bytes(*ChunkId::from_bytes(*blake3::hash(&index).as_bytes()).as_bytes());
            let page_hashes = vec![[7; 32]; 256];
            let places = &places[number];
            writer
                .put_layer(LayerUpdate {
                    id,
                    index: &index,
                    page_hashes: &page_hashes,
                    places,
                    manifest: None,
                })
                .unwrap();
            id
        })
        .collect();
    for pair in ids.chunks(2) {
        let layers = pair.iter().zip(["a", "b"]).map(|(id, name)| GenerationLayer {
            id: *id,
            kind: Kind::Package,
            mount: Mount::of(Kind::Package, name),
            asked: true,
            unsigned: false,
            epoch: 1,
            name: name.to_owned(),
            version: String::from("1"),
            arch: String::from("amd64"),
            repo: String::from("main"),
        });
        let generation = Generation::new(GenerationParts {
            number: writer.take_generation_number(),
            parent: 0,
            created_at: 1,
            state_version: 0,
            tries: 0,
            health: None,
            created_by: String::from("test"),
            layers: layers.collect(),
        })
        .unwrap();
        let id = generation.id();
        writer.put_record(RecordType::Generation, id.as_bytes(), &generation.emit()).unwrap();
        let new = Candidate { number: generation.number, generation: id, layer_set: generation.layer_set() };
        let active = writer.slots().active().map(|slot| slot.generation);
        let slots = writer.slots().apply(Event::Activate(new), 1).unwrap();
        writer.set_slots(slots);
        writer.commit(active).unwrap();
    }
}

#[test]
fn clean_up_of_a_store_of_4_gib_stays_below_64_mib_of_memory() {
    let target = Target::new();
    fill(&target.store());
    let status = target.json(&["status"]);
    assert!(number(&status, "used_bytes") > 39 * (100 * MIB), "{status}");
    let limited = |kib: u64, args: &[&str]| {
        // All private writable memory of the process, heap and stacks, counts against this limit.
        let script = format!("ulimit -d {kib} && exec \"$@\"");
        let pkg = plyos_test_system::programs::built("pkg");
        let mut all = vec!["-c", script.as_str(), "sh", pkg.to_str().unwrap(), "--store"];
        let store = target.store();
        all.push(store.to_str().unwrap());
        all.extend(args);
        run(command("sh", &target.beside("")).args(all))
    };
    assert_ne!(limited(1 << 10, &["clean", "--all", "--dry-run"]).code, Some(0), "the limit works");
    let enough = (1..=64).find(|mib| limited(mib << 10, &["clean", "--all", "--dry-run"]).code == Some(0));
    println!("a clean-up needs at most {} MiB", enough.unwrap());
    let plan = limited(64 << 10, &["--json", "clean", "--all", "--dry-run"]).json();
    assert_eq!(numbers(&plan["generations"]).len(), 10);
    limited(64 << 10, &["du"]).ok();
    let done = limited(64 << 10, &["--json", "clean", "--all"]).json();
    assert!(number(&done, "freed_bytes") > 30 * (100 * MIB), "{done}");
    assert!(number(&done, "free_bytes") > 30 * (100 * MIB), "{done}");
}
