//! Layers of a publisher whose keys are good and whose intentions are not: every hash and signature is right, and one
//! rule is broken. `pkg install` refuses with 5 and one line, and nothing changes; what only other tools would see is refused by
//! `plyos publish` and `pkg verify`. The table of all attacks is docs/layers-attacks.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_layer_format::annotations::IndexPlace;
use plyos_test_system::forge::{DATA_OFFSET, Forged, LINK, MODE, SIZE, TYPE};
use plyos_test_system::programs::run;
use plyos_test_system::publisher::{Layer, Pushed};
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;
use std::fs;

const SIGNATURE: i32 = 5;
const NAME: &str = "victim";
/// Longer than the ustar header's name field, so its name stands in a pax record.
const LONG: &str = "q-a-name-that-is-longer-than-the-one-hundred-bytes-which-the-name-field-of-a-ustar-header-can-hold-at-all";

/// What is done to a layer, and a few words of the line that refuses it.
type Attack = (&'static str, fn(&mut Forged), &'static str);

/// A site in which each attack finds an entry of its own. No two share their first letter but those that belong together.
fn tree() -> Tree {
    let tree = Tree::new()
        .file("0-absolute", "0")
        .file("a-dup", "a")
        .file("a-duq", "b")
        .file("b-dots/nm", "b")
        .file("c-slashXf", "c")
        .file("d-nulXf", "d")
        .file("e-tail", "the end of a content\n")
        .file("f-file", noise(1, 600))
        .hard_link("f-hard", "f-file")
        .link("g-la", "/etc")
        .file("g-laXfile", "g")
        .link("h-lb", "/etc")
        .hard_link("h-lbXhard", "f-file")
        .link("i-lc", "/etc")
        .link("i-lcXlink", "passwd")
        .link("j-ld", "/etc")
        .file("j-ldX.whXa", "j")
        .file("l-dir/.whXgone", "l")
        .file("m-one", noise(2, 200_000))
        .file("m-two", noise(3, 600))
        .file("o-tool", "#!/bin/true\n")
        .file(LONG, "q");
    run(plyos_test_system::programs::command("mkfifo", tree.path()).arg(tree.at("n-fifo"))).ok();
    tree
}

fn world() -> (World, Pushed) {
    let world = World::new();
    let pushed = world.push(&tree(), &Layer::new("site", NAME, "1"));
    (world, pushed)
}

/// Offers the forged layer and lets the target know.
fn offer(world: &World, pushed: &Pushed, forge: fn(&mut Forged)) {
    let mut forged = Forged::of(&world.registry, pushed);
    forge(&mut forged);
    forged.offer(&world.publisher, &world.registry);
    world.target.pkg(&["update"]).ok();
}

fn refused(attacks: &[Attack]) {
    let (world, pushed) = world();
    for (name, forge, says) in attacks {
        offer(&world, &pushed, *forge);
        let line = world.target.refuses(SIGNATURE, &["install", NAME]);
        assert!(line.contains(NAME) && line.contains(says), "{name}: {line}");
    }
    // The layer as it was: nothing of the above has stuck.
    offer(&world, &pushed, |_| {});
    world.target.pkg(&["install", NAME]).ok();
    assert_eq!(world.target.cat("/www/victim/m-one"), noise(2, 200_000));
    world.target.pkg(&["verify"]).ok();
}

#[test]
fn names_that_leave_the_tree_or_mislead() {
    refused(&[
        ("dot-dot", |it| it.rename("b-dots/nm", b"b-dots/.."), "a component"),
        ("absolute", |it| it.rename("0-absolute", b"/-absolute"), "empty component"),
        ("name-with-nul", |it| it.rename("d-nulXf", b"d-nul\0f"), "NUL"),
        ("name-with-slash", |it| it.rename("c-slashXf", b"c-slash/f"), "parent"),
        ("whiteout", |it| it.rename("l-dir/.whXgone", b"l-dir/.wh.gone"), ".wh."),
        ("duplicate-entry", |it| it.rename("a-duq", b"a-dup"), "shorter than what the paths share"),
        ("unsorted-entries", |it| it.rename("c-slashXf", b"a-slashXf"), "sorted"),
    ]);
}

#[test]
fn links_that_leave_the_tree() {
    refused(&[
        ("link-ancestor-of-a-file", |it| it.rename("g-laXfile", b"g-la/file"), "parent"),
        ("link-ancestor-of-a-hard-link", |it| it.rename("h-lbXhard", b"h-lb/hard"), "parent"),
        ("link-ancestor-of-a-link", |it| it.rename("i-lcXlink", b"i-lc/link"), "parent"),
        ("link-ancestor-of-a-whiteout", |it| it.rename("j-ldX.whXa", b"j-ld/.wh.a"), "j-ld"),
        ("hard-link-onto-itself", |it| it.field("f-hard", LINK, |_| 0), "a field does not fit its type"),
        ("hard-link-out-of-the-tree", |it| it.field("f-hard", LINK, |_| u64::from(u32::MAX)), "f-hard"),
        ("hard-link-to-a-directory", |it| it.field("f-hard", LINK, |_| 6), "hard link"),
    ]);
}

