//! What the machine shows is what the Linux mount of the same store shows, to the last attribute and byte.

use std::process::Command;

use plyos_test_system::mounted::Mount;
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::trees::{Tree, nasty, nasty_base, noise};
use plyos_test_system::world::World;
use plyos_test_vm::vm::listing::{self, Listing};
use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Kind, Vm};

/// A base that holds everything that is hard to carry, devices among it if they can be made here.
fn base() -> Tree {
    let base = nasty_base();
    for (kind, name, numbers) in [("c", "null", "1 3"), ("b", "disk", "8 300"), ("p", "pipe", "")] {
        // Devices are made by root only; the other kinds are there in any case.
        let line = format!("mknod {} {kind} {numbers}", base.at(name).display());
        let _ = Command::new("sh").args(["-c", &line]).status();
    }
    base
}

/// A generation of 20 layers: the base, packages, sites, a model, and a directory of 10,000 files.
fn world() -> World {
    let world = World::empty();
    world.target.pkg(&["init", "--size", "64M"]).ok();
    let mut pushed: Vec<Pushed> = vec![world.push(&base(), &Layer::new("base", "plain", "1"))];
    let mut many = Tree::new();
    for number in 0..10_000 {
        many = many.file(&format!("many/file-{number}"), if number % 100 == 0 { "full" } else { "" });
    }
    pushed.push(world.push(&many, &Layer::new("site", "many", "1")));
    pushed.push(world.push(&nasty(), &Layer::new("site", "nasty", "1")));
    pushed.push(
        world.push(&Tree::new().file("weights", noise(9, 2_000_000)), &Layer::new("model", "small", "1")),
    );
    for number in 0..16 {
        let name = format!("tool-{number}");
        let tree = Tree::new()
            .file(&format!("usr/bin/{name}"), noise(number, 5000))
            .mode(&format!("usr/bin/{name}"), 0o755)
            .file(&format!("usr/share/doc/{name}/readme"), "words\n")
            .link(&format!("usr/share/latest-{number}"), &format!("doc/{name}"));
        pushed.push(world.push(&tree, &Layer::package(&name, "1")));
    }
    world.publisher.publish(&pushed.iter().collect::<Vec<_>>());
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    let tools: Vec<String> = (0..16).map(|number| format!("tool-{number}")).collect();
    let mut install = vec!["install", "plain", "many", "nasty", "small"];
    install.extend(tools.iter().map(String::as_str));
    world.target.pkg(&install).ok();
    world
}

/// Where two listings are not equal, a line for each path.
fn differences(expected: &Listing, found: &Listing) -> Vec<String> {
    let mut differences = Vec::new();
    for (path, row) in expected {
        match found.get(path) {
            Some(other) if other == row => {}
            other => differences.push(format!("{path:?}: expected {row:?}, found {other:?}")),
        }
    }
    differences.extend(
        found.keys().filter(|path| !expected.contains_key(*path)).map(|path| format!("{path:?} is too much")),
    );
    differences
}

/// Compares what the Linux mount of a world's target shows, more than `least` paths, with what both machines show.
pub fn shows_the_same(world: &World, least: usize) {
    let image = StoreImage::of(world);
    let Some(mount) = Mount::of(&world.target, "mounted", &[]) else { return };
    let expected = listing::of_folder(mount.dir());
    assert!(expected.len() > least, "only {} entries", expected.len());
    let mut listings = Vec::new();
    for kind in Kind::BOTH {
        let mut vm = Vm::boot(&image.machine(kind));
        let found = listing::parse(&vm.run("find -l -s").lines);
        vm.power_off();
        let mut differences = differences(&expected, &found);
        differences.truncate(10);
        assert!(differences.is_empty(), "{kind:?}:\n{}", differences.join("\n"));
        listings.push(found);
    }
    assert_eq!(listings[0], listings[1]);
}

#[test]
fn the_machine_shows_what_the_linux_mount_shows() {
    shows_the_same(&world(), 10_100);
}
