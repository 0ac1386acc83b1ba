//! A thousand live switches below a reading load: what is allocated afterwards is what was allocated before.
//!
//! A program of its own, for its allocator counts; one test, for others would count with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

#[path = "logic/world.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod world;

use std::alloc;
use std::fmt;
use std::sync::Arc;

use cap::Cap;
use plyos_kernel_logic::{Level, Log, Means, System, boot};
use plyos_test_stores::maker::{NOW, ROOT, pins};
use plyos_test_stores::means::Zstd;
use plyos_test_stores::memory::Memory;

use world::{World, content, limits};

#[global_allocator]
static HEAP: Cap<alloc::System> = Cap::new(alloc::System, usize::MAX);

/// A log that keeps nothing.
struct Quiet;

impl Log for Quiet {
    fn line(&self, _: Level, _: fmt::Arguments<'_>) {}
}

/// Bytes on the heap, without what the cache says that it holds.
fn beside_the_cache(system: &System<Memory>) -> u64 {
    let cache = system.cache();
    HEAP.allocated() as u64 - cache.chunks.bytes - cache.pages.bytes
}

/// Reads a little of everything, with a few files held open over the switch.
fn round(system: &System<Memory>, number: u64) {
    let held = system.hold("a reader");
    system.switch(number, number).unwrap();
    let expected: &[u8] = if number == 1 { b"<h1>one</h1>" } else { b"<h1>two</h1>" };
    assert_eq!(content(system, "www/docs/index.html", 100).unwrap(), expected);
    for path in ["usr/bin/jq", "usr/share/doc/017/copyright", "www/docs/page.html"] {
        content(system, path, 10_000).unwrap();
    }
    let found = held.lookup(b"usr/lib/noise.bin").unwrap().unwrap();
    let mut piece = vec![0; 20_000];
    held.read(found.source.unwrap().layer, &found.entry, number * 100_000, &mut piece).unwrap();
    assert_eq!(system.mounted().len(), 2, "the old one is held, the new one shown");
}

#[test]
fn a_thousand_switches_leave_nothing_behind() {
    let world = World::two();
    let device = world.device().copied();
    drop(world);
    // Both states of the cache in which something must go and in which nothing must.
    for cache in [1 << 20, 32 << 20] {
        let means = Means { decompress: Arc::new(Zstd), log: Arc::new(Quiet) };
        let system = boot(device.copied(), pins(&[ROOT]), means, limits(cache), NOW).unwrap();
        // Until the caches are full.
        for _ in 0..20 {
            round(&system, 1);
            round(&system, 2);
        }
        let before = beside_the_cache(&system);
        for _ in 0..500 {
            round(&system, 1);
            round(&system, 2);
        }
        let after = beside_the_cache(&system);
        assert_eq!((system.mounted(), system.leases().len()), (vec![2], 0));
        // What the cache counts for its own nodes is an estimate. A hundred bytes left behind by each switch would be more.
        assert!(after < before + (64 << 10), "{before} bytes before, {after} after, with a cache of {cache}");
    }
}
