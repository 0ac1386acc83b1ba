//! `pkg export` beside an earlier export: what is taken from it, what is not, and what a kill leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::inventory;
use plyos_test_system::publisher::Layer;
use plyos_test_system::recorded_disk::{FILE_SYSTEMS, Mounted};
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PAGES: u64 = 200;

/// Many small pages, which share chunks, a file of several chunks, and two names of one file. Of version 2 one page is
/// different.
fn site(version: u64) -> Tree {
    let mut tree = Tree::new().file("index.html", format!("<h1>Version {version}</h1>\n"));
    for number in 0..PAGES {
        tree = tree.file(&format!("pages/{number:03}.html"), prose(number, 40));
    }
    tree.file("picture.bin", noise(1, 900_000))
        .file("one", noise(2, 5_000))
        .hard_link("two", "one")
        .file("alike-a", "the same\n")
        .file("alike-b", "the same\n")
}

/// A base as generation 1, the site in version 1 as generation 2, which is exported; version 2 is offered.
struct Exported {
    world: World,
    out: PathBuf,
    first: Value,
}

impl Exported {
    fn new(options: &[&str]) -> Self {
        let world = World::new();
        let out = world.target.beside("out");
        Self::to(world, out, options)
    }

    fn to(world: World, out: PathBuf, options: &[&str]) -> Self {
        world.offer(&site(1), &Layer::new("site", "docs", "1"));
        world.target.pkg(&["install", "docs"]).ok();
        let mut exported = Self { world, out, first: Value::Null };
        exported.first = exported.export(options);
        exported.world.offer(&site(2), &Layer::new("site", "docs", "2"));
        exported
    }

    fn arguments<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        [&["export", self.out.to_str().unwrap()], options].concat()
    }

    fn export(&self, options: &[&str]) -> Value {
        self.world.target.json(&self.arguments(options))
    }

    fn upgrade(&self) {
        self.world.target.pkg(&["upgrade"]).ok();
    }

    fn at(&self, generation: u64, path: &str) -> PathBuf {
        self.out.join(format!("gen-{generation}/www/docs")).join(path)
    }

    /// The tree is what was published, but for link counts, which trees share.
    fn assert_right(&self, generation: u64, version: u64) {
        let without_names = |folder: &Path| {
            let mut found = inventory::of(folder);
            found.values_mut().for_each(|entry| entry.first_name = None);
            found
        };
        let expected = without_names(site(version).path());
        inventory::assert_equal("the tree", &expected, &without_names(&self.at(generation, "")));
        let inode = |path| fs::metadata(self.at(generation, path)).unwrap().ino();
        assert_eq!(inode("one"), inode("two"));
        assert_ne!(inode("alike-a"), inode("alike-b"));
        // No name without a tree, nothing that was begun.
        for name in fs::read_dir(&self.out).unwrap().map(|entry| entry.unwrap().file_name()) {
            let name = name.into_string().unwrap();
            let of = name.trim_start_matches('.').split('.').next().unwrap();
            assert!(name == "current" || self.out.join(of).is_dir() && !name.contains("part"), "{name}");
        }
    }
}

fn number(facts: &Value, pointer: &str) -> u64 {
    facts.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} of {facts}"))
}

fn inode(path: impl AsRef<Path>) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Writes into the file, and puts its times back.
fn write_in_place(path: &Path) {
    let before = fs::metadata(path).unwrap();
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.write_all(b"changed!").unwrap();
    file.set_times(fs::FileTimes::new().set_modified(before.modified().unwrap())).unwrap();
    assert_eq!(fs::metadata(path).unwrap().len(), before.len());
}

