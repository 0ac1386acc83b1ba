//! `plyos image store`: disks that the kernel boots from, made of generations of a store and of what a repository offers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use plyos_slots::{SlotName, SlotState, Slots};
use plyos_storefile::{RecordType, Store};
use plyos_test_system::programs::{Ended, built, command, run, wait_for};
use plyos_test_system::publisher::Layer;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use plyos_trust::pins::Pins;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;
const SIGNATURE: i32 = 5;
const MACHINE: i32 = 6;
const STORE: i32 = 7;

fn site(version: u64) -> Tree {
    Tree::new()
        .file("index.html", format!("<p>version {version}</p>\n"))
        .file("page.html", prose(version, 3000))
        .file("picture", noise(7, 300_000))
}

/// Generations 1 to 3: a base; with a site; with its second version.
fn world() -> World {
    let world = World::new();
    world.offer(&site(1), &Layer::new("site", "docs", "1"));
    world.target.pkg(&["install", "docs"]).ok();
    world.offer(&site(2), &Layer::new("site", "docs", "2"));
    world.target.pkg(&["upgrade"]).ok();
    assert_eq!(world.target.generation(), 3);
    world
}

/// `plyos image store OUT` beside the target's store, with `options`.
fn image_command(target: &Target, out: &str, options: &[&str]) -> Command {
    let home = target.beside("home");
    fs::create_dir_all(&home).unwrap();
    let mut command = command(built("plyos"), &home);
    command.args(["--json", "image", "store", Target::text_of(&target.beside(out))]).args(options);
    command
}

fn image(target: &Target, out: &str, options: &[&str]) -> Ended {
    run(&mut image_command(target, out, options))
}

/// The same from the target's own store.
fn image_of(target: &Target, out: &str, options: &[&str]) -> Ended {
    let store = target.store();
    image(target, out, &[&["--from", Target::text_of(&store)], options].concat())
}

/// `pkg` on an image.
fn pkg(target: &Target, out: &str, words: &[&str]) -> Ended {
    let store = target.beside(out);
    target.pkg(&[&["--store", Target::text_of(&store)], words].concat())
}

fn slots(path: &Path) -> Slots {
    *Store::open(path).unwrap().slots()
}

