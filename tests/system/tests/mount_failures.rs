//! A mount that meets damage, and one whose processes are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::Store;
use plyos_test_system::mounted::{Mount, is_mounted, kill};
use plyos_test_system::programs::{run, wait_for};
use plyos_test_system::publisher::Layer;
use plyos_test_system::sick_disk::SickDisk;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, WITNESS, noise};
use plyos_test_system::world::World;
use std::fs;
use std::os::unix::fs::FileExt;

const EIO: i32 = 5;

fn world() -> World {
    let world = World::new();
    let tree = Tree::new().file("big", noise(1, 1_000_000)).file("small", "small\n");
    world.offer(&tree, &Layer::new("site", "docs", "1"));
    world.target.pkg(&["install", "docs"]).ok();
    world
}

/// Turns a bit in the largest chunk of the store; gives the offset.
fn damage(target: &Target) -> u64 {
    let store = Store::open(target.store()).unwrap();
    let layers = store.layers().map(|entry| store.layer(&entry.id).unwrap().unwrap());
    let place = layers.flat_map(|stored| stored.places().to_vec()).flatten().max_by_key(|place| place.length);
    let offset = place.unwrap().offset + 100;
    flip(target, offset);
    offset
}

fn flip(target: &Target, offset: u64) {
    let file = fs::File::options().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn a_damaged_chunk_is_an_error_and_a_line_until_it_is_repaired() {
    let world = world();
    let target = &world.target;
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    damage(target);
    let error = fs::read(mount.at("www/docs/big")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EIO));
    let said = mount.said();
    assert!(said.contains("/www/docs/big of site/docs 1") && said.contains("chunk"), "{said}");
    // Everything else can be read, and many tries do not make many lines.
    assert_eq!(fs::read(mount.at("www/docs/small")).unwrap(), b"small\n");
    assert_eq!(fs::read(mount.at(WITNESS)).unwrap(), b"the base's own words\n");
    for _ in 0..50 {
        fs::read(mount.at("www/docs/big")).unwrap_err();
    }
    assert!(mount.said().lines().count() <= 12, "{}", mount.said());
    target.pkg(&["repair"]).ok();
    assert_eq!(fs::read(mount.at("www/docs/big")).unwrap(), noise(1, 1_000_000));
}

#[test]
fn a_superblock_that_cannot_be_read_leaves_everything_as_it_is() {
    /// Where the superblock copies lie: docs/formats.md, "Store".
    const COPIES: [u64; 2] = [0, 65_536];
    let world = world();
    let target = &world.target;
    let Some(disk) = SickDisk::below(target) else { return };
    let mount = Mount::of(target, "shown", &[]).unwrap();
    for copy in COPIES {
        disk.lose(copy..copy + 4096);
    }
    assert_eq!(fs::read(mount.at("www/docs/big")).unwrap(), noise(1, 1_000_000));
    wait_for("a line", || mount.said().contains("reading the superblock").then_some(()));
    assert!(mount.said().contains("the mount stays as it is"), "{}", mount.said());
    disk.heal();
    target.pkg(&["rollback", "1"]).ok();
    assert!(!mount.at("www/docs/big").exists() && mount.at(WITNESS).exists());
}

#[test]
fn a_killed_server_is_there_again() {
    let world = world();
    let target = &world.target;
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    for round in 0..3 {
        let servers = mount.servers();
        assert_eq!(servers.len(), 1, "round {round}");
        kill(servers[0]);
        // Another one is started once the dead mount is off: what is mounted then is no more the old one, nor nothing.
        wait_for("another server", || {
            let is_another = mount.servers().first().is_some_and(|server| *server != servers[0]);
            (is_another && mount.is_there()).then_some(())
        });
        assert_eq!(fs::read(mount.at("www/docs/big")).unwrap(), noise(1, 1_000_000), "round {round}");
    }
    assert!(mount.said().contains("mounting again"), "{}", mount.said());
    // Asked to end, it takes its mount with it.
    let (dir, mut mount) = (mount.dir().to_owned(), mount);
    let mut supervisor = mount.take_supervisor();
    supervisor.signal("TERM");
    supervisor.end().ok();
    assert!(!is_mounted(&dir));
    assert_eq!(mount.servers(), Vec::<u32>::new());
}

#[test]
fn a_killed_supervisor_takes_the_mount_with_it_and_another_one_can_come() {
    let world = world();
    let target = &world.target;
    let Some(mut mount) = Mount::of(target, "mounted", &[]) else { return };
    let dir = mount.dir().to_owned();
    mount.take_supervisor().kill();
    wait_for("the end of the server", || (mount.servers().is_empty() && !is_mounted(&dir)).then_some(()));

    // Both killed at once leave a dead mount, which the next one takes off, by whatever path it is named.
    let mut mount = Mount::of(target, "mounted", &[]).unwrap();
    let supervisor = mount.take_supervisor();
    kill_both(&mount, supervisor);
    std::os::unix::fs::symlink(target.beside("."), target.beside("another-way")).unwrap();
    let mut again = target.command(&["mount", "--background"]);
    run(again.arg(target.beside("another-way/mounted"))).ok();
    assert_eq!(fs::read(dir.join(WITNESS.trim_start_matches('/'))).unwrap(), b"the base's own words\n");
    target.pkg(&["umount", Target::text_of(&target.beside("another-way/mounted"))]).ok();
    assert!(!is_mounted(&dir));
    let mut mount = Mount::of(target, "mounted", &[]).unwrap();
    let supervisor = mount.take_supervisor();
    kill_both(&mount, supervisor);
    let again = Mount::of(target, "mounted", &[]).unwrap();
    assert_eq!(fs::read(again.at(WITNESS)).unwrap(), b"the base's own words\n");
}

fn kill_both(mount: &Mount, mut supervisor: plyos_test_system::programs::Running) {
    // Stopped, the supervisor cannot close the pipe, nor mount again.
    supervisor.signal("STOP");
    for server in mount.servers() {
        kill(server);
    }
    supervisor.kill();
    assert!(is_mounted(mount.dir()), "the dead mount is still in the table");
}
