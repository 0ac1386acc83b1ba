//! Damage below a mounted generation: an error and a line, never other bytes, and not remembered.

use std::time::Duration;

use plyos_blockstore::{Place, RecordType, open};
use plyos_ids::LayerId;
use plyos_kernel_logic::{Level, ReadFault};
use plyos_storefile::Store;
use plyos_test_stores::memory::Memory;

use crate::world::{World, content, start};

fn places(device: &Memory, id: &LayerId) -> Vec<Place> {
    let store = Store::on_device(device.clone(), "store").unwrap();
    store.layer(id).unwrap().unwrap().places().iter().flatten().copied().collect()
}

#[test]
fn a_damaged_chunk_is_an_error_and_one_line_that_names_it() {
    let world = World::one();
    let device = world.device();
    let (system, lines) = start(device.clone());
    let system = system.unwrap();
    let place = places(&device, &world.site.id)[0];
    device.flip(place.offset + u64::from(place.length) / 2);
    for _ in 0..20 {
        let error = content(&system, "www/docs/page.html", 1000).unwrap_err();
        assert!(
            error.contains("/www/docs/page.html") && error.contains(&world.site.id.to_string()),
            "{error}"
        );
    }
    let told = lines.of(Level::Error);
    assert_eq!(told.len(), 2, "the first and the tenth: {told:?}");
    assert!(told[0].contains("chunk ") && told[1].ends_with("(for the 10th time)"), "{told:?}");
    assert_eq!(system.damage(), 20);
    // Other files are read as before, and this one when the medium is well again.
    content(&system, "usr/bin/tool", 1000).unwrap();
    device.flip(place.offset + u64::from(place.length) / 2);
    assert_eq!(content(&system, "www/docs/index.html", 1000).unwrap(), b"<h1>one</h1>");
}

#[test]
fn every_flipped_bit_of_a_layer_is_an_error_or_changes_nothing() {
    let world = World::one();
    let device = world.device();
    let good = content(&start(device.clone()).0.unwrap(), "www/docs/page.html", 4096).unwrap();
    let copy = open(&device).unwrap().chosen;
    let entry = copy.directory.layers[&world.site.id];
    let chunks: Vec<(u64, u64)> =
        places(&device, &world.site.id).iter().map(|place| (place.offset, u64::from(place.length))).collect();
    let extents = [(entry.index.offset, entry.index.len), (entry.map.offset, entry.map.len)];
    let mut refused = 0;
    for (offset, length) in extents.into_iter().chain(chunks) {
        for at in (offset..offset + length).step_by(301) {
            device.flip(at);
            let found = match start(device.clone()).0 {
                Ok(system) => content(&system, "www/docs/page.html", 4096),
                Err(refused) => Err(refused.to_string()),
            };
            device.flip(at);
            match found {
                Ok(found) => assert!(found == good, "other bytes after a flip at {at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn a_device_that_fails_is_an_error_and_well_again_when_it_does_not() {
    let world = World::one();
    let device = world.device();
    let (system, lines) = start(device.clone());
    let system = system.unwrap();
    device.break_range(0..u64::MAX);
    let shown = system.shown();
    assert!(shown.lookup(b"usr/bin/tool").is_err());
    let error = lines.of(Level::Error);
    assert!(error[0].contains("the disk says no"), "{error:?}");
    device.heal();
    let tool = content(&system, "usr/bin/tool", 4096).unwrap();
    // The index is in the cache now; the content goes.
    system.clear_cache();
    let found = shown.lookup(b"usr/bin/tool").unwrap().unwrap();
    for place in places(&device, &world.base.id) {
        device.break_range(place.offset..place.offset + 1);
    }
    let read = shown.read(found.source.unwrap().layer, &found.entry, 0, &mut [0; 100]);
    assert!(matches!(read, Err(ReadFault::Chunk { .. })), "{read:?}");
    device.heal();
    assert!(content(&system, "usr/bin/tool", 4096).unwrap() == tool);
    assert_eq!(system.damage(), 0, "a device that fails damages nothing");
}

#[test]
fn a_damaged_map_is_an_error_and_read_again() {
    let world = World::one();
    let device = world.device();
    let (system, _) = start(device.clone());
    let system = system.unwrap();
    let entry = open(&device).unwrap().chosen.directory.layers[&world.site.id];
    let last = entry.map.offset + entry.map.len - 16;
    // The place of the last chunk: another offset, then a codec that there is not.
    for byte in [1, 12] {
        device.change(|bytes| bytes[last as usize + byte] ^= 0x40);
        assert!(content(&system, "www/docs/page.html", 4096).is_err(), "{byte}");
        device.change(|bytes| bytes[last as usize + byte] ^= 0x40);
        assert!(content(&system, "www/docs/page.html", 4096).is_ok(), "{byte}");
        system.clear_cache();
    }
}

#[test]
fn a_damaged_page_of_an_index_is_an_error_where_it_is_needed() {
    let world = World::one();
    let device = world.device();
    let (system, lines) = start(device.clone());
    let system = system.unwrap();
    let entry = open(&device).unwrap().chosen.directory.layers[&world.base.id];
    assert!(entry.index.len > 3 * 16_384, "several pages");
    system.clear_cache();
    // The last page is one of chunks.
    device.flip(entry.index.offset + entry.index.len - 16_384 + 100);
    assert!(content(&system, "usr/share/doc/399/copyright", 4096).is_err());
    assert!(lines.of(Level::Error)[0].contains("page"), "{:?}", lines.of(Level::Error));
    assert!(content(&system, "www/docs/index.html", 4096).is_ok());
}

#[test]
fn what_a_layer_may_not_hold_is_not_given_out() {
    let mut world = World::new();
    let folder = world.trees.path().join("forged");
    // A package outside of its places, and a site with a set-id program: signed, but never let in by `pkg`.
    crate::world::write(&folder, "etc/shadow", b"root::");
    crate::world::write(&folder, "usr/bin/fine", b"fine");
    std::fs::hard_link(folder.join("etc/shadow"), folder.join("usr/bin/other-name")).unwrap();
    let package =
        world.maker.layer(&folder, &crate::world::descriptor(plyos_ids::Kind::Package, "forged", "1"));
    let site = world.trees.path().join("base/usr/bin");
    let site = world.maker.layer(&site, &crate::world::descriptor(plyos_ids::Kind::Site, "setid", "1"));
    world.maker.activate(&[package, site], plyos_test_stores::maker::As::Good);
    let (system, lines) = start(world.device());
    let system = system.unwrap();
    assert_eq!(content(&system, "usr/bin/fine", 10).unwrap(), b"fine");
    let error = content(&system, "etc/shadow", 10).unwrap_err();
    assert!(error.contains("may not hold it (it stands outside"), "{error}");
    let error = content(&system, "usr/bin/other-name", 10).unwrap_err();
    assert!(error.contains("may not hold it (it stands outside"), "{error}");
    let error = content(&system, "www/setid/tool", 10).unwrap_err();
    assert!(error.contains("may not hold it (it would run with rights"), "{error}");
    assert_eq!(lines.of(Level::Error).len(), 3);
}

#[test]
fn a_repaired_store_is_read_by_a_writer_as_well() {
    // The kernel's commits leave a store that `pkg` goes on with.
    let world = World::on_trial(3);
    let device = world.device();
    start(device.clone()).0.unwrap();
    let writer = plyos_storefile::Writer::on_device(device, "store", Duration::ZERO).unwrap();
    assert!(writer.view().other.is_ok());
    assert!(writer.records(RecordType::Generation).count() == 2);
}
