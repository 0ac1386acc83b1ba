//! Stores with random bytes in the wrong place: errors are fine, a panic is not, and neither is one wrong byte.
//!
//! The same logic is fuzzed on the host by the million (`tests/fuzz`); here are the real kernel's stack, heap and zstd below it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use plyos_storefile::{Extent, RecordType};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, base, noise, prose};
use plyos_test_system::world::World;
use plyos_test_vm::vm::listing;
use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Config, Kind, Vm};

/// Machines of each of the two tests, which run side by side.
const MUTANTS: u64 = 250;

/// A small store: little is left where a wrong byte does not matter.
fn image() -> StoreImage {
    static MADE: OnceLock<StoreImage> = OnceLock::new();
    let make = || {
        let world = World::empty();
        world.target.pkg(&["init", "--size", "4M"]).ok();
        let base = base().file("usr/lib/large", noise(3, 200_000)).link("etc/link", "witness");
        world.release(&base, &Layer::new("base", "plain", "1"));
        world.target.trust(&world.catalog(), world.publisher.root_sha256());
        world.target.pkg(&["update"]).ok();
        world.target.pkg(&["install", "plain"]).ok();
        world.offer(&Tree::new().file("words", prose(8, 900)), &Layer::new("site", "docs", "1"));
        world.target.pkg(&["install", "docs"]).ok();
        StoreImage::of(&world)
    };
    MADE.get_or_init(make).copied()
}

/// All that a boot may read, but the bytes of files.
fn metadata(image: &StoreImage) -> Vec<Extent> {
    let store = image.open();
    let superblocks = [0, 65_536].map(|offset| Extent { offset, len: 512 });
    let mut extents = superblocks.to_vec();
    extents.push(store.superblock().directory);
    extents.extend(store.layers().flat_map(|layer| [layer.index, layer.map]));
    let types = [RecordType::Generation, RecordType::Certificate, RecordType::Keyring, RecordType::History];
    extents.extend(types.into_iter().flat_map(|kind| store.records(kind).map(|entry| entry.extent)));
    extents
}

/// SHA-256 by path, as a sound store gives it.
fn sums(lines: &[String]) -> BTreeMap<PathBuf, String> {
    let rows = listing::parse(lines).into_iter();
    rows.filter_map(|(path, row)| Some((path, row.content?.ok()?))).collect()
}

fn machine(image: &StoreImage) -> Config {
    image.machine(Kind::Microvm).memory(64)
}

fn survive(seeds: std::ops::Range<u64>) {
    let sound = image();
    let (extents, chunks) = (metadata(&sound), [sound.chunks("plain"), sound.chunks("docs")].concat());
    let mut vm = Vm::boot(&machine(&sound));
    let expected = sums(&vm.run("find -l -s").lines);
    vm.power_off();
    assert!(expected.len() >= 4, "{expected:?}");
    let (mut mounted, mut rescued) = (0, 0);
    for seed in seeds {
        let numbers: Vec<u64> = noise(seed, 8 * 32)
            .chunks(8)
            .map(|piece| u64::from_le_bytes(piece.try_into().unwrap()))
            .collect();
        let mutant = sound.copied();
        // One bit to eight; of four, three in what describes and one in what is described.
        for pair in numbers[1..].chunks(2).take(1 + (numbers[0] % 8) as usize) {
            let (offset, length) = if pair[0] % 4 == 0 {
                let place = chunks[(pair[0] / 4) as usize % chunks.len()];
                (place.offset, u64::from(place.length))
            } else {
                let extent = extents[(pair[0] / 4) as usize % extents.len()];
                (extent.offset, extent.len)
            };
            mutant.flip(offset + pair[1] % length);
        }
        let mut vm = Vm::start(&machine(&mutant));
        let greeting = vm.wait_for_prompt();
        if greeting.contains("this is the rescue prompt") {
            rescued += 1;
        } else {
            mounted += 1;
            let answer = vm.run("find -l -s");
            // A fault of an index ends the list with a line that is none of it.
            let rows: Vec<String> =
                answer.lines.into_iter().filter(|line| !line.starts_with("cannot ")).collect();
            for (path, sum) in sums(&rows) {
                assert_eq!(expected.get(&path), Some(&sum), "seed {seed}: {}", path.display());
            }
        }
        vm.power_off();
    }
    println!("{mounted} mounted, {rescued} in rescue");
    assert!(mounted > 0 && rescued > 0, "{mounted} mounted, {rescued} in rescue: the mutants are all alike");
}

#[test]
fn mutated_stores_never_panic_the_kernel() {
    survive(0..MUTANTS);
}

#[test]
fn other_mutated_stores_never_panic_the_kernel() {
    survive(MUTANTS..2 * MUTANTS);
}
