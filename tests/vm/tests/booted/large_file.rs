//! A file of more than 2 GiB: any place of it, and those where numbers of 31 bits end.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;

use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, base, noise};
use plyos_test_system::world::World;
use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Kind, Vm, listing};

use crate::reading::sums_of;

/// Bytes of the file: past 2^31 by something odd.
const SIZE: u64 = (1 << 31) + (1 << 20) + 17;
/// Where it is.
const PATH: &str = "/models/large/weights";
/// Bytes of a block: a number that no other block has, and the same words over and over, so that the store stays small.
const BLOCK: usize = 4096;

/// The file's bytes in this range.
fn content(range: Range<u64>) -> Vec<u8> {
    let words = noise(31, 256);
    let first = range.start / BLOCK as u64;
    let mut bytes = Vec::new();
    for number in first..range.end.div_ceil(BLOCK as u64) {
        let end = bytes.len() + BLOCK;
        bytes.extend_from_slice(&number.to_le_bytes());
        while bytes.len() < end {
            bytes.extend_from_slice(&words[..words.len().min(end - bytes.len())]);
        }
    }
    let start = (range.start - first * BLOCK as u64) as usize;
    bytes[start..start + (range.end - range.start) as usize].to_vec()
}

fn image() -> StoreImage {
    let tree = Tree::new().file("config", "{}\n");
    let mut file = File::create(tree.at("weights")).unwrap();
    let piece = 1 << 20;
    for start in (0..SIZE).step_by(piece) {
        file.write_all(&content(start..SIZE.min(start + piece as u64))).unwrap();
    }
    drop(file);
    let world = World::empty();
    world.target.pkg(&["init", "--size", "64M"]).ok();
    let pushed = [
        world.push(&base(), &Layer::new("base", "plain", "1")),
        world.push(&tree, &Layer::new("model", "large", "1").with("--level", "3")),
    ];
    world.publisher.publish(&pushed.iter().collect::<Vec<_>>());
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "plain", "large"]).ok();
    StoreImage::of(&world)
}

#[test]
fn any_part_of_a_file_of_more_than_2_gib_is_what_the_publisher_put_there() {
    let image = image();
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let random: Vec<_> =
        noise(6, 16 * 60).chunks(16).map(|two| (number(&two[..8]), number(&two[8..]))).collect();
    let mut places = vec![0..100_000, SIZE - 100_000..SIZE, SIZE - 1..SIZE, SIZE..SIZE];
    places.extend([(1 << 31) - 70_000..(1 << 31) + 70_000, (1 << 31) - 1..1 << 31, 1 << 31..(1 << 31) + 1]);
    places.extend(random.into_iter().map(|(a, b)| {
        let start = a % SIZE;
        start..SIZE.min(start + b % 200_000)
    }));
    let mut vm = Vm::boot(&image.machine(Kind::Microvm).memory(128));
    assert!(vm.run(&format!("stat {PATH}")).text().contains(&SIZE.to_string()));
    let rows = listing::parse(&vm.run("find -l /models/large").lines);
    assert_eq!(rows[std::path::Path::new(PATH)].size, SIZE);
    for place in places {
        let answer = vm.run(&format!("sum -o {} -n {} {PATH}", place.start, place.end - place.start));
        let (blake3, sha256) = sums_of(&content(place.clone()));
        assert_eq!(answer.lines, [format!("blake3 {blake3}"), format!("sha256 {sha256}")], "{place:?}");
    }
    vm.power_off();
}
