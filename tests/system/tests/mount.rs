//! `pkg mount`: the tree as it is exported, the switch, what is damaged, and the end of the server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::mounted::{Mount, is_mounted};
use plyos_test_system::publisher::Layer;
use plyos_test_system::trees::{Tree, WITNESS, nasty_base, noise};
use plyos_test_system::world::World;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;

/// All that `stat`, `readlink` and `getfattr` say of a path, and its content.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    links: u64,
    device: u64,
    modified: i64,
    target: Option<PathBuf>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    content: Option<Vec<u8>>,
}

fn seen(path: &Path) -> Seen {
    let about = fs::symlink_metadata(path).unwrap();
    let kind = about.file_type();
    let (is_file, is_directory, is_link) = (kind.is_file(), kind.is_dir(), kind.is_symlink());
    let attributes = if is_link { BTreeMap::new() } else { attributes(path) };
    let is_device = kind.is_char_device() || kind.is_block_device();
    let kinds = [
        (is_file, "file"),
        (is_directory, "directory"),
        (is_link, "link"),
        (kind.is_fifo(), "pipe"),
        (kind.is_char_device(), "character device"),
        (kind.is_block_device(), "block device"),
    ];
    Seen {
        kind: kinds.into_iter().find(|(is, _)| *is).unwrap().1,
        mode: about.mode() & 0o7777,
        owner: (about.uid(), about.gid()),
        // A file system's own business for a directory.
        size: if is_directory { 0 } else { about.size() },
        links: if is_directory { 0 } else { about.nlink() },
        device: if is_device { about.rdev() } else { 0 },
        modified: about.mtime(),
        target: is_link.then(|| fs::read_link(path).unwrap()),
        attributes,
        content: is_file.then(|| fs::read(path).unwrap()),
    }
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let names = xattr::list(path).unwrap();
    names.map(|name| (name.as_bytes().to_vec(), xattr::get(path, &name).unwrap().unwrap())).collect()
}

/// Every path below a folder, the folder first.
fn paths(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A world whose base holds everything that is hard to carry.
fn world() -> World {
    let world = World::empty();
    world.target.pkg(&["init", "--size", "64M"]).ok();
    let base = nasty_base().file(WITNESS.trim_start_matches('/'), "the base's own words\n");
    for (kind, name, numbers) in [("c", "null", "1 3"), ("b", "disk", "8 300"), ("p", "pipe", "")] {
        let path = base.at(name);
        let line = format!("mknod {} {kind} {numbers}", path.display());
        // Devices are made by root only; the other kinds are there in any case.
        let _ = Command::new("sh").args(["-c", &line]).status();
    }
    world.release(&base, &Layer::new("base", "plain", "1"));
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "plain"]).ok();
    world
}

#[test]
fn the_tree_is_the_exported_one() {
    let world = world();
    let target = &world.target;
    let mut site = Tree::new().file("index.html", noise(7, 300_000)).file("a/b/c", "deep\n");
    // More names than one answer holds.
    for number in 0..3000 {
        site = site.file(&format!("many/a-name-that-is-not-short-{number}"), "");
    }
    world.offer(&site, &Layer::new("site", "docs", "1"));
    target.pkg(&["install", "docs"]).ok();
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    let exported = target.beside("exported");
    target.pkg(&["export", exported.to_str().unwrap()]).ok();
    let exported = exported.join("current");
    let names = paths(&exported);
    assert_eq!(paths(mount.dir()), names);
    for name in &names {
        assert_eq!(seen(&mount.dir().join(name)), seen(&exported.join(name)), "{}", name.display());
    }
    // Names of one file have one inode, and others another.
    let inode = |path: &str| fs::metadata(mount.at(path)).unwrap().ino();
    assert_eq!(inode("links/first"), inode("links/second"));
    assert_eq!(inode("links/first"), inode("a-third"));
    assert_ne!(inode("links/first"), inode("plain"));
    println!("{} entries are the same", names.len());
}

