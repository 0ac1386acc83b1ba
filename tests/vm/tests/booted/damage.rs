//! Every kind of damage: an error that says where, never other bytes, and a machine that goes on.

use plyos_storefile::RecordType;
use plyos_test_system::publisher::Publisher;
use plyos_test_system::registry::Registry;
use plyos_test_vm::vm::store::pinned;
use plyos_test_vm::vm::{Config, Kind};

use crate::outcome::{boot, goes_back_to_2, goes_on, is_rescue};
use crate::versions::{LARGE, image};

#[test]
fn a_damaged_chunk_is_an_error_that_names_it() {
    let image = image();
    // The large file is cut on its own: its chunks lie in the middle of the base's.
    let chunks = image.chunks("plain");
    let place = chunks[chunks.len() / 2];
    image.flip(place.offset + u64::from(place.length) / 2);
    for kind in Kind::BOTH {
        let (mut vm, _) = boot(&image.machine(kind));
        let answer = vm.run(&format!("sum {LARGE}"));
        assert!(answer.line().contains("cannot read /usr/lib/large: chunk "), "{answer:?}");
        assert!(
            answer.log.iter().any(|line| line.starts_with("error: ") && line.contains("layer plain")),
            "{answer:?}"
        );
        assert_eq!(vm.run(&format!("sum {LARGE}")).lines, answer.lines, "it is not remembered as good");
        assert_eq!(vm.run("cat /www/docs/version").line(), "2");
        let listed = vm.run("find -l -s /usr/lib");
        assert!(listed.text().contains("error=cannot\\ read\\ /usr/lib/large"), "{listed:?}");
        goes_on(vm);
    }
}

#[test]
fn a_chunk_that_the_device_does_not_give_is_an_error() {
    let image = image();
    let chunks = image.chunks("plain");
    let at = chunks[chunks.len() / 2].offset;
    for kind in Kind::BOTH {
        let config = Config::new(kind).with(image.disk().unreadable_at(at), &image.roots());
        let (mut vm, _) = boot(&config);
        let answer = vm.run(&format!("sum {LARGE}"));
        assert!(answer.line().contains("cannot read /usr/lib/large: chunk "), "{answer:?}");
        assert_eq!(vm.run("cat /www/docs/version").line(), "2");
        let errors = vm.run("lsblk").line().to_owned();
        assert!(errors.ends_with(" errors") && !errors.ends_with(" 0 errors"), "{errors}");
        goes_on(vm);
    }
}

#[test]
fn a_damaged_page_of_an_index_is_an_error() {
    let image = image();
    let index = image.layer("docs").index;
    // Entries stand before chunks; the second page holds names of the many.
    image.flip(index.offset + 16_384 + 8_000);
    let (mut vm, greeting) = boot(&image.machine(Kind::Q35));
    assert!(greeting.contains("generation 3 of 2 layers"), "only what is asked for is read: {greeting}");
    let answer = vm.run("find /www/docs");
    assert!(answer.lines.last().unwrap().contains("cannot read the index of docs"), "{answer:?}");
    assert!(vm.run("cat /etc/witness").line().contains("own words"));
    goes_on(vm);
}

#[test]
fn what_a_mount_needs_is_checked_and_the_other_slot_taken() {
    let image = image();
    let docs = image.layer("docs");
    let first = |extent: plyos_storefile::Extent| extent.offset + extent.len / 2;
    let record = |record_type, key: &[u8; 32]| image.record(record_type, Some(key));
    let generation = image.open().slots().active().unwrap().generation;
    let cases = [
        ("head of the index", docs.index.offset + 100, "docs"),
        ("hashes of pages", docs.map.offset + 100, "docs"),
        ("certificate", first(record(RecordType::Certificate, docs.id.as_bytes())), "docs"),
        ("generation", first(record(RecordType::Generation, generation.as_bytes())), "generation"),
    ];
    for (number, (what, at, why)) in cases.into_iter().enumerate() {
        println!("{what}");
        let image = image.copied();
        image.flip(at);
        goes_back_to_2(&image, Kind::BOTH[number % 2], why);
    }
}

#[test]
fn a_damaged_keyring_leaves_nothing_to_trust() {
    let image = image();
    let keyring = image.record(RecordType::Keyring, None);
    image.flip(keyring.offset + keyring.len / 2);
    is_rescue(&image.machine(Kind::Q35), "keyring");
}

#[test]
fn roots_of_somebody_else_admit_nothing() {
    let image = image();
    let registry = Registry::start();
    let stranger = Publisher::new(&registry);
    std::fs::write(image.roots(), pinned(&stranger.root_file())).unwrap();
    is_rescue(&image.machine(Kind::Microvm), "no keyring of the store is signed by the pinned roots");
    std::fs::write(image.roots(), b"no roots at all").unwrap();
    is_rescue(&image.machine(Kind::Q35), "pinned roots");
}

#[test]
fn one_copy_of_the_superblock_is_enough() {
    for (number, kind) in Kind::BOTH.into_iter().enumerate() {
        let image = image();
        image.flip([0, 65_536][number] + 200);
        let (mut vm, greeting) = boot(&image.machine(kind));
        // The newer copy has generation 3, the older one the state before the last commit: what `pkg`'s code makes of it.
        let left = image.open().slots().active().unwrap().number;
        assert!(greeting.contains(&format!("generation {left} of ")), "{left}: {greeting}");
        assert!(vm.run("cat /etc/witness").line().contains("own words"));
        goes_on(vm);
        image.flip([65_536, 0][number] + 200);
        is_rescue(&image.machine(kind), "cannot open the store");
    }
}

#[test]
fn a_device_that_ends_early_is_refused() {
    let image = image();
    image.truncate(1 << 20);
    is_rescue(&image.machine(Kind::Q35), "cannot open the store");
    image.truncate(0);
    is_rescue(&image.machine(Kind::Microvm), "");
}

#[test]
fn a_slow_device_is_only_slow() {
    let image = image();
    let config = Config::new(Kind::Q35).with(image.disk().slow(4 << 20), &image.roots());
    let (mut vm, greeting) = boot(&config);
    assert!(greeting.contains("generation 3 of 2 layers"), "{greeting}");
    let (blake3, _) = vm.sums(LARGE);
    assert_eq!(blake3, blake3::hash(&crate::versions::large()).to_hex().to_string());
    goes_on(vm);
}