fn files_beside(target: &Target) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        fs::read_dir(target.beside("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

#[test]
fn the_active_generation_and_nothing_else_is_in_the_image() {
    let world = world();
    let target = &world.target;
    let facts = image_of(target, "disk", &[]).json();
    let path = target.beside("disk");
    let store = Store::open(&path).unwrap();
    assert!(store.superblock().boots);
    assert_eq!(facts["bytes"].as_u64(), Some(fs::metadata(&path).unwrap().len()));
    assert_eq!((&facts["layers"], &facts["generations"][0]["number"]), (&2.into(), &3.into()));

    // Equal to what it comes from, to `pkg` that reads it.
    let list = |value: Value| -> Vec<Value> {
        let facts = ["kind", "name", "version", "layer", "repository"];
        value.as_array().unwrap().iter().map(|row| facts.map(|name| row[name].clone()).into()).collect()
    };
    let of_image = list(pkg(target, "disk", &["--json", "list"]).json());
    assert_eq!(of_image, list(target.json(&["list"])));
    for path in ["/etc/witness", "/www/docs/page.html", "/www/docs/picture"] {
        assert_eq!(pkg(target, "disk", &["cat", path]).ok().stdout, target.cat(path));
    }
    pkg(target, "disk", &["verify"]).ok();
    let kinds = [RecordType::Settings, RecordType::Audit, RecordType::Pin, RecordType::BadSets];
    assert!(kinds.iter().all(|kind| store.records(*kind).count() == 0));
    assert_eq!(store.records(RecordType::Generation).count(), 1);
    assert_eq!(store.records(RecordType::TufMetadata).count(), 1, "the root");

    // The pinned roots are those that signed the keyring.
    let pins = Pins::parse(&fs::read(target.beside("disk.roots")).unwrap()).unwrap();
    let key = store.records(RecordType::Keyring).next().unwrap().key;
    let keyring = store.record(RecordType::Keyring, &key).unwrap().unwrap();
    assert!(pins.trust(keyring, 0).is_ok());

    // It is short, and grows like any store; then there is room for more.
    let before = store.superblock().store_len();
    assert!(before < 2 << 20, "{before} bytes");
    pkg(target, "disk", &["grow", "16M"]).ok();
    pkg(target, "disk", &["update"]).ok();
    world.offer(&Tree::new().file("usr/bin/tool", noise(9, 2 << 20)), &Layer::package("tool", "1"));
    pkg(target, "disk", &["update"]).ok();
    pkg(target, "disk", &["install", "tool"]).ok();
    assert_eq!(pkg(target, "disk", &["cat", "/usr/bin/tool"]).ok().stdout, noise(9, 2 << 20));
}

#[test]
fn equal_input_gives_equal_bytes() {
    let world = world();
    let target = &world.target;
    let made = |name: &str, options: &[&str]| {
        image_of(target, name, options).json();
        fs::read(target.beside(name)).unwrap()
    };
    let first = made("first", &[]);
    // Room is used otherwise in the store now, and its clock has gone on.
    target.pkg(&["install", "docs=1"]).ok();
    target.pkg(&["clean", "--all"]).ok();
    assert!(made("again", &["--generation", "3"]) == first);
    assert_eq!(
        fs::read(target.beside("first.roots")).unwrap(),
        fs::read(target.beside("again.roots")).unwrap()
    );
    assert!(made("other", &["--generation", "4"]) != first);

    // Of a repository: neither when nor where it was made, only what it offers.
    let (catalog, root) = (world.catalog(), world.publisher.root_file());
    let options = ["--repo", &catalog, "--root", root.to_str().unwrap(), "docs", "plain"];
    for name in ["fetched", "once-more"] {
        let facts = image(target, name, &options).json();
        assert_eq!((&facts["layers"], &facts["generations"][0]["number"]), (&2.into(), &1.into()));
    }
    assert!(fs::read(target.beside("fetched")).unwrap() == fs::read(target.beside("once-more")).unwrap());
    assert_eq!(pkg(target, "fetched", &["cat", "/www/docs/page.html"]).ok().stdout, prose(2, 3000));
    let history = pkg(target, "fetched", &["--json", "history"]).json();
    assert_eq!((&history[0]["generation"], history.as_array().unwrap().len()), (&1.into(), 1));
    let said = history[0]["command"].as_str().unwrap();
    assert_eq!(said, format!("plyos image store --repo {catalog} docs plain"));
    let dated = |seconds: &str, name: &str| {
        run(image_command(target, name, &options).env("SOURCE_DATE_EPOCH", seconds))
    };
    dated("1000000000", "dated").json();
    let store = Store::open(target.beside("dated")).unwrap();
    assert!(store.layers().all(|layer| layer.added_at == 1_000_000_000));
    assert_eq!(store.slots().active().unwrap().changed_at, 1_000_000_000);
    dated("yesterday", "misdated").refused(USAGE);
    let left = files_beside(target);
    assert!(!left.iter().any(|path| path.to_string_lossy().contains(".plyos-image")), "{left:?}");
}

#[test]
fn two_generations_fill_both_slots() {
    let world = world();
    let target = &world.target;
    image_of(target, "disk", &["--generation", "2", "--generation", "3"]).json();
    let path = target.beside("disk");
    let found = slots(&path);
    assert_eq!(found.active().unwrap().number, 2);
    let other = found.get(found.preferred.unwrap().other());
    assert_eq!((other.number, other.state), (3, SlotState::Good));
    // What both have lies there once.
    let page = |words: &str| pkg(target, "disk", &["cat", words]).ok().text();
    assert_eq!(page("/www/docs/index.html"), "<p>version 1</p>\n");
    pkg(target, "disk", &["rollback", "3"]).ok();
    assert_eq!(page("/www/docs/index.html"), "<p>version 2</p>\n");
    assert_eq!(
        slots(&path).preferred,
        Some(found.preferred.unwrap().other()),
        "the other slot, not a new one"
    );
    pkg(target, "disk", &["rollback"]).ok();
    assert_eq!(page("/www/docs/index.html"), "<p>version 1</p>\n");
    pkg(target, "disk", &["verify"]).ok();

    // On trial: the other stays the active one until somebody has seen the first run.
    image_of(target, "trial", &["--generation", "3", "--generation", "2", "--tries", "3"]).json();
    let found = slots(&target.beside("trial"));
    assert_eq!(found.active().unwrap().number, 2);
    let trial = found.get(found.trial().unwrap());
    assert_eq!((trial.number, trial.state), (3, SlotState::Trial { left: 3, granted: 3 }));
    image_of(target, "alone", &["--tries", "1"]).json();
    let found = slots(&target.beside("alone"));
    assert_eq!((found.preferred, found.trial()), (None, Some(SlotName::A)));

    for (code, options) in [
        (USAGE, &["--generation", "2", "--generation", "2"][..]),
        (USAGE, &["--generation", "1", "--generation", "2", "--generation", "3"]),
        (NOT_FOUND, &["--generation", "9"]),
        (NOT_FOUND, &["--leave-out", "nothing"]),
        (USAGE, &["--size", "900K"]),
    ] {
        image_of(target, "none", options).refused(code);
    }
}

#[test]
fn what_the_kernel_would_refuse_does_not_go_in() {
    let world = world();
    let target = &world.target;
    let tree = |name: &str| Tree::new().file(&format!("usr/bin/{name}"), name);
    world.release(&tree("odd"), &Layer::package("odd", "1").with("--abi", "linux"));
    world.offer(&tree("even"), &Layer::package("even", "1").with("--abi", "plyos-0"));
    target.pkg(&["install", "odd", "even"]).ok();
    let line = image_of(target, "disk", &[]).refused(MACHINE);
    assert!(line.contains("odd 1: its programs need ABI linux") && line.contains("--leave-out"), "{line}");
    assert!(!line.contains("even"), "{line}");
    image_of(target, "disk", &["--leave-out", "odd"]).json();
    assert_eq!(pkg(target, "disk", &["cat", "/usr/bin/even"]).ok().text(), "even");
    pkg(target, "disk", &["cat", "/usr/bin/odd"]).refused(NOT_FOUND);
    let store = Store::open(target.beside("disk")).unwrap();
    assert_eq!(store.layers().len(), 3);

    // Somebody else's root.
    let stranger = World::empty();
    let foreign = stranger.publisher.root_file();
    let line = image_of(target, "no", &["--root", foreign.to_str().unwrap(), "--leave-out", "odd"])
        .refused(SIGNATURE);
    assert!(line.contains("keyring") && line.contains("root keys"), "{line}");
    let own = world.publisher.root_file();
    image_of(target, "yes", &["--root", own.to_str().unwrap(), "--leave-out", "odd"]).json();
    assert_eq!(fs::read(target.beside("yes.roots")).unwrap(), fs::read(target.beside("disk.roots")).unwrap());

    // One that nobody signed.
    if Command::new("skopeo").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no unsigned layer is made, for skopeo is not here");
        return;
    }
    let pushed = world.push(&tree("mine"), &Layer::package("mine", "1"));
    let (from, to) =
        (format!("docker://{}", pushed.place), format!("oci:{}:1", target.beside("mine").display()));
    let words = ["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to];
    run(command("skopeo", &target.beside("home")).args(words)).ok();
    target.pkg(&["install", "--allow-unsigned", Target::text_of(&target.beside("mine"))]).ok();
    let line = image_of(target, "no", &["--leave-out", "odd"]).refused(SIGNATURE);
    assert!(line.contains("mine 1: it is unsigned"), "{line}");
    image_of(target, "signed", &["--leave-out", "odd", "--leave-out", "mine"]).json();
}

#[test]
fn what_others_need_is_not_left_out() {
    let world = World::new();
    let target = &world.target;
    let offer = |name: &str, with: &[&str]| {
        let layer = with.iter().fold(Layer::package(name, "1").with("--abi", "plyos-0"), |layer, need| {
            layer.with("--depends", need)
        });
        world.offer(&Tree::new().file(&format!("usr/bin/{name}"), name), &layer);
    };
    offer("lib", &[]);
    offer("app", &["lib >= 1"]);
    target.pkg(&["install", "app"]).ok();
    let line = image_of(target, "no", &["--leave-out", "lib"]).refused(CONFLICT);
    assert!(line.contains("cannot leave out 'lib'") && line.contains("app needs lib"), "{line}");
    image_of(target, "app", &["--leave-out", "app"]).json();
    image_of(target, "neither", &["--leave-out", "lib", "--leave-out", "app"]).json();
    // Nor from what a catalog offers.
    let (catalog, root) = (world.catalog(), world.publisher.root_file());
    let options = ["--repo", &catalog, "--root", root.to_str().unwrap(), "--leave-out", "lib", "app"];
    assert_eq!(image(target, "no", &options).refused(CONFLICT), line.replace("generation 2", "generation 1"));
    assert!(!target.beside("no").exists());
}

#[test]
fn a_signal_ends_pkg_and_leaves_nothing_behind() {
    let target = Target::new();
    let bin = target.beside("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(built("plyos"), bin.join("plyos")).unwrap();
    // In the place of pkg: it has begun with a store, and will never end.
    let pkg =
        "#!/bin/sh\nmkdir -p \"$2\"\necho $$ > \"$2/begun\"\nmv \"$2/begun\" \"$2/pid\"\nexec sleep 1000\n";
    fs::write(bin.join("pkg"), pkg).unwrap();
    fs::set_permissions(bin.join("pkg"), fs::Permissions::from_mode(0o755)).unwrap();
    let before = files_beside(&target);
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut command = command(bin.join("plyos"), &bin);
        command.args(["image", "store", Target::text_of(&target.beside("disk"))]);
        command.args(["--repo", "http://127.0.0.1:1/", "--root", "0", "docs"]);
        let mut running = command.spawn().unwrap();
        let left = || files_beside(&target).into_iter().find(|path| !before.contains(path));
        let of_pkg = wait_for("pkg", || fs::read_to_string(left()?.join("store/pid")).ok());
        let status = PathBuf::from(format!("/proc/{}/status", of_pkg.trim()));
        assert!(status.exists(), "pkg runs");
        let words = [signal, &running.id().to_string()];
        assert!(Command::new("kill").args(words).status().unwrap().success());
        let ended = wait_for("plyos", || running.try_wait().unwrap());
        assert_eq!(ended.code(), Some(code));
        assert!(!status.exists(), "pkg does not go on");
        assert_eq!(files_beside(&target), before);
    }
}

#[test]
fn a_failure_leaves_no_file() {
    let world = world();
    let target = &world.target;
    image_of(target, "disk", &[]).json();
    let before = files_beside(target);
    let line = image_of(target, "disk", &[]).refused(CONFLICT);
    assert!(line.contains("there is something at"), "{line}");
    image(target, "new", &["--from", "/nonexistent/store"]).refused(NOT_FOUND);
    let (catalog, root) = (world.catalog(), world.publisher.root_file());
    let options = ["--repo", &catalog, "--root", root.to_str().unwrap(), "nothing-of-that-name"];
    let line = image(target, "new", &options).refused(NOT_FOUND);
    assert!(line.starts_with("pkg install: ") && line.contains("nothing-of-that-name"), "{line}");

    // A chunk that is not what it was.
    let store = Store::open(target.store()).unwrap();
    let layer = store.layers().max_by_key(|entry| entry.index.offset).unwrap().id;
    let place = store.layer(&layer).unwrap().unwrap().place(0).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(target.store()).unwrap();
    let (mut byte, at) = ([0], place.offset + u64::from(place.length) / 2);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    let line = image_of(target, "new", &[]).refused(STORE);
    assert!(line.contains("chunk"), "{line}");
    assert_eq!(files_beside(target), before);
}

#[test]
fn qcow2_holds_the_same_and_is_short() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("SKIPPED: qemu-img is not here");
        return;
    }
    let world = world();
    let target = &world.target;
    let home = target.beside("home");
    for (size, most) in [("2M", 2 << 20), ("5000M", 2 << 20)] {
        let (raw, packed) = (format!("raw-{size}"), format!("qcow2-{size}"));
        image_of(target, &raw, &["--size", size]).json();
        let facts = image_of(target, &packed, &["--size", size, "--format", "qcow2"]).json();
        let (raw, packed) = (target.beside(&raw), target.beside(&packed));
        let about = fs::metadata(&packed).unwrap();
        assert_eq!(facts["file_bytes"].as_u64(), Some(about.len()));
        assert!(about.len() < most, "{} bytes of {size}", about.len());
        assert!(fs::metadata(&raw).unwrap().blocks() * 512 < most, "raw is sparse");
        let qemu = |words: &[&str]| run(command("qemu-img", &home).args(words)).ok().text();
        let (raw, packed) = (raw.to_str().unwrap(), packed.to_str().unwrap());
        let checked = qemu(&["check", "-f", "qcow2", packed]);
        assert!(checked.contains("No errors were found"), "{checked}");
        qemu(&["compare", "-f", "raw", "-F", "qcow2", raw, packed]);
        let said: Value = serde_json::from_str(&qemu(&["info", "--output=json", packed])).unwrap();
        assert_eq!(said["virtual-size"], fs::metadata(raw).unwrap().len());
    }
}
