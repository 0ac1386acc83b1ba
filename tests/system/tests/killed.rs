//! `pkg`, killed by SIGKILL at each of its system calls that writes, flushes, locks or renames, one after the other: after
//! each the store opens, stands at the old or the new state, is whole and unlocked, and the same command completes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use plyos_storefile::Store;
use plyos_test_system::publisher::Layer;
use plyos_test_system::standing::{Standing, assert_unlocked};
use plyos_test_system::strace::{self, Point};
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, WITNESS, base, noise, prose};
use plyos_test_system::world::World;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const DAMAGED: i32 = 5;

/// A store as it was, to be put back again and again.
struct Image(Option<PathBuf>);

impl Image {
    fn of(target: &Target) -> Self {
        let path = target.beside("image");
        Self(target.store().exists().then(|| copy(&target.store(), path)))
    }

    /// Puts the store back, and takes away what a killed command may have left beside it.
    fn restore(&self, target: &Target) {
        for name in ["store", "store.new"] {
            let _ = fs::remove_file(target.beside(name));
        }
        if let Some(image) = &self.0 {
            copy(image, target.store());
        }
    }
}

/// Copies a sparse file as one; a copy by the library would write its holes.
fn copy(from: &Path, to: PathBuf) -> PathBuf {
    let done = Command::new("cp").arg("--sparse=always").args([from, &to]).status().unwrap();
    assert!(done.success(), "copying {}", from.display());
    to
}

/// A command to be killed.
struct Victim<'a> {
    args: &'a [&'a str],
    /// How `pkg verify` ends where the command has not done its work.
    before: i32,
    /// How the command ends when its work is done already.
    again: i32,
    /// What may be there that is neither old nor new.
    between: &'a dyn Fn(&Standing) -> bool,
}

impl<'a> Victim<'a> {
    /// One that changes a whole store and may be given twice.
    fn new(args: &'a [&'a str]) -> Self {
        Self { args, before: 0, again: 0, between: &|_| false }
    }
}

/// Kills the command everywhere, each time from the same store; leaves the store as the command makes it. Gives how many
/// places there were.
fn kill_everywhere(target: &Target, victim: &Victim) -> usize {
    let Victim { args, .. } = victim;
    let image = Image::of(target);
    let old = Standing::of(&target.store());
    let (points, ended) = strace::points(&target.command(args), &target.beside("trace"));
    ended.ok();
    let new = Standing::of(&target.store()).unwrap();
    target.pkg(&["verify"]).ok();
    let (mut olds, mut news) = (0, 0);
    for point in &points {
        image.restore(target);
        strace::killed(&target.command(args), point);
        match look(target, victim, point, old.as_ref(), &new) {
            true => news += 1,
            false => olds += 1,
        }
        let ended = target.pkg(args);
        assert!(
            ended.code == Some(0) || (ended.code == Some(victim.again)),
            "{args:?} after a kill at {point} ended with {:?}: {}",
            ended.code,
            ended.stderr
        );
        target.pkg(&["verify"]).ok();
        let found = Standing::of(&target.store()).unwrap();
        assert_eq!(found, new, "{args:?}, killed at {point} and given again");
    }
    assert!(olds >= 3 && news >= 1, "{args:?}: {olds} kills before the flip and {news} after it");
    println!("{args:?}: {} points, {olds} before its flip", points.len());
    points.len()
}

/// What must hold after a kill; says whether the command's work was done.
fn look(target: &Target, victim: &Victim, point: &Point, old: Option<&Standing>, new: &Standing) -> bool {
    let said = format!("{:?} killed at {point}", victim.args);
    let Some(found) = Standing::of(&target.store()) else {
        assert!(old.is_none(), "{said}: the store is gone");
        return false;
    };
    let is_new = found == *new && victim.before == 0;
    let is_old = old.is_some_and(|old| found.is_still(old)) || (victim.between)(&found);
    assert!(is_new || is_old, "{said}: neither old nor new: {found:?}\nold: {old:?}\nnew: {new:?}");
    assert_unlocked(&target.store());
    if found.active.is_some() {
        assert_eq!(target.cat(WITNESS), b"the base's own words\n", "{said}");
    }
    let code = target.pkg(&["verify"]).code;
    if victim.before == 0 {
        assert_eq!(code, Some(0), "{said}: not whole");
        return is_new;
    }
    assert!(code == Some(0) || code == Some(victim.before), "{said}: verify ended with {code:?}");
    code == Some(0)
}