#[test]
fn programs_use_it_as_any_file_system() {
    let world = world();
    let Some(mount) = Mount::of(&world.target, "mounted", &[]) else { return };
    let large = mount.at("sizes/large");
    let map = "import mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); \
               sys.stdout.buffer.write(m[700000:700010])";
    let mapped = Command::new("python3").args(["-c", map]).arg(&large).output().unwrap();
    assert!(mapped.status.success(), "{}", String::from_utf8_lossy(&mapped.stderr));
    assert_eq!(mapped.stdout, noise(5, 1_500_000)[700_000..700_010]);
    // A copy by tar holds what is here.
    let (copy, line) = (world.target.beside("copy"), "tar -C \"$1\" -c . | tar -C \"$2\" -x");
    fs::create_dir(&copy).unwrap();
    let copied = Command::new("sh").args(["-c", line, "sh"]).args([mount.dir(), &copy]).status().unwrap();
    assert!(copied.success());
    let compared =
        Command::new("diff").arg("-r").arg("--no-dereference").args([mount.dir(), &copy]).output().unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    let differences =
        said.lines().filter(|line| !line.contains("special file") && !line.contains("is a fifo"));
    assert_eq!(differences.collect::<Vec<_>>(), Vec::<&str>::new());
    // It cannot be written.
    for change in [
        fs::write(mount.at("new"), "x"),
        fs::remove_file(mount.at("plain")),
        fs::write(mount.at("plain"), "x"),
    ] {
        assert_eq!(change.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    let size = Command::new("stat").args(["-f", "-c", "%S %b %a"]).arg(mount.dir()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&size.stdout), format!("4096 {} 0\n", (64 << 20) / 4096));
}

#[test]
fn a_folder_that_cannot_be_mounted_on() {
    let world = World::new();
    let target = &world.target;
    let Some(mount) = Mount::of(target, "mounted", &[]) else { return };
    let text = |name: &str| target.beside(name).to_str().unwrap().to_owned();
    assert!(target.refuses(NOT_FOUND, &["mount", &text("nowhere")]).contains("mkdir"));
    fs::create_dir(target.beside("full")).unwrap();
    fs::write(target.beside("full/file"), "").unwrap();
    assert!(target.refuses(CONFLICT, &["mount", &text("full")]).contains("not empty"));
    assert!(target.refuses(2, &["mount", &text("full/file")]).contains("no folder"));
    assert!(target.refuses(CONFLICT, &["mount", &text("mounted")]).contains("already"));
    assert!(target.refuses(NOT_FOUND, &["umount", &text("full")]).contains("nothing is mounted"));
    let proc = target.pkg(&["umount", "/proc"]).refused(CONFLICT);
    assert!(proc.contains("no store of ours"), "{proc}");
    drop(mount);
}

#[test]
fn unmounting() {
    let world = World::new();
    let target = &world.target;
    let Some(mut mount) = Mount::of(target, "mounted", &[]) else { return };
    let dir = mount.dir().to_str().unwrap().to_owned();
    let open = fs::File::open(mount.at(WITNESS)).unwrap();
    let line = target.pkg(&["umount", &dir]).refused(CONFLICT);
    assert!(line.contains("in use") && line.contains("--lazy"), "{line}");
    assert!(mount.is_there());
    drop(open);
    target.pkg(&["umount", &dir]).ok();
    assert!(!is_mounted(mount.dir()));
    // The supervisor ends by itself, and well.
    mount.take_supervisor().end().ok();
    assert_eq!(mount.servers(), Vec::<u32>::new());

    // In the background, and lazily while something is open, which can be read to its end.
    target.pkg(&["mount", "--background", &dir]).ok();
    assert_eq!(fs::read(mount.at(WITNESS)).unwrap(), b"the base's own words\n");
    let open = fs::File::open(mount.at(WITNESS)).unwrap();
    target.pkg(&["umount", "--lazy", &dir]).ok();
    assert!(!is_mounted(mount.dir()));
    assert_eq!(std::io::read_to_string(&open).unwrap(), "the base's own words\n");
    drop(open);
    plyos_test_system::programs::wait_for("the server's end", || mount.servers().is_empty().then_some(()));
}

#[test]
fn two_mounts_of_one_store_and_one_of_an_empty_one() {
    let world = World::empty();
    let target = &world.target;
    target.pkg(&["init", "--size", "64M"]).ok();
    let Some(first) = Mount::of(target, "first", &[]) else { return };
    assert_eq!(fs::read_dir(first.dir()).unwrap().count(), 3, "models, usr and www");
    let second = Mount::of(target, "second", &["--cache", "0"]).unwrap();
    world.release(&plyos_test_system::trees::base(), &Layer::new("base", "plain", "1"));
    target.trust(&world.catalog(), world.publisher.root_sha256());
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "plain"]).ok();
    for mount in [&first, &second] {
        assert_eq!(fs::read(mount.at(WITNESS)).unwrap(), b"the base's own words\n");
    }
}