#[test]
fn sizes_and_places_that_lie() {
    refused(&[
        ("negative-size", |it| it.field("m-one", SIZE, |_| u64::MAX), "content lies elsewhere"),
        ("huge-size", |it| it.field("m-one", SIZE, |_| 1 << 40), "content lies elsewhere"),
        (
            "overlapping-slices",
            |it| it.field("m-two", DATA_OFFSET, |at| at - 1_536),
            "content lies elsewhere",
        ),
        (
            "slice-outside-the-stream",
            |it| it.field("m-two", DATA_OFFSET, |_| 1 << 40),
            "content lies elsewhere",
        ),
        (
            "directory-with-its-neighbours",
            |it| it.field("b-dots", SIZE, |below| below + 1),
            "count of entries",
        ),
    ]);
}

#[test]
fn powers_that_a_site_cannot_have() {
    refused(&[
        ("setuid-where-the-kind-forbids-it", |it| it.field("o-tool", MODE, |mode| mode | 0o4000), "set-id"),
        ("setgid-where-the-kind-forbids-it", |it| it.field("o-tool", MODE, |mode| mode | 0o2000), "set-id"),
        ("device-node", |it| it.field("n-fifo", TYPE, |_| 5), "device nodes"),
    ]);
}

#[test]
fn blobs_that_are_bombs_or_somebody_elses() {
    refused(&[
        (
            "frame-that-expands-to-more-than-its-chunk",
            |it| it.frames[0] = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap(),
            "chunk",
        ),
        (
            "frames-in-another-order",
            |it| it.frames[0] = zstd::bulk::compress(b"another", 3).unwrap(),
            "chunk",
        ),
        (
            "index-that-expands-to-more-than-it-states",
            |it| {
                it.stored_index = Some(zstd::bulk::compress(&vec![0; 256 << 20], 3).unwrap());
                it.index_place = Some(|place| IndexPlace { codec: plyos_ids::Codec::Zstd, ..place });
            },
            "index",
        ),
        (
            "index-beyond-the-blob",
            |it| it.index_place = Some(|place| IndexPlace { offset: 1 << 40, ..place }),
            "outside the blob",
        ),
        (
            "frame-table-of-another-layer",
            |it| it.table = Some(|table| table.layer_id = plyos_ids::LayerId::from_bytes([7; 32])),
            "frame table",
        ),
        ("frame-table-too-short", |it| it.table = Some(|table| table.lengths.truncate(2)), "frame table"),
        ("frame-table-that-points-elsewhere", |it| it.table = Some(|table| table.lengths[0] += 1), "chunk"),
    ]);
}

/// Tar headers that say something else than the index: what is mounted is what the index says, and whoever looks at the
/// whole layer refuses it.
#[test]
fn index_and_tar_that_disagree() {
    let attacks: [Attack; 3] = [
        // An anagram: the header's checksum stays right, tar extracts `o-loot`.
        ("other-name-in-tar", |it| it.stream(b"o-tool\0\0", b"o-loot\0\0"), "`/o-tool` (its header"),
        ("pax-and-ustar-disagree", |it| it.stream(b"path=q-a-name", b"path=z-a-name"), "`/q-a-name"),
        (
            "bytes-hidden-in-padding",
            |it| it.stream(b"end of a content\n\0\0\0\0", b"end of a content\nevil"),
            "`/e-tail` (the padding",
        ),
    ];
    for (name, forge, says) in attacks {
        let (world, pushed) = world();
        offer(&world, &pushed, forge);
        world.target.pkg(&["install", NAME]).ok();
        assert_eq!(world.target.cat("/www/victim/o-tool"), b"#!/bin/true\n", "{name}");
        assert_eq!(world.target.cat(&format!("/www/victim/{LONG}")), b"q", "{name}");
        let line = world.target.refuses(SIGNATURE, &["verify"]);
        assert!(line.contains("site/victim 1") && line.contains(says), "{name}: {line}");
        let json = world.target.pkg(&["--json", "verify", NAME]);
        let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!((json.code, &found["clean"]), (Some(SIGNATURE), &false.into()), "{name}");
        assert!(found["disagreements"][0]["why"].as_str().unwrap().contains(says), "{name}: {found}");
        // Nothing is damaged, so there is nothing to repair, and what is read is what the index says.
        world.target.pkg(&["repair"]).ok();
        let out = world.target.beside(name);
        world.target.pkg(&["export", out.to_str().unwrap()]).ok();
        assert_eq!(fs::read(out.join("current/www/victim/o-tool")).unwrap(), b"#!/bin/true\n", "{name}");

        let another = world.push(&tree(), &Layer::new("site", name, "1"));
        let mut forged = Forged::of(&world.registry, &another);
        forge(&mut forged);
        forged.push(&world.registry, &another);
        let workspace = world.publisher.workspace();
        let line = world
            .publisher
            .plyos(["publish", "--repo", workspace.to_str().unwrap(), &another.place])
            .refused(5);
        assert!(line.contains(name) && line.contains(says) && line.contains("nothing was signed"), "{line}");
    }
}
