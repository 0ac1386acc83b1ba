//! Stores that are missing, too small, damaged or not stores at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::Layer;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use std::fs;
use std::os::unix::fs::FileExt;

const STORE: i32 = 7;
/// Where the superblock copies lie, and how long they are: docs/formats.md, "Store".
const COPIES: [u64; 2] = [0, 65_536];
const COPY_LEN: usize = 4_096;

#[test]
fn no_store() {
    let target = Target::new();
    for args in [
        &["list"][..],
        &["update"],
        &["install", "x"],
        &["remove", "x"],
        &["upgrade"],
        &["cat", "/x"],
        &["history"],
        &["rollback"],
        &["status"],
        &["search", "x"],
        &["info", "x"],
        &["repo", "list"],
    ] {
        let line = target.refuses(STORE, args);
        assert!(line.contains("there is no store") && line.contains("pkg repo add"), "{line}");
        assert!(!target.store().exists(), "{args:?} made a store");
    }
}

#[test]
fn something_that_is_no_store() {
    let target = Target::new();
    for content in [&b""[..], b"hello", &noise(1, 200_000), &[0; 200_000]] {
        fs::write(target.store(), content).unwrap();
        target.pkg(&["list"]).refused(STORE);
        target.pkg(&["install", "x"]).refused(STORE);
        assert_eq!(fs::read(target.store()).unwrap(), content, "a file that is no store was written to");
    }
    fs::remove_file(target.store()).unwrap();
    fs::create_dir(target.store()).unwrap();
    target.pkg(&["list"]).refused(STORE);
}

fn read(target: &Target, at: u64) -> Vec<u8> {
    let mut bytes = vec![0; COPY_LEN];
    fs::File::open(target.store()).unwrap().read_exact_at(&mut bytes, at).unwrap();
    bytes
}

fn write(target: &Target, at: u64, bytes: &[u8]) {
    fs::File::options().write(true).open(target.store()).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn one_superblock_copy_or_both() {
    let world = World::new();
    let target = &world.target;
    world.offer(&Tree::new().file("usr/a", "1"), &Layer::package("a", "1"));
    target.pkg(&["install", "a"]).ok();
    // Two copies that hold the same generation: what follows may lose either.
    target.pkg(&["remove", "a"]).ok();
    let state = target.state();
    let saved = COPIES.map(|at| read(target, at));
    let sequence = |copy: &[u8]| u64::from_le_bytes(copy[48..56].try_into().unwrap());
    let newer = usize::from(sequence(&saved[1]) > sequence(&saved[0]));
    let older = 1 - newer;

    // The older copy: nothing is lost, and the next commit puts it right.
    let mut torn = saved[older].clone();
    torn[2_000..].fill(0xaa);
    write(target, COPIES[older], &torn);
    assert_eq!(target.state(), state);

    // The newer copy, torn or gone or with one bit turned: the generation before is active, whole.
    for damage in
        [&|copy: &mut Vec<u8>| copy[512..].fill(0), &|copy: &mut Vec<u8>| copy.fill(0), &|copy: &mut Vec<
            u8,
        >| {
            copy[100] ^= 1
        }] as [&dyn Fn(&mut Vec<u8>); 3]
    {
        let mut copy = saved[newer].clone();
        damage(&mut copy);
        write(target, COPIES[older], &saved[older]);
        write(target, COPIES[newer], &copy);
        assert_eq!(target.generation(), 2);
        assert_eq!(target.cat("/usr/a"), b"1");
        // Both: refused, and nothing is written.
        write(target, COPIES[older], &torn);
        for args in [&["list"][..], &["install", "a"], &["rollback"], &["status"]] {
            let line = target.pkg(args).refused(STORE);
            assert!(line.contains("store"), "{line}");
        }
        assert_eq!(read(target, COPIES[newer]), copy);
    }

    // Put right again, and usable: a commit replaces the damaged copy.
    write(target, COPIES[newer], &saved[newer]);
    assert_eq!(target.state(), state);
    target.pkg(&["install", "a"]).ok();
    assert_ne!(read(target, COPIES[older]), torn);
    assert_eq!(target.installed(), ["a 1", "plain 1"]);
}

#[test]
fn store_that_is_too_small() {
    let world = World::new();
    let large = Tree::new().file("usr/large", noise(1, 30_000_000));
    world.release(&large, &Layer::package("large", "1"));
    let target = Target::new();
    target.pkg(&["init", "--size", "16M"]).ok();
    target.trust(&world.catalog(), world.publisher.root_sha256());
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "plain"]).ok();
    world.proxy.take_carried();
    let line = target.refuses(STORE, &["install", "large"]);
    assert!(line.contains("free"), "{line}");
    let carried = world.proxy.take_carried();
    assert!(
        carried.iter().all(|carried| carried.bytes < 1_000_000),
        "it was fetched all the same: {carried:?}"
    );
    // It still works.
    world.release(&Tree::new().file("usr/small", noise(2, 1_000_000)), &Layer::package("small", "1"));
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "small"]).ok();
    assert_eq!(target.cat("/usr/small"), noise(2, 1_000_000));
}

#[test]
fn store_file_that_was_cut_off() {
    let world = World::new();
    world.offer(&Tree::new().file("usr/a", noise(1, 2_000_000)), &Layer::package("a", "1"));
    world.target.pkg(&["install", "a"]).ok();
    let store = fs::File::options().write(true).open(world.target.store()).unwrap();
    store.set_len(200_000).unwrap();
    let line = world.target.pkg(&["cat", "/usr/a"]).refused(STORE);
    assert!(line.contains("store"), "{line}");
    world.target.pkg(&["install", "a"]).refused(STORE);
}
