//! Room in the store: what a clean-up takes and leaves, pins and leases, who holds how much, a store that is too small
//! and one that grows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use plyos_blockstore::layout::UNIT;
use plyos_ids::{GenerationId, LayerId};
use plyos_storefile::{RecordType, Store};
use plyos_test_system::programs::{command, run};
use plyos_test_system::publisher::{Layer, now};
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const STORE: i32 = 7;
const MIB: u64 = 1 << 20;
const DAY: u64 = 86_400;

/// A world whose target has a store of `size` and has fetched the catalog.
fn world(size: &str) -> World {
    let world = World::empty();
    world.publisher.publish(&[]);
    world.target.pkg(&["init", "--size", size]).ok();
    world.target.trust(&world.catalog(), world.publisher.root_sha256());
    world.target.pkg(&["update"]).ok();
    world
}

/// What the one file of a package holds: bytes that do not compress, and no others have.
fn content(name: &str, version: u64, len: u64) -> Vec<u8> {
    let seed = name.bytes().fold(version, |seed, byte| seed * 257 + u64::from(byte));
    noise(seed, usize::try_from(len).unwrap())
}

/// Publishes a package of one file; the target does not know yet.
fn release(world: &World, name: &str, version: u64, len: u64) {
    let tree = Tree::new().file(&format!("usr/share/{name}"), content(name, version, len));
    world.release(&tree, &Layer::package(name, &version.to_string()));
}

/// The same, and the target knows.
fn offer(world: &World, name: &str, version: u64, len: u64) {
    release(world, name, version, len);
    world.target.pkg(&["update"]).ok();
}

/// Installs versions 1 to `count` of the package `data`, each of 1 MiB, as generations 1 to `count`.
fn versions(world: &World, count: u64) {
    for version in 1..=count {
        offer(world, "data", version, MIB);
        world.target.pkg(&[if version == 1 { "install" } else { "upgrade" }, "data"]).ok();
        assert_eq!(world.target.generation(), version);
    }
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn clean_up_frees_what_it_says_and_leaves_the_rest_whole() {
    let world = world("16M");
    versions(&world, 5);
    let target = &world.target;
    let all = target.json(&["clean", "--dry-run"]);
    assert_eq!(numbers(&all["generations"]), [0u64; 0], "all of them are young");
    let before = target.state();
    let plan = target.json(&["clean", "--keep", "3", "--dry-run"]);
    assert_eq!(target.state(), before);
    assert_eq!(numbers(&plan["generations"]), [1, 2]);
    assert_eq!(plan["layers"].as_array().unwrap().len(), 2);
    assert_eq!(plan["layers"][0]["name"].as_str().unwrap().split(' ').next(), Some("package/data"));

    let used = number(&target.json(&["status"]), "used_bytes");
    let done = target.json(&["clean", "--keep", "3"]);
    assert_eq!(number(&done, "freed_bytes"), number(&plan, "freed_bytes"));
    // The room is free when the command ends: in the writer's eyes, and by what both superblock copies reach.
    let freed = number(&done, "free_bytes") - number(&plan, "free_bytes");
    let said = number(&done, "freed_bytes");
    assert!((2 * MIB..2 * MIB + 40 * UNIT).contains(&said), "{said}");
    assert!(freed.abs_diff(said) <= 8 * UNIT, "said {said}, became {freed}");
    let after = number(&target.json(&["status"]), "used_bytes");
    assert!((used - after).abs_diff(said) <= 8 * UNIT, "said {said}, used {used} and then {after}");

    assert_eq!(numbers(&target.json(&["clean", "--keep", "3"])["generations"]), [0u64; 0], "once is enough");
    assert_eq!(target.cat("/usr/share/data"), content("data", 5, MIB));
    let history = target.json(&["history"]);
    let present: Vec<bool> =
        history.as_array().unwrap().iter().map(|row| row["present"].as_bool().unwrap()).collect();
    assert_eq!(present, [false, false, true, true, true]);
    assert!(target.pkg(&["rollback", "1"]).refused(STORE).contains("not in the store any more"));
    target.pkg(&["rollback", "3"]).ok();
    assert_eq!(target.cat("/usr/share/data"), content("data", 3, MIB));
    target.pkg(&["verify"]).ok();
}

#[test]
fn slots_and_pins_stay_whatever_is_asked() {
    let world = world("16M");
    versions(&world, 5);
    let target = &world.target;
    target.pkg(&["pin", "2"]).ok();
    target.pkg(&["pin", "2"]).ok();
    assert!(target.pkg(&["pin", "77"]).refused(3).contains("77"));
    let rows = target.json(&["history"]);
    let pinned: Vec<u64> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["pinned"] == true)
        .map(|row| number(row, "generation"))
        .collect();
    assert_eq!(pinned, [2]);
    assert!(target.pkg(&["history"]).ok().text().contains("(pinned)"));
    let done = target.json(&["clean", "--all"]);
    assert_eq!(numbers(&done["generations"]), [1, 3], "4 and 5 are in the slots");
    let why = done["kept"].as_array().unwrap().iter().find(|row| row["generation"] == 2).unwrap();
    assert_eq!(why["reasons"], serde_json::json!(["pinned"]));
    target.pkg(&["rollback", "2"]).ok();
    assert_eq!(target.cat("/usr/share/data"), content("data", 2, MIB));
    target.pkg(&["rollback", "5"]).ok();
    target.pkg(&["rollback", "4"]).ok();
    target.pkg(&["unpin", "2"]).ok();
    assert!(target.pkg(&["unpin", "2"]).refused(3).contains("not pinned"));
    assert_eq!(numbers(&target.json(&["clean", "--all"])["generations"]), [2]);
    assert!(target.pkg(&["pin", "2"]).refused(3).contains("not in the store"));
}

