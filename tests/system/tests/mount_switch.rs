//! A mount while generations change under it: what the next look sees, and what is open.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::{Access, FileDevice, LockMode, StoreDevice};
use plyos_test_system::mounted::Mount;
use plyos_test_system::programs::wait_for;
use plyos_test_system::publisher::Layer;
use plyos_test_system::sick_disk::SickDisk;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, WITNESS, noise};
use plyos_test_system::world::World;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Byte of the lease on generation 0: docs/formats.md, "Locks and leases".
const LEASES: u64 = (1 << 62) + 4096;
/// Files of a site, each of which says the site's version.
const FILES: u64 = 20;

fn site(version: u64) -> Tree {
    let mut tree = Tree::new().file("version", format!("{version}"));
    for number in 0..FILES {
        tree = tree.file(&format!("parts/{number}-of-{version}"), format!("{version}"));
    }
    tree.file("same", noise(3, 400_000)).link("newest", &format!("parts/0-of-{version}"))
}

/// A base as generation 1 and a site in version 1 as generation 2.
fn world() -> World {
    let world = World::new();
    world.offer(&site(1), &Layer::new("site", "docs", "1"));
    world.target.pkg(&["install", "docs"]).ok();
    world
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn is_leased(target: &Target, generation: u64) -> bool {
    let device = FileDevice::open(&target.store(), Access::Write).unwrap();
    !device.try_lock(LEASES + generation, LockMode::Exclusive).unwrap()
}

fn wait_for_lease_to_end(target: &Target, generation: u64) {
    wait_for("the end of a lease", || (!is_leased(target, generation)).then_some(()));
}

#[test]
fn the_next_look_sees_it_and_what_is_open_stays() {
    let world = world();
    let target = &world.target;
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    assert_eq!(text(mount.at("www/docs/version")), "1");
    let mut open = fs::File::open(mount.at("www/docs/version")).unwrap();
    let directory = fs::File::open(mount.at("www/docs/parts")).unwrap();
    let same = fs::metadata(mount.at("www/docs/same")).unwrap().ino();
    let witness = fs::metadata(mount.at(WITNESS)).unwrap().ino();
    world.offer(&site(2), &Layer::new("site", "docs", "2"));
    target.pkg(&["upgrade"]).ok();
    assert_eq!(text(mount.at("www/docs/version")), "2");
    assert_eq!(text(mount.at("www/docs/newest")), "2");
    assert!(!mount.at("www/docs/parts/1-of-1").exists());
    // A layer that is in both is the same file; the site's file is another one.
    assert_eq!(fs::metadata(mount.at(WITNESS)).unwrap().ino(), witness);
    assert_ne!(fs::metadata(mount.at("www/docs/same")).unwrap().ino(), same);

    // Clean-up takes what nobody has open.
    assert!(is_leased(target, 2) && is_leased(target, 3));
    target.pkg(&["clean", "--all"]).ok();
    let mut content = String::new();
    open.read_to_string(&mut content).unwrap();
    assert_eq!(content, "1");
    let listed = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&directory));
    let names: Vec<_> = fs::read_dir(&listed).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len() as u64, FILES);
    for entry in names {
        assert!(entry.file_name().to_str().unwrap().ends_with("-of-1"));
        assert_eq!(text(Path::new(&listed).join(entry.file_name())), "1");
    }
    drop((open, directory));
    wait_for_lease_to_end(target, 2);
    assert!(is_leased(target, 3));
    assert_eq!(text(mount.at("www/docs/version")), "2");
    assert_eq!(mount.said(), "");
}

