//! Bytes that were changed after they were signed, wherever they lie: refused with 5, nothing changed, and a retry after
//! the repair ends well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::registry::Tampered;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const SIGNATURE: i32 = 5;

/// A world that offers `victim` with some hundred chunks, and an index of several pages.
fn with_victim() -> (World, Pushed) {
    let world = World::new();
    let mut tree =
        Tree::new().file("usr/lib/large", noise(1, 3_000_000)).file("usr/share/text", prose(1, 3_000));
    for number in 0..300 {
        tree = tree.file(&format!("usr/share/victim/a-file-with-a-longish-name-{number}"), prose(number, 3));
    }
    let pushed = world.offer(&tree, &Layer::package("victim", "1"));
    (world, pushed)
}

/// Installing is refused while the file is damaged, and succeeds afterwards.
fn refused_until_repaired(target: &Target, damage: Tampered, expected: &str) {
    let line = target.refuses(SIGNATURE, &["install", "victim"]);
    assert!(line.contains("victim") && line.contains(expected), "{line}");
    damage.repair();
    let installed = target.json(&["install", "victim"]);
    assert_eq!(installed["generation"], target.generation());
    assert_eq!(target.cat("/usr/lib/large"), noise(1, 3_000_000));
}

#[test]
fn one_bit_of_a_chunk() {
    let (world, pushed) = with_victim();
    let chunks = world.publisher.plyos(["--json", "inspect", &pushed.place, "--chunks"]).json();
    let chunks = chunks["chunk_list"].as_array().unwrap().clone();
    assert!(chunks.len() > 20, "{} chunks", chunks.len());
    let chunk = &chunks[chunks.len() / 2];
    let middle = chunk["offset"].as_u64().unwrap() + chunk["stored"].as_u64().unwrap() / 2;
    let damage = world.registry.stored().flip(pushed.text("blob"), middle);
    refused_until_repaired(&world.target, damage, "chunk");
}

#[test]
fn two_chunks_exchanged() {
    // Each is a good frame, with the right length even: only the identity tells.
    let world = World::new();
    let tree = Tree::new().file("usr/a", noise(1, 65_536)).file("usr/b", noise(2, 65_536));
    let pushed = world.offer(&tree, &Layer::package("victim", "1"));
    let chunks = world.publisher.plyos(["--json", "inspect", &pushed.place, "--chunks"]).json();
    let place = |chunk: &serde_json::Value| {
        let start = usize::try_from(chunk["offset"].as_u64().unwrap()).unwrap();
        start..start + usize::try_from(chunk["stored"].as_u64().unwrap()).unwrap()
    };
    let chunks: Vec<_> = chunks["chunk_list"].as_array().unwrap().iter().map(place).collect();
    let (first, second) = chunks
        .iter()
        .enumerate()
        .find_map(|(at, one)| Some((one, chunks[at + 1..].iter().find(|other| other.len() == one.len())?)))
        .expect("two chunks of one stored length");
    let damage = world.registry.stored().tamper(pushed.text("blob"), |bytes| {
        let (one, other) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
        bytes[first.clone()].copy_from_slice(&other);
        bytes[second.clone()].copy_from_slice(&one);
    });
    let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
    assert!(line.contains("chunk"), "{line}");
    damage.repair();
    world.target.pkg(&["install", "victim"]).ok();
    assert_eq!(world.target.cat("/usr/a"), noise(1, 65_536));
}

#[test]
fn index_bytes() {
    let (world, pushed) = with_victim();
    let (offset, stored) = pushed.part(&world.registry, "index");
    assert!(stored > 1_000);
    for at in [offset, offset + stored / 2, offset + stored - 1] {
        let damage = world.registry.stored().flip(pushed.text("blob"), at);
        let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
        assert!(line.contains("victim") && line.contains("index"), "{line}");
        damage.repair();
    }
    world.target.pkg(&["install", "victim"]).ok();
}

#[test]
fn frame_table_bytes() {
    let (world, pushed) = with_victim();
    let (offset, stored) = pushed.part(&world.registry, "frames");
    for at in [offset, offset + stored / 2, offset + stored - 1] {
        let damage = world.registry.stored().flip(pushed.text("blob"), at);
        let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
        assert!(line.contains("victim") && line.contains("frame table"), "{line}");
        damage.repair();
    }
    world.target.pkg(&["install", "victim"]).ok();
}

#[test]
fn manifest_bytes() {
    let (world, pushed) = with_victim();
    let manifest = world.registry.catalog_file(pushed.text("manifest").trim_start_matches("sha256:"));
    let layer = pushed.text("layer").trim_start_matches("blake3:");
    // Another identity, of the same length: well-formed in every way.
    let damage = Tampered::replace(&manifest, layer, &layer.chars().rev().collect::<String>());
    let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
    assert!(line.contains("victim"), "{line}");
    damage.repair();
    let longer = Tampered::with(&manifest, |bytes| bytes.push(b'\n'));
    let line = world.target.refuses(SIGNATURE, &["install", "victim"]);
    assert!(line.contains("more than"), "{line}");
    longer.repair();
    let shorter = Tampered::with(&manifest, |bytes| {
        bytes.pop();
    });
    refused_until_repaired(&world.target, shorter, "");
}