#[test]
fn links_are_made_of_what_is_the_same() {
    let exported = Exported::new(&["--share", "link"]);
    assert_eq!(number(&exported.first, "/linked/files"), 0);
    assert!(number(&exported.first, "/bytes") > 900_000);
    exported.upgrade();
    let second = exported.export(&["--share", "link"]);
    assert_eq!((number(&second, "/files"), number(&second, "/changed")), (1, 0), "{second}");
    assert_eq!(number(&second, "/bytes"), "<h1>Version 2</h1>\n".len() as u64);
    assert!(number(&second, "/linked/files") >= PAGES + 4);
    exported.assert_right(3, 2);
    exported.assert_right(2, 1);
    for path in ["pages/007.html", "picture.bin", "one", "alike-a"] {
        assert_eq!(inode(exported.at(2, path)), inode(exported.at(3, path)), "{path}");
    }
    assert_ne!(inode(exported.at(2, "index.html")), inode(exported.at(3, "index.html")));

    // The user removes the older tree: that touches the files, but they are still what they were.
    fs::remove_dir_all(exported.out.join("gen-2")).unwrap();
    exported.world.offer(&Tree::new().file("usr/bin/other", "other\n"), &Layer::package("other", "1"));
    exported.world.target.pkg(&["install", "other"]).ok();
    let third = exported.export(&["--share", "link", "--keep", "1"]);
    assert_eq!((number(&third, "/files"), number(&third, "/bytes")), (1, 6), "{third}");
    assert_eq!(third["removed"], serde_json::json!([3]));
    exported.assert_right(4, 2);
    // And once more, from what `--keep` left.
    exported.world.target.pkg(&["remove", "other"]).ok();
    let fourth = exported.export(&["--share", "link", "--verify"]);
    assert_eq!((number(&fourth, "/files"), number(&fourth, "/changed")), (0, 0), "{fourth}");
    exported.assert_right(5, 2);
}