/// Sets it when dropped.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_hundred_flips() {
    const FLIPS: u64 = 100;
    let world = world();
    let target = &world.target;
    world.offer(&site(2), &Layer::new("site", "docs", "2"));
    target.pkg(&["upgrade"]).ok();
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    let (stop, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let reader = || {
            while !stop.load(Ordering::Relaxed) {
                // Never missing, and a directory that was opened is one generation, whoever flips meanwhile.
                let version = text(mount.at("www/docs/version"));
                assert!(version == "1" || version == "2", "{version}");
                assert!(["1", "2"].contains(&text(mount.at("www/docs/newest")).as_str()));
                let directory = fs::File::open(mount.at("www/docs/parts")).unwrap();
                let listed = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&directory));
                let mut names: Vec<String> = (fs::read_dir(&listed).unwrap())
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.sort();
                assert_eq!(names.len() as u64, FILES, "{names:?}");
                let (_, version) = names[0].rsplit_once('-').unwrap();
                for name in &names {
                    assert!(name.ends_with(&format!("-of-{version}")), "a mixture: {names:?}");
                    assert_eq!(text(format!("{listed}/{name}")), version, "{name}");
                }
                looks.fetch_add(1, Ordering::Relaxed);
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        // So that the readers end when what follows fails.
        let ending = Ending(&stop);
        for flip in 0..FLIPS {
            let (number, version) = if flip % 2 == 0 { ("2", "1") } else { ("3", "2") };
            target.pkg(&["rollback", number]).ok();
            // At once, by the very next look.
            assert_eq!(text(mount.at("www/docs/version")), version, "flip {flip}");
            assert_eq!(
                fs::read_link(mount.at("www/docs/newest")).unwrap(),
                Path::new(&format!("parts/0-of-{version}"))
            );
            let parts = fs::read_dir(mount.at("www/docs/parts")).unwrap();
            assert!(
                parts.into_iter().all(|part| part.unwrap().file_name().to_str().unwrap().ends_with(version))
            );
            if readers.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        drop(ending);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    let looks = looks.into_inner();
    assert!(looks >= FLIPS / 10, "{looks} looks in {FLIPS} flips are too few to see anything");
    println!("{FLIPS} flips, {looks} looks of two readers: nothing missing, mixed or stale");
    wait_for_lease_to_end(target, 2);
    assert_eq!(mount.said(), "");
}

#[test]
fn pages_of_files_that_stay_are_kept_over_a_switch() {
    /// The kernel may drop any page at any time, so one try proves nothing. Pages that a switch takes away are gone each time.
    const TRIES: usize = 10;
    let world = world();
    let target = &world.target;
    let Some(disk) = SickDisk::below(target) else { return };
    let mount = Mount::of(target, "shown", &["--cache", "0"]).unwrap();
    let (kept, cold) = (mount.at("www/docs/same"), mount.at("usr/share/words"));
    world.offer(&Tree::new().file("usr/bin/other", "other\n"), &Layer::package("other", "1"));
    target.pkg(&["install", "other"]).ok();
    let length = fs::metadata(target.beside("below")).unwrap().len();
    let is_kept = (0..TRIES).any(|round| {
        assert_eq!(fs::read(&kept).unwrap(), noise(3, 400_000));
        // Its second name is looked up by a thread.
        std::thread::sleep(std::time::Duration::from_millis(500));
        target.pkg(&["rollback"]).ok();
        assert_eq!(mount.at("usr/bin/other").exists(), round % 2 == 1, "{}", mount.said());
        // Everything behind the superblock: what can be read now is in memory. Index pages are.
        disk.lose(128 << 10..length);
        let again = fs::read(&kept);
        if round == 0 {
            assert!(fs::read(&cold).is_err(), "the disk cannot be read");
            assert!(mount.said().contains("/usr/share/words of base/plain 1"), "{}", mount.said());
        }
        disk.heal();
        again.is_ok_and(|again| again == noise(3, 400_000))
    });
    assert!(is_kept, "{}", mount.said());
    assert!(fs::read(&cold).is_ok());
}

#[test]
fn a_generation_that_cannot_be_mounted_is_not_shown() {
    let world = world();
    let target = &world.target;
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    assert_eq!(text(mount.at("www/docs/version")), "1");
    world.offer(&site(2), &Layer::new("site", "docs", "2"));
    target.pkg(&["upgrade"]).ok();
    assert_eq!(text(mount.at("www/docs/version")), "2");
    // The record of generation 2 is damaged in place, and then made active by its slot alone.
    show_damaged(target);
    assert_eq!(text(mount.at("www/docs/version")), "2");
    wait_for("a line", || mount.said().contains("generation 3 stays").then_some(()));
    assert_eq!(text(mount.at("www/docs/version")), "2");
}

/// Makes generation 2 active, of which the record does not match its hash any more.
fn show_damaged(target: &Target) {
    use plyos_slots::{Candidate, Event};
    use plyos_storefile::{RecordType, Store};
    let mut writer = Store::slot_writer(target.store()).unwrap();
    let active = *writer.slots().active().unwrap();
    let other = [writer.slots().a, writer.slots().b].into_iter().find(|slot| slot.number == 2).unwrap();
    let record = *writer
        .records(RecordType::Generation)
        .find(|record| record.key == *other.generation.as_bytes())
        .unwrap();
    let file = fs::File::options().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, record.extent.offset + 20).unwrap();
    file.write_all_at(&[byte[0] ^ 1], record.extent.offset + 20).unwrap();
    let candidate = Candidate { number: 2, generation: other.generation, layer_set: other.layer_set };
    let slots = writer.slots().apply(Event::Rollback(candidate), 1).unwrap();
    writer.set_slots(slots);
    writer.commit(Some(active.generation)).unwrap();
}

#[test]
fn the_store_grows_and_is_written_beside_it() {
    let world = world();
    let target = &world.target;
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    target.pkg(&["grow", "9G"]).ok();
    world.offer(&site(2), &Layer::new("site", "docs", "2"));
    target.pkg(&["install", "docs"]).ok();
    assert_eq!(text(mount.at("www/docs/version")), "2");
    let blocks = Command::new("stat").args(["-f", "-c", "%b"]).arg(mount.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&blocks.stdout).trim(), ((9u64 << 30) / 4096).to_string());
}
