//! What a pull costs: bytes on the way, after kills too, and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic"
)]

use plyos_layer_build::reader::Blob;
use plyos_layer_format::index::Limits;
use plyos_storefile::Store;
use plyos_test_system::programs::{PATIENCE, wait_for};
use plyos_test_system::proxy::{Carried, Fault, Rule};
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use std::io::Cursor;
use std::process::{Child, Stdio};
use std::time::Instant;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of what is there already that a request may bring along: the gap that is cheaper to fetch, and what decides for
/// all of a blob.
const ALONG: u64 = 64 * KIB;

#[test]
fn a_small_layer_is_one_request_of_its_blob() {
    let world = World::new();
    let pushed =
        world.offer(&Tree::new().file("usr/share/verse", prose(7, 300)), &Layer::package("words", "1"));
    assert!(pushed.blob_len() <= 64 * KIB);
    world.proxy.take_carried();
    let moved = world.target.json(&["install", "words"])["downloaded_bytes"].as_u64().unwrap();
    let carried = world.proxy.take_carried();
    let blobs: Vec<_> = carried.iter().filter(|carried| carried.path.contains("/blobs/")).collect();
    assert_eq!(blobs.len(), 1, "{carried:?}");
    let manifest = world.registry.stored().read(pushed.text("manifest")).len() as u64;
    assert_eq!(moved, carried.iter().map(|carried| carried.bytes).sum::<u64>());
    assert_eq!(moved, pushed.blob_len() + manifest);
    assert_eq!(world.target.cat("/usr/share/verse"), prose(7, 300));
}

#[test]
fn a_large_layer_costs_no_more_than_its_blob() {
    let world = World::new();
    let pushed =
        world.offer(&Tree::new().file("usr/large", noise(1, 5_000_000)), &Layer::package("large", "1"));
    let moved = world.target.json(&["install", "large"])["downloaded_bytes"].as_u64().unwrap();
    let manifest = world.registry.stored().read(pushed.text("manifest")).len() as u64;
    assert!(moved <= pushed.blob_len() + manifest, "{moved} for {}", pushed.blob_len());
}

#[test]
fn a_server_that_knows_no_ranges_sends_a_layer_once() {
    let world = World::new();
    let pushed =
        world.offer(&Tree::new().file("usr/large", noise(1, 5_000_000)), &Layer::package("large", "1"));
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::IgnoreRange));
    world.proxy.take_carried();
    let moved = world.target.json(&["install", "large"])["downloaded_bytes"].as_u64().unwrap();
    let carried = world.proxy.take_carried();
    let blobs: Vec<_> = carried.iter().filter(|carried| carried.path.contains("/blobs/")).collect();
    assert_eq!(
        blobs.iter().map(|carried| carried.bytes).collect::<Vec<_>>(),
        [pushed.blob_len()],
        "{carried:?}"
    );
    let manifest = world.registry.stored().read(pushed.text("manifest")).len() as u64;
    assert_eq!(moved, pushed.blob_len() + manifest);
    assert_eq!(world.target.cat("/usr/large"), noise(1, 5_000_000));

    // Nor more often when it did not answer at first.
    let target = world.another_target();
    target.pkg(&["update"]).ok();
    world.proxy.heal();
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::Silent).times(1));
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::IgnoreRange));
    world.proxy.take_carried();
    target.pkg(&["install", "large"]).ok();
    let carried = world.proxy.take_carried();
    let bytes: u64 = carried.iter().filter(|c| c.path.contains("/blobs/")).map(|c| c.bytes).sum();
    assert_eq!(bytes, pushed.blob_len(), "{carried:?}");
    assert_eq!(target.cat("/usr/large"), noise(1, 5_000_000));
}

/// Offset and length of each frame, and whether its chunk is in the store.
fn frames(world: &World, pushed: &Pushed) -> Vec<(u64, u64, bool)> {
    let bytes = world.registry.stored().read(pushed.text("blob"));
    let blob = Blob::open(Cursor::new(bytes), &Limits::default()).unwrap();
    let store = Store::open(world.target.store()).unwrap();
    let stored = store.layer(&blob.layer()).unwrap();
    let places = stored.map(|stored| stored.places().to_vec()).unwrap_or_default();
    let there = places.iter().map(Option::is_some).chain(std::iter::repeat(false));
    let table = blob.table().places().map(|(offset, length)| (offset, u64::from(length)));
    table.zip(there).map(|((offset, length), there)| (offset, length, there)).collect()
}