/// A world with a small store, so that its image is small too.
fn world() -> World {
    let world = World::empty();
    world.target.pkg(&["init", "--size", "16M"]).ok();
    world.release(&base(), &Layer::new("base", "plain", "1"));
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "plain"]).ok();
    world
}

fn tree(version: u64) -> Tree {
    Tree::new().file("usr/share/data", noise(version, 200_000)).file("usr/share/words", prose(version, 30))
}

#[test]
fn a_change_of_the_system() {
    if !strace::usable() {
        return;
    }
    let world = world();
    let target = &world.target;
    world.offer(&tree(1), &Layer::package("data", "1"));
    let mut count = kill_everywhere(target, &Victim::new(&["install", "data"]));
    assert_eq!(target.cat("/usr/share/data"), noise(1, 200_000));
    world.offer(&tree(2), &Layer::package("data", "2"));
    count += kill_everywhere(target, &Victim::new(&["upgrade"]));
    assert_eq!(target.cat("/usr/share/data"), noise(2, 200_000));
    count += kill_everywhere(target, &Victim { again: 3, ..Victim::new(&["remove", "data"]) });
    // To a generation in no slot, and to the other slot.
    count += kill_everywhere(target, &Victim { again: 7, ..Victim::new(&["rollback", "2"]) });
    count += kill_everywhere(target, &Victim { again: 7, ..Victim::new(&["rollback", "4"]) });
    println!("killed at {count} points");
}

#[test]
fn the_care_of_a_store() {
    if !strace::usable() {
        return;
    }
    let world = world();
    let target = &world.target;
    for version in 1..=3 {
        world.offer(&tree(version), &Layer::package("data", &version.to_string()));
        target.pkg(&[if version == 1 { "install" } else { "upgrade" }, "data"]).ok();
    }
    let mut count = kill_everywhere(target, &Victim::new(&["grow", "20M"]));
    count += kill_everywhere(target, &Victim::new(&["clean", "--all"]));
    assert_eq!(target.generation(), 4);
    damage_a_chunk(target);
    count += kill_everywhere(target, &Victim { before: DAMAGED, ..Victim::new(&["repair"]) });
    assert_eq!(target.cat("/usr/share/data"), noise(3, 200_000));
    println!("killed at {count} points");
}

#[test]
fn the_first_steps() {
    if !strace::usable() {
        return;
    }
    let world = World::empty();
    world.release(&base(), &Layer::new("base", "plain", "1"));
    let target = &world.target;
    let url = world.catalog();
    let add = ["repo", "add", &url, "--root", world.publisher.root_sha256()];
    // A store without a repository may be left: it was made, and the next try finds it.
    let empty = |found: &Standing| found.records.values().all(|count| *count == 0);
    let mut count = kill_everywhere(target, &Victim { between: &empty, ..Victim::new(&add) });
    count += kill_everywhere(target, &Victim::new(&["update"]));
    count += kill_everywhere(target, &Victim::new(&["install", "plain"]));
    println!("killed at {count} points");
}

/// Turns a bit in the largest layer's largest chunk.
fn damage_a_chunk(target: &Target) {
    let store = Store::open(target.store()).unwrap();
    let layers = store.layers().map(|entry| store.layer(&entry.id).unwrap().unwrap());
    let place = layers.flat_map(|stored| stored.places().to_vec()).flatten().max_by_key(|place| place.length);
    let offset = place.unwrap().offset + 100;
    let file = fs::File::options().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}