#[test]
fn what_a_running_program_reads_stays_until_it_ends() {
    let world = world("16M");
    versions(&world, 1);
    let target = &world.target;
    // It reads from generation 1, and its pipe is full long before the file ends.
    let mut reader = target.command(&["cat", "/usr/share/data"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = reader.stdout.take().unwrap();
    let mut first = [0; 1];
    pipe.read_exact(&mut first).unwrap();
    for version in 2..=4 {
        offer(&world, "data", version, MIB);
        target.pkg(&["upgrade"]).ok();
    }
    let done = target.json(&["clean", "--all"]);
    assert_eq!(numbers(&done["generations"]), [2]);
    let why = done["kept"].as_array().unwrap().iter().find(|row| row["generation"] == 1).unwrap();
    assert_eq!(why["reasons"], serde_json::json!(["in use"]));
    // Fill what became free, so that the reader would notice if its chunks had gone.
    offer(&world, "more", 1, 3 * MIB);
    target.pkg(&["install", "more"]).ok();
    let mut rest = first.to_vec();
    pipe.read_to_end(&mut rest).unwrap();
    assert!(reader.wait().unwrap().success());
    assert!(rest == content("data", 1, MIB), "the reader saw other bytes");
    assert!(numbers(&target.json(&["clean", "--all"])["generations"]).contains(&1));
}

#[test]
fn a_clean_up_that_was_cut_between_its_commits_is_ended_by_the_next() {
    let world = world("16M");
    versions(&world, 4);
    let target = &world.target;
    let mut writer = Store::writer(target.store(), Duration::from_secs(10)).unwrap();
    let names = target.json(&["du"]);
    let rows = names["layers"].as_array().unwrap();
    let first = rows.iter().find(|row| row["generations"] == serde_json::json!([1])).unwrap();
    let layer = LayerId::parse(first["layer"].as_str().unwrap()).ok();
    writer.remove_layer(&layer.unwrap());
    let id = target.json(&["history"])[0]["id"].as_str().unwrap().to_owned();
    let id = GenerationId::parse(&id).unwrap();
    writer.remove_record(RecordType::Generation, id.as_bytes());
    for kind in [RecordType::Certificate, RecordType::Manifest] {
        let kept: Vec<_> = writer.records(kind).map(|entry| entry.key).collect();
        let facts = writer.layers().find(|entry| Some(entry.id) == layer).copied().unwrap();
        let key = if kind == RecordType::Manifest {
            *facts.manifest.unwrap().as_bytes()
        } else {
            *facts.id.as_bytes()
        };
        assert!(kept.contains(&key));
        writer.remove_record(kind, &key);
    }
    writer.commit(None).unwrap();
    drop(writer);
    // What was committed says that it is gone, the older copy still holds it.
    let before = number(&target.json(&["clean", "--dry-run", "--keep", "9"]), "free_bytes");
    let done = target.json(&["clean", "--keep", "9"]);
    assert!(number(&done, "free_bytes") > before + MIB - 8 * UNIT, "{before} free before, then {done}");
    let capacity = number(&target.json(&["du"]), "capacity_bytes");
    assert!(capacity - number(&done, "free_bytes") < 3 * MIB + 80 * UNIT, "{done}");
}

#[test]
fn an_install_that_cannot_fit_says_how_much_is_missing_and_fetches_nothing() {
    let world = world("8M");
    offer(&world, "small", 1, 2 * MIB);
    offer(&world, "large", 1, 9 * MIB);
    let target = &world.target;
    target.pkg(&["install", "small"]).ok();
    world.proxy.take_carried();
    let line = target.refuses(STORE, &["install", "large"]);
    let ranges = world.proxy.take_carried().into_iter().filter(|carried| carried.bytes > 200_000).count();
    assert_eq!(ranges, 0, "content was fetched");
    assert!(line.contains("nothing was downloaded"), "{line}");
    let missing: u64 = line.split_once('(').unwrap().1.split_once(" bytes").unwrap().0.parse().unwrap();
    // 8 MiB, less superblocks, reserve, 2 MiB and what belongs to it; asked for are 9 MiB.
    assert!(missing > 3 * MIB && missing < 4 * MIB, "{line}");
    let size = line.split_once("pkg grow ").unwrap().1.split(['`', ' ']).next().unwrap().to_owned();
    let megabytes: u64 = size.trim_end_matches('M').parse().unwrap();
    assert!(megabytes * MIB >= 8 * MIB + missing && megabytes * MIB <= 8 * MIB + missing + 3 * MIB, "{line}");
    // Half of it is too little, what it said is enough.
    let half = (8 * MIB + missing / 2).to_string();
    target.pkg(&["grow", &half]).ok();
    target.refuses(STORE, &["install", "large"]);
    target.pkg(&["grow", &size]).ok();
    target.pkg(&["install", "large"]).ok();
    assert_eq!(target.cat("/usr/share/large").len() as u64, 9 * MIB);
    assert_eq!(target.cat("/usr/share/small").len() as u64, 2 * MIB);
    assert!(target.pkg(&["grow", "8M"]).refused(2).contains("never shrinks"));
}

/// Signs the catalog ahead, so that the target's time is `days` from now.
fn let_pass(world: &World, days: u64) {
    world.publisher.sign_at(&world.registry, now() + days * DAY);
    world.target.pkg(&["update"]).ok();
}

#[test]
fn an_install_that_does_not_fit_cleans_up_first() {
    let world = world("12M");
    versions(&world, 8);
    let target = &world.target;
    offer(&world, "more", 1, 7 * MIB / 2);
    target.refuses(STORE, &["install", "more"]);
    let_pass(&world, 31);
    target.pkg(&["install", "more"]).ok();
    let history = target.json(&["history"]);
    let gone: Vec<u64> = history
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["present"] == false)
        .map(|row| number(row, "generation"))
        .collect();
    assert_eq!(gone, [1, 2, 3], "five stay, and the new one");
    assert_eq!(target.cat("/usr/share/more"), content("more", 1, 7 * MIB / 2));
    target.pkg(&["verify"]).ok();
}

#[test]
fn a_local_file_makes_room_like_any_layer_and_writes_nothing_before_the_word() {
    let world = world("12M");
    versions(&world, 8);
    let target = &world.target;
    let tree = Tree::new().file("usr/share/more", content("more", 1, 7 * MIB / 2));
    let pushed = world.offer(&tree, &Layer::package("more", "1"));
    let path = target.beside("more.oci");
    if !fetched_by_skopeo(&world, &pushed.place, &path) {
        return;
    }
    let path = Target::text_of(&path);
    let bytes = || std::fs::read(target.store()).unwrap();
    let before = bytes();
    target.pkg(&["--offline", "install", "--dry-run", path]).ok();
    assert!(bytes() == before, "a question was answered and the store written");
    let line = target.refuses(STORE, &["--offline", "install", path]);
    assert!(line.contains("are needed"), "{line}");
    let_pass(&world, 31);
    target.pkg(&["--offline", "install", path]).ok();
    assert_eq!(target.cat("/usr/share/more"), content("more", 1, 7 * MIB / 2));
    target.pkg(&["verify"]).ok();
}

/// An OCI layout of a pushed layer. False without skopeo.
fn fetched_by_skopeo(world: &World, place: &str, to: &Path) -> bool {
    let home = world.target.beside("home");
    std::fs::create_dir_all(&home).unwrap();
    if !command("skopeo", &home).arg("--version").output().is_ok_and(|said| said.status.success()) {
        eprintln!("SKIPPED: nothing is copied, for skopeo is not here");
        return false;
    }
    let (from, to) = (format!("docker://{place}"), format!("oci:{}:1", to.display()));
    run(command("skopeo", &home).args(["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to]))
        .ok();
    true
}

#[test]
fn a_store_that_is_nearly_full_cleans_itself_after_a_change_and_one_that_is_not_does_not() {
    let world = world("12M");
    versions(&world, 6);
    let target = &world.target;
    release(&world, "data", 7, MIB);
    let_pass(&world, 31);
    target.pkg(&["upgrade"]).ok();
    let stored = |target: &Target| number(&target.json(&["status"]), "generations");
    assert_eq!(stored(target), 7, "7 of 11 MiB are used");
    release(&world, "more", 1, 2 * MIB + MIB / 2);
    let_pass(&world, 32);
    let said = target.pkg(&["install", "more"]).ok().text();
    assert!(said.contains("Cleaned up"), "{said}");
    assert_eq!(stored(target), 5);
}

#[test]
fn du_says_what_is_shared_and_what_would_become_free() {
    let world = world("32M");
    let shared = noise(9, 2 * MIB as usize);
    for (name, own) in [("one", MIB), ("two", 3 * MIB)] {
        let tree = Tree::new()
            .file(&format!("usr/share/{name}/shared"), &shared)
            .file(&format!("usr/share/{name}/own"), noise(own, own as usize));
        world.offer(&tree, &Layer::package(name, "1"));
        world.target.pkg(&["install", name]).ok();
    }
    let target = &world.target;
    target.pkg(&["remove", "one"]).ok();
    target.pkg(&["remove", "two"]).ok();
    let du = target.json(&["du"]);
    let near = |value: u64, mib: u64| value.abs_diff(mib * MIB) < 32 * UNIT;
    for (name, own) in [("one", 1), ("two", 3)] {
        let rows = du["layers"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == format!("package/{name} 1")).unwrap();
        assert!(near(number(row, "own_bytes"), own), "{row}");
        assert!(near(number(row, "shared_bytes"), 2), "{row}");
        assert_eq!(number(row, "bytes"), number(row, "own_bytes") + number(row, "shared_bytes"));
    }
    // Layer two is in generations 2 and 3, layer one in 1 and 2: alone they free nothing, 3 and 4 are in the slots.
    let own: Vec<u64> =
        du["generations"].as_array().unwrap().iter().map(|row| number(row, "own_bytes")).collect();
    assert_eq!(own, [0, 0, 0, 0]);
    let done = target.json(&["clean", "--all"]);
    assert_eq!(numbers(&done["generations"]), [1, 2]);
    assert!(near(number(&done, "freed_bytes"), 1), "{done}");
    let du = target.json(&["du"]);
    let last = du["generations"].as_array().unwrap().iter().find(|row| row["generation"] == 3).unwrap();
    assert!(near(number(last, "own_bytes"), 5) && near(number(last, "bytes"), 5), "{last}");
    assert!(target.pkg(&["du"]).ok().text().contains("generation 4, active"));
}

#[test]
fn a_full_file_system_is_said_so_and_the_old_state_stays() {
    let world = world("16M");
    versions(&world, 1);
    offer(&world, "more", 1, 4 * MIB);
    let target = &world.target;
    let before = target.state();
    // A file system of its own in a namespace of its own, with the store and room for 1 MiB.
    let folder = target.beside("small");
    std::fs::create_dir(&folder).unwrap();
    let script = "mount -t tmpfs -o size=3300k none \"$1\" && cp --sparse=always \"$2\" \"$1/store\" && shift 2 && \"$@\"; code=$?; \
                  \"$3\" --store \"$FOLDER/store\" status >&2 && \"$3\" --store \"$FOLDER/store\" cat /usr/share/data | wc -c >&2; exit $code";
    let pkg = plyos_test_system::programs::built("pkg");
    let store = folder.join("store");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let probe = run(command("unshare", &folder).args(["-m", "mount", "-t", "tmpfs", "none", &text(&folder)]));
    if probe.code != Some(0) {
        println!("no mount namespaces here; casstore/storefile/tests/no_space.rs shows the same without");
        return;
    }
    let script = script.replace("\"$3\"", &text(&pkg)).replace("$FOLDER", &text(&folder));
    let ended = run(command("unshare", target.beside("").as_path())
        .args([
            "-m",
            "sh",
            "-c",
            &script,
            "sh",
            &text(&folder),
            &text(&target.store()),
            &text(&pkg),
            "--store",
            &text(&store),
        ])
        .args(["install", "more"]));
    assert_eq!(ended.code, Some(STORE), "{}", ended.stderr);
    assert!(ended.stderr.contains("No space left") && ended.stderr.contains("make room"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&MIB.to_string()), "the old generation reads whole: {}", ended.stderr);
    assert_eq!(target.state(), before);
}