/// Bytes of frames that were in the store and were asked for all the same.
fn asked_again(carried: &[Carried], frames: &[(u64, u64, bool)]) -> u64 {
    let ranges = carried.iter().filter_map(|carried| carried.range);
    let common = |(first, last): (u64, u64), (offset, length): (u64, u64)| {
        (last + 1).min(offset + length).saturating_sub(first.max(offset))
    };
    ranges
        .map(|range| {
            let there = frames.iter().filter(|(_, _, there)| *there);
            there.map(|(offset, length, _)| common(range, (*offset, *length))).sum::<u64>()
        })
        .sum()
}

#[test]
fn killed_again_and_again_nothing_that_is_durable_is_fetched_twice() {
    let length = 32 << 20;
    let world = World::new();
    let pushed = world.offer(&Tree::new().file("usr/large", noise(1, length)), &Layer::package("large", "1"));
    let (mut moved, mut durable) = (0, 0);
    let random = noise(11, 12 * 2);
    for (round, random) in random.as_chunks::<2>().0.iter().enumerate() {
        let before = frames(&world, &pushed);
        world.proxy.heal();
        world.proxy.add(Rule::on("/blobs/sha256/", Fault::Slow(32 << 10, 60)));
        world.proxy.take_carried();
        let (running, from) = (world.target.start(&["install", "large"]), world.proxy.bytes_so_far());
        // From a few bytes to some 2 MiB, which take less than the rest of the download.
        let enough = from + u64::from(u16::from_le_bytes(*random)) * 32;
        wait_for("bytes", || (world.proxy.bytes_so_far() >= enough).then_some(()));
        running.kill();
        // The proxy notes a request when it sees that nobody listens any more.
        wait_for("the proxy", || {
            let seen = world.proxy.carried_so_far("");
            std::thread::sleep(std::time::Duration::from_millis(200));
            (world.proxy.carried_so_far("") == seen).then_some(())
        });
        let carried = world.proxy.take_carried();
        let again = asked_again(&carried, &before);
        assert!(again <= carried.len() as u64 * ALONG, "round {round}: {again} bytes were asked for again");
        let after = frames(&world, &pushed);
        assert!(before.iter().zip(&after).all(|(before, after)| after.2 || !before.2), "something was lost");
        moved += carried.iter().map(|carried| carried.bytes).sum::<u64>();
        durable = after.iter().filter(|(_, _, there)| *there).map(|(_, length, _)| length).sum();
        println!("round {round}: {durable} of {moved} bytes are durable");
    }
    assert!(durable > 0, "nothing was kept: {durable} of {moved} bytes");
    world.proxy.heal();
    world.proxy.take_carried();
    let before = frames(&world, &pushed);
    world.target.pkg(&["install", "large"]).ok();
    let carried = world.proxy.take_carried();
    let last: u64 = carried.iter().map(|carried| carried.bytes).sum();
    assert!(asked_again(&carried, &before) <= carried.len() as u64 * ALONG);
    assert!(last < pushed.blob_len() - durable + carried.len() as u64 * ALONG + 100 * KIB, "{last}");
    assert_eq!(world.target.cat("/usr/large"), noise(1, length));
}

/// Highest resident memory of a process in KiB, watched until it ends.
fn peak(mut child: Child) -> u64 {
    let (started, mut peak) = (Instant::now(), 0);
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(seen.unwrap_or_default());
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            return peak;
        }
        assert!(started.elapsed() < 4 * PATIENCE, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn installed(target: &Target, name: &str) -> u64 {
    peak(target.command(&["-q", "install", name]).stdout(Stdio::null()).spawn().unwrap())
}

#[test]
fn memory_does_not_grow_with_what_is_pulled() {
    let world = World::new();
    for (form, seed) in [("zstd", 10), ("gzip", 20)] {
        let tree = (0..3).fold(Tree::new(), |tree, file| {
            tree.file(&format!("usr/share/{form}/{file}"), noise(file + seed, 40 << 20))
        });
        let layer = Layer::package(form, "1");
        let layer = if form == "gzip" { layer.flag("--gzip") } else { layer };
        world.offer(&tree, &layer);
        let peak = installed(&world.target, form);
        println!("{form}: {} MiB for 120 MiB", peak / KIB);
        assert!(peak * KIB < 64 * MIB, "{form}: {peak} KiB");
    }
    world.target.pkg(&["verify"]).ok();
}
