//! Stores with random bytes in the wrong place: errors are fine, a panic is not, and neither is one wrong byte.
//!
//! Half of them have bits turned, as a bad disk has: those mostly end at a hash. The others were edited by somebody who can write the disk
//! and makes the hashes right again, so that parsers see it; the same edits are made on the host by the million (`tests/fuzz`). Here are
//! the real kernel's stack, heap and zstd below the same logic.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plyos_storefile::{Extent, RecordType};
use plyos_test_fuzz::kernel;
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, base, noise, prose};
use plyos_test_system::world::World;
use plyos_test_vm::vm::listing;
use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Config, Kind, Vm};
use sha2::{Digest as _, Sha256};

/// Machines of each of the two tests, which may run side by side.
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

fn machine(image: &StoreImage) -> Config {
    image.machine(Kind::Microvm).memory(64)
}

/// What a listing says of a store that may be damaged.
struct Listed {
    rows: listing::Listing,
    /// Whether damage was met on the way: then rows may be missing.
    damaged: bool,
}

fn list(vm: &mut Vm) -> Listed {
    let answer = vm.run("find -l -s");
    // A fault of an index ends the list with a line that is none of it.
    let (faults, rows): (Vec<String>, Vec<String>) =
        answer.lines.into_iter().partition(|line| line.starts_with("cannot "));
    Listed { rows: listing::parse(&rows), damaged: !faults.is_empty() || !answer.log.is_empty() }
}

impl Listed {
    /// SHA-256 of every file that could be read.
    fn sums(&self) -> BTreeMap<PathBuf, String> {
        let sum = |row: &listing::Row| row.content.as_ref()?.as_ref().ok().cloned();
        self.rows.iter().filter_map(|(path, row)| Some((path.clone(), sum(row)?))).collect()
    }
}

#[test]
fn stores_with_turned_bits_never_panic_the_kernel() {
    let sound = image();
    let (extents, chunks) = (metadata(&sound), [sound.chunks("plain"), sound.chunks("docs")].concat());
    let mut vm = Vm::start(&machine(&sound));
    let greeting = vm.wait_for_prompt();
    let first_line =
        |greeting: &str| greeting.lines().find(|line| line.starts_with("generation ")).map(str::to_owned);
    let (expected, generation) = (list(&mut vm).sums(), first_line(&greeting));
    vm.power_off();
    assert!(expected.len() >= 4, "{expected:?}");
    let (mut mounted, mut rescued, mut whole) = (0, 0, 0);
    for seed in 0..MUTANTS {
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
            let listed = list(&mut vm);
            for (path, sum) in listed.sums() {
                assert_eq!(expected.get(&path), Some(&sum), "seed {seed}: {}", path.display());
            }
            // What does not say that something is wrong shows everything.
            if !listed.damaged && first_line(&greeting) == generation {
                whole += 1;
                assert_eq!(listed.sums(), expected, "seed {seed}");
            }
        }
        vm.power_off();
    }
    println!("{mounted} mounted, {whole} of them whole, {rescued} in rescue");
    assert!(
        whole > 0 && whole < mounted && rescued > 0,
        "{mounted}, {whole}, {rescued}: the mutants are all alike"
    );
}

#[test]
fn stores_of_who_can_write_the_disk_never_panic_the_kernel() {
    let name = |path: &Path| path.file_name().map(OsStr::to_owned);
    let sum =
        |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    // Edits may put a layer elsewhere, where its mount path still fits its name; a file's own name and bytes are its publisher's.
    let signed: BTreeSet<_> =
        kernel::files().map(|(path, bytes)| (name(Path::new(OsStr::from_bytes(path))), sum(bytes))).collect();
    let (mut mounted, mut rescued, mut switched) = (0, 0, 0);
    for number in 0..MUTANTS {
        let image = StoreImage::of_bytes(&kernel::edited(&kernel::run(number)), &kernel::roots());
        let mut vm = Vm::start(&machine(&image));
        if vm.wait_for_prompt().contains("this is the rescue prompt") {
            rescued += 1;
        } else {
            mounted += 1;
            let mut lists = vec![list(&mut vm)];
            if vm.run("switch 1").text().starts_with("generation 1 is shown") {
                switched += 1;
                lists.push(list(&mut vm));
            }
            for (path, sum) in lists.iter().flat_map(Listed::sums) {
                assert!(signed.contains(&(name(&path), sum)), "run {number}: {}", path.display());
            }
        }
        vm.power_off();
    }
    println!("{mounted} mounted, {switched} of them switched, {rescued} in rescue");
    assert!(switched > 0 && switched < mounted && rescued > 0, "{mounted}, {switched}, {rescued}: all alike");
}