#[test]
fn what_was_changed_is_not_taken() {
    for options in [&["--share", "link"][..], &["--share", "link", "--verify"]] {
        let exported = Exported::new(&["--share", "link"]);
        exported.upgrade();
        // Content, with size and time as before; mode; another file of that name; one that is gone; one that is a pipe.
        write_in_place(&exported.at(2, "pages/003.html"));
        write_in_place(&exported.at(2, "picture.bin"));
        fs::set_permissions(exported.at(2, "pages/004.html"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::remove_file(exported.at(2, "pages/005.html")).unwrap();
        fs::write(exported.at(2, "pages/005.html"), "other").unwrap();
        fs::remove_file(exported.at(2, "pages/006.html")).unwrap();
        fs::remove_file(exported.at(2, "pages/007.html")).unwrap();
        assert!(Command::new("mkfifo").arg(exported.at(2, "pages/007.html")).status().unwrap().success());
        let ended = exported.world.target.pkg(&[&["--json"], &exported.arguments(options)[..]].concat());
        let facts: Value = serde_json::from_slice(&ended.stdout).unwrap();
        exported.assert_right(3, 2);
        // The index page and the six; which of the small ones are called changed depends on where chunks were cut.
        assert_eq!(number(&facts, "/files"), 7, "{facts}");
        assert!(number(&facts, "/changed") >= 1, "{facts}");
        assert_ne!(inode(exported.at(2, "picture.bin")), inode(exported.at(3, "picture.bin")));
        assert_eq!(inode(exported.at(2, "pages/008.html")), inode(exported.at(3, "pages/008.html")));
    }
}

#[test]
fn what_was_changed_is_told() {
    let exported = Exported::new(&[]);
    exported.upgrade();
    write_in_place(&exported.at(2, "picture.bin"));
    let ended = exported.world.target.pkg(&exported.arguments(&["--share", "link"])).ok();
    let said = ended.text() + &ended.stderr;
    assert!(said.contains("1 exported files were changed since") && said.contains("picture.bin"), "{said}");
    exported.assert_right(3, 2);
}

#[test]
fn verify_mends_the_tree_that_is_there() {
    let exported = Exported::new(&["--share", "link"]);
    write_in_place(&exported.at(2, "picture.bin"));
    fs::write(exported.at(2, "added"), "by hand").unwrap();
    let kept = inode(exported.at(2, "pages/008.html"));
    assert_eq!(exported.export(&["--share", "link"])["changed"], Value::Null);
    let facts = exported.export(&["--share", "link", "--verify"]);
    assert_eq!((number(&facts, "/files"), number(&facts, "/changed")), (1, 1), "{facts}");
    exported.assert_right(2, 1);
    assert_eq!(inode(exported.at(2, "pages/008.html")), kept);
    let again = exported.export(&["--share", "link", "--verify"]);
    assert_eq!((number(&again, "/files"), number(&again, "/changed")), (0, 0), "{again}");
}

#[test]
fn without_links_trees_stand_apart() {
    for share in ["none", "clone"] {
        let exported = Exported::new(&["--share", share]);
        exported.upgrade();
        let second = exported.export(&["--share", share]);
        assert_eq!(number(&second, "/linked/files"), 0);
        if share == "none" {
            assert_eq!(number(&second, "/cloned/files"), 0);
        }
        exported.assert_right(3, 2);
        write_in_place(&exported.at(2, "picture.bin"));
        exported.assert_right(3, 2);
    }
}

#[test]
fn clones_where_the_file_system_has_them() {
    for system in FILE_SYSTEMS.iter().filter(|system| ["xfs", "btrfs"].contains(&system.name)) {
        let world = World::new();
        let image = world.target.beside("image");
        let mounted = inventory::is_root().then(|| system.make(&image)).and_then(|made| {
            made.and_then(|()| Mounted::new(&image, &world.target.beside("disk"), system)).ok()
        });
        let Some(mounted) = mounted else {
            eprintln!("SKIPPED: {} cannot be made and mounted here", system.name);
            continue;
        };
        let exported = Exported::to(world, mounted.path().join("out"), &[]);
        exported.upgrade();
        // By then nothing of it may be in memory only.
        let second = exported.export(&[]);
        assert_eq!(number(&second, "/files"), 1, "{}: {second}", system.name);
        assert!(number(&second, "/cloned/bytes") > 900_000, "{second}");
        exported.assert_right(3, 2);
        assert_ne!(inode(exported.at(2, "picture.bin")), inode(exported.at(3, "picture.bin")));
        // Each has its own bytes from here on, and the changed one is not cloned again.
        write_in_place(&exported.at(3, "picture.bin"));
        exported.assert_right(2, 1);
        exported.world.target.pkg(&["rollback"]).ok();
        fs::remove_dir_all(exported.out.join("gen-2")).unwrap();
        let third = exported.export(&[]);
        assert_eq!(number(&third, "/changed"), 1, "{third}");
        exported.assert_right(2, 1);
        drop(exported);
    }
}

#[test]
fn a_ledger_that_cannot_be_read_costs_bytes_only() {
    let exported = Exported::new(&["--share", "link"]);
    exported.upgrade();
    let ledger = exported.out.join(".gen-2.files");
    let mut bytes = fs::read(&ledger).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&ledger, bytes).unwrap();
    let second = exported.export(&["--share", "link"]);
    assert_eq!(number(&second, "/linked/files"), 0);
    exported.assert_right(3, 2);
}

#[test]
fn killed_anywhere() {
    let exported = Exported::new(&["--share", "link"]);
    exported.upgrade();
    let target = &exported.world.target;
    let current = exported.out.join("current");
    // To and fro between two trees, each export of which is killed a little later than the one before.
    let mut ended = 0;
    for round in 0..40u64 {
        let (generation, version) = if round % 2 == 0 { (3, 2) } else { (2, 1) };
        if round > 0 {
            target.pkg(&["rollback", &generation.to_string()]).ok();
        }
        let before = fs::read_link(&current).unwrap();
        let _ = fs::remove_dir_all(exported.out.join(format!("gen-{generation}")));
        let exporting = target.start(&exported.arguments(&["--share", "link", "--keep", "2"]));
        std::thread::sleep(Duration::from_millis(round * 5));
        // SIGKILL, when it runs still.
        drop(exporting);
        let after = fs::read_link(&current).unwrap();
        if after == before {
            assert!(current.is_dir());
        } else {
            ended += 1;
            assert_eq!(after.to_str().unwrap(), format!("gen-{generation}"));
        }
        // What the link names is whole, and the next one cleans up.
        let text = fs::read_to_string(current.join("www/docs/index.html")).unwrap();
        assert!(text.contains("Version"), "{text}");
        assert_eq!(fs::read_dir(current.join("www/docs/pages")).unwrap().count() as u64, PAGES);
        exported.export(&["--share", "link"]);
        exported.assert_right(generation, version);
    }
    println!("{ended} of 40 had switched the link before they were killed");
    assert!(ended < 40, "none was killed in time");
}