#[test]
fn metadata_of_each_role() {
    let (world, _) = with_victim();
    let files = ["metadata/timestamp.json", ".snapshot.json", ".targets.json", "2.package.json", ".keyring"];
    // The second version of the package's role: the first says nothing of the file that is looked for.
    world.release(&Tree::new().file("usr/x", "x"), &Layer::package("other", "1"));
    for part in files {
        let file = newest(&world, part);
        let target = world.another_target();
        let damage = Tampered::with(&file, |bytes| {
            // A digit is another digit: still JSON, still canonical, not what was signed. In a keyring any byte will do.
            let at = bytes.len() / 2;
            let digit = bytes[at..].iter().position(u8::is_ascii_digit).unwrap_or(0);
            bytes[at + digit] ^= 1;
        });
        let line = target.refuses(SIGNATURE, &["update"]);
        assert!(line.contains("'main' is refused"), "{part}: {line}");
        damage.repair();
        target.pkg(&["update"]).ok();
        assert_eq!(target.json(&["search", "victim"]).as_array().unwrap().len(), 1, "{part}");
    }
}

/// The file of the highest version.
fn newest(world: &World, part: &str) -> PathBuf {
    let Some(role) = part.strip_prefix('.').filter(|part| part.ends_with(".json")) else {
        return world.registry.catalog_file(part);
    };
    let path = |version: u32| world.registry.catalog_folder().join(format!("metadata/{version}.{role}"));
    (1..100).rev().map(path).find(|path| path.is_file()).expect("a version of the role")
}

#[test]
fn a_root_that_the_old_root_did_not_sign() {
    let (world, _) = with_victim();
    let root = world.publisher.root_file();
    let forged = world.registry.catalog_folder().join("metadata/2.root.json");
    std::fs::write(
        &forged,
        std::fs::read_to_string(&root).unwrap().replace("\"version\":1", "\"version\":2"),
    )
    .unwrap();
    let line = world.target.refuses(SIGNATURE, &["update"]);
    assert!(line.contains("root"), "{line}");
    std::fs::remove_file(&forged).unwrap();
    world.target.pkg(&["update"]).ok();
}

#[test]
fn metadata_that_is_no_json_or_of_another_role() {
    let (world, _) = with_victim();
    let timestamp = newest(&world, "metadata/timestamp.json");
    let snapshot = std::fs::read(newest(&world, ".snapshot.json")).unwrap();
    let contents: [&[u8]; 4] = [b"", b"{", b"\xff\xfe", &snapshot];
    for content in contents {
        let damage = Tampered::with(&timestamp, |bytes| *bytes = content.to_vec());
        let line = world.target.refuses(SIGNATURE, &["update"]);
        assert!(line.contains("timestamp"), "{line}");
        damage.repair();
    }
    world.target.pkg(&["update"]).ok();
}

#[test]
fn the_wrong_root() {
    let world = World::new();
    let others = World::new();
    let add = |root: &str| {
        let target = Target::new();
        let line = target.refuses(SIGNATURE, &["repo", "add", &world.catalog(), "--root", root]);
        assert!(!target.store().exists(), "a store was made for a root that was refused");
        line
    };
    let line = add(others.publisher.root_sha256());
    assert!(line.contains("not trusted") && line.contains(world.publisher.root_sha256()), "{line}");
    // Another's root is a good root, but then nothing of this catalog is signed by it.
    let target = Target::new();
    target.trust(&world.catalog(), Target::text_of(&others.publisher.root_file()));
    target.refuses(SIGNATURE, &["update"]);
    // A file that is no root.
    let broken = target.beside("root.json");
    let text = std::fs::read_to_string(world.publisher.root_file()).unwrap();
    std::fs::write(&broken, text.replacen("\"expires\":\"2", "\"expires\":\"3", 1)).unwrap();
    add(Target::text_of(&broken));
    std::fs::write(&broken, "hello").unwrap();
    add(Target::text_of(&broken));
    // A file that is not there.
    target.refuses(3, &["repo", "add", &world.catalog(), "--root", "/nowhere/root.json"]);
    // The right one.
    let target = Target::new();
    target.trust(&world.catalog(), &world.publisher.root_sha256().to_uppercase());
    target.pkg(&["update"]).ok();
}

#[test]
fn a_stored_chunk_that_rotted() {
    let (world, _) = with_victim();
    let target = &world.target;
    target.pkg(&["install", "victim"]).ok();
    // Somewhere in the middle of the large file's chunks, which lie one after the other in the store.
    let large = noise(1, 3_000_000);
    let at = find(&target.store(), &large[1_500_000..1_500_064]);
    let repair = flip_in_place(&target.store(), at);
    let before = target.state();
    let ended = target.pkg(&["cat", "/usr/lib/large"]);
    assert!(
        large.starts_with(&ended.stdout) && ended.stdout.len() < large.len(),
        "wrong bytes were given out"
    );
    let line = ended.refused(7);
    assert!(line.contains("/usr/lib/large"), "{line}");
    assert_eq!(target.state(), before);
    repair();
    assert_eq!(target.cat("/usr/lib/large"), large);
}

/// Where `part` lies in the first 16 MiB of a file, which is much longer and mostly a hole.
fn find(path: &Path, part: &[u8]) -> u64 {
    let mut bytes = Vec::new();
    std::fs::File::open(path).unwrap().take(16 << 20).read_to_end(&mut bytes).unwrap();
    bytes.windows(part.len()).position(|window| window == part).expect("noise is stored as it is") as u64
}

/// Turns a bit of a large file without reading it whole; the value given back turns it again.
fn flip_in_place(path: &Path, offset: u64) -> impl FnOnce() + use<> {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let turn = move || {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    };
    turn();
    turn
}
