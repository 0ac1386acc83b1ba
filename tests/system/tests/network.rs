//! A network that breaks, lies or is not there: 8 (5 where bytes were falsified), nothing changes, and a retry completes
//! without fetching again what is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::run;
use plyos_test_system::proxy::{Carried, Fault, Rule};
use plyos_test_system::publisher::Layer;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use plyos_test_system::world::World;

const NOT_FOUND: i32 = 3;
const SIGNATURE: i32 = 5;
const NETWORK: i32 = 8;

/// Requests of an installation for blobs before the first range of chunks: index and frame table.
const TABLES: usize = 2;
/// The longest range that is asked for at once, but for the chunk it ends in.
const REQUEST: usize = 4 << 20;
/// Requests that run side by side.
const PARALLEL: usize = 6;
/// More than any frame takes: what a lost request may have brought in vain.
const FRAME: u64 = 300 << 10;

fn with_victim(bytes: usize) -> World {
    let world = World::new();
    world.offer(&Tree::new().file("usr/large", noise(1, bytes)), &Layer::package("victim", "1"));
    world
}

#[test]
fn no_registry() {
    let mut world = with_victim(100_000);
    let root = world.publisher.root_sha256().to_owned();
    // Nobody listens at port 1; one that was free a moment ago may be another test's by now.
    let line =
        Target::new().refuses(NETWORK, &["repo", "add", "http://127.0.0.1:1/catalog/main", "--root", &root]);
    assert!(line.contains("127.0.0.1:1"), "{line}");

    world.registry.stop();
    for args in [&["update"][..], &["install", "victim"]] {
        let line = world.target.refuses(NETWORK, args);
        assert!(line.contains("check the address and the network"), "{line}");
    }
    // What needs no network works.
    assert_eq!(world.target.cat("/etc/witness"), b"the base's own words\n");
    assert_eq!(world.target.json(&["search", "victim"]).as_array().unwrap().len(), 1);
    world.target.pkg(&["install", "plain"]).ok();
    world.publisher.plyos(["inspect", &world.registry.place("package/victim", "1")]).refused(NETWORK);

    world.registry.restart();
    world.proxy.redirect(world.registry.address());
    world.target.pkg(&["update"]).ok();
    world.target.pkg(&["install", "victim"]).ok();
}

#[test]
fn answers_that_are_wrong() {
    let world = with_victim(1_000_000);
    let blobs = |fault| Rule::on("/blobs/sha256/", fault);
    let cases = [
        ("index that is cut off", NETWORK, blobs(Fault::CutAfter(0))),
        ("index that is too short", NETWORK, blobs(Fault::Short(1))),
        (
            "index that is compressed on the way",
            NETWORK,
            blobs(Fault::Header("content-encoding", "gzip".into())),
        ),
        (
            "range that is said to be another",
            NETWORK,
            blobs(Fault::Header("content-range", "bytes 0-0/7".into())),
        ),
        ("server that is busy for an hour", NETWORK, blobs(Fault::Busy(3600))),
        ("server that is always busy", NETWORK, blobs(Fault::Busy(0))),
        ("redirect in a circle", NETWORK, blobs(Fault::Redirect("/catalog/main/blobs/sha256/0".into()))),
        ("redirect to plain HTTP elsewhere", NETWORK, blobs(Fault::Redirect("http://192.0.2.1/".into()))),
        ("index of another place", NETWORK, blobs(Fault::OtherRange(1)).times(1)),
        (
            "index of another place that is said to be the right one",
            SIGNATURE,
            blobs(Fault::LyingRange(1)).times(1),
        ),
        ("chunks that are cut off", NETWORK, blobs(Fault::CutAfter(0)).after(TABLES)),
        (
            "chunks that are compressed",
            NETWORK,
            blobs(Fault::Header("content-encoding", "br".into())).after(TABLES),
        ),
        ("chunks that are too short", NETWORK, blobs(Fault::Short(1)).after(TABLES)),
        ("chunks of another place", NETWORK, blobs(Fault::OtherRange(1)).after(TABLES)),
        (
            "chunks of another place that are said to be the right ones",
            SIGNATURE,
            blobs(Fault::LyingRange(1)).after(TABLES),
        ),
        ("one bit of a chunk on the way", SIGNATURE, blobs(Fault::Flip(70_000)).after(TABLES)),
        ("one bit of the index on the way", SIGNATURE, blobs(Fault::Flip(20)).times(1)),
        ("nothing but a body without end", SIGNATURE, blobs(Fault::Endless).times(1)),
        ("no answer at all", NETWORK, blobs(Fault::Silent)),
        ("server that is broken", NETWORK, blobs(Fault::Status(500))),
        ("server that refuses", NETWORK, blobs(Fault::Status(403))),
        ("blob that is not there", NOT_FOUND, blobs(Fault::Status(404))),
        ("manifest that is not there", NOT_FOUND, Rule::on("/targets/", Fault::Status(404))),
        ("manifest that is cut off", NETWORK, Rule::on("/targets/", Fault::CutAfter(100))),
        ("manifest without end", SIGNATURE, Rule::on("/targets/", Fault::Endless)),
    ];
    for (what, code, rule) in cases {
        // A new one each time: what came in spite of a fault is kept.
        let target = world.another_target();
        target.pkg(&["update"]).ok();
        world.proxy.add(rule);
        println!("{what}");
        let line = target.refuses(code, &["install", "victim"]);
        assert!(line.contains("victim") || line.contains("/catalog/main"), "{what}: {line}");
        world.proxy.heal();
    }
    world.target.pkg(&["install", "victim"]).ok();
    assert_eq!(world.target.cat("/usr/large"), noise(1, 1_000_000));
}

#[test]
fn answers_that_are_odd_but_will_do() {
    let blobs = |fault| Rule::on("/blobs/sha256/", fault);
    for (what, rule) in [
        ("a server that knows no ranges", blobs(Fault::IgnoreRange)),
        ("a server that fails once", blobs(Fault::Status(503)).times(1)),
        ("a server that is busy for a second", blobs(Fault::Busy(1)).after(TABLES).times(1)),
        ("an index that is cut off", blobs(Fault::CutAfter(40)).times(1)),
        ("a server that breaks each answer after a while", blobs(Fault::CutAfter(100_000)).after(TABLES)),
        ("an answer that hangs in the middle", blobs(Fault::Hang(70_000)).after(TABLES).times(1)),
        ("a server that closes the connection once", blobs(Fault::Silent).times(1)),
        ("a range that goes on after its end", blobs(Fault::Long(1_000)).after(TABLES)),
    ] {
        let world = with_victim(1_000_000);
        world.proxy.add(rule);
        println!("{what}");
        let mut install = world.target.command(&["install", "victim"]);
        run(install.env("PLYOS_STALL_SECONDS", "2")).ok();
        assert_eq!(world.target.cat("/usr/large"), noise(1, 1_000_000), "{what}");
    }
}

#[test]
fn updates_that_break() {
    let world = World::new();
    for (what, code, rule) in [
        ("timestamp that is cut off", NETWORK, Rule::on("timestamp.json", Fault::CutAfter(50))),
        ("timestamp without end", SIGNATURE, Rule::on("timestamp.json", Fault::Endless)),
        (
            "timestamp that is longer than a timestamp may be",
            SIGNATURE,
            Rule::on("timestamp.json", Fault::Long(20_000)),
        ),
        (
            "snapshot that is longer than the timestamp says",
            SIGNATURE,
            Rule::on("snapshot.json", Fault::Long(1)),
        ),
        (
            "snapshot that is shorter than the timestamp says",
            SIGNATURE,
            Rule::on("snapshot.json", Fault::Short(1)),
        ),
        ("targets that are not there", NOT_FOUND, Rule::on(".targets.json", Fault::Status(404))),
        ("targets that end in the middle", NETWORK, Rule::on(".targets.json", Fault::CutAfter(200))),
        ("role without end", SIGNATURE, Rule::on(".base.json", Fault::Endless)),
        ("keyring that is cut off", NETWORK, Rule::on(".keyring", Fault::CutAfter(10))),
        ("keyring without end", SIGNATURE, Rule::on(".keyring", Fault::Endless)),
        ("server that is broken", NETWORK, Rule::on("root.json", Fault::Status(500))),
    ] {
        let target = world.another_target();
        world.proxy.add(rule);
        println!("{what}");
        target.refuses(code, &["update"]);
        world.proxy.heal();
        target.pkg(&["update"]).ok();
        target.pkg(&["install", "plain"]).ok();
    }
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let world = with_victim(1_000_000);
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::Hang(0)).after(TABLES));
    let before = world.target.state();
    let mut install = world.target.command(&["install", "victim"]);
    let line = run(install.env("PLYOS_STALL_SECONDS", "1")).refused(NETWORK);
    assert!(line.contains("timed out"), "{line}");
    assert_eq!(world.target.state(), before);
}

#[test]
fn download_that_breaks_goes_on_where_it_stopped() {
    let length = 9 * REQUEST;
    let world = with_victim(length);
    let target = &world.target;
    // Three ranges come; of the fourth a part; then nothing any more.
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::CutAfter(1 << 20)).after(TABLES + 3).times(1));
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::Silent));
    world.proxy.take_carried();
    target.refuses(NETWORK, &["install", "victim"]);
    let first = world.proxy.take_carried();
    assert_eq!(first.iter().filter(|carried| cut(carried) && carried.bytes > 0).count(), 1);
    world.proxy.heal();

    let retry = target.json(&["install", "victim"]);
    let second = world.proxy.take_carried();
    assert_eq!(target.cat("/usr/large"), noise(1, length));
    // What came whole, before or after what broke, is not asked for again.
    let whole: Vec<_> = first.iter().filter(|carried| !cut(carried)).cloned().collect();
    assert!(data_ranges(&whole).len() >= 3);
    for (start, end) in data_ranges(&whole) {
        let again = data_ranges(&second).into_iter().find(|range| range.0 <= end && start <= range.1);
        assert_eq!(again, None, "{start}-{end} was fetched twice");
    }
    // Nor is what came of the rest, but the frame in which it broke.
    let downloaded = retry["downloaded_bytes"].as_u64().unwrap();
    assert_eq!(downloaded, second.iter().map(|carried| carried.bytes).sum::<u64>());
    let came: u64 = first.iter().map(|carried| carried.bytes).sum();
    assert!(came > 13 << 20, "{came}");
    assert!(came + downloaded < length as u64 + FRAME, "{came} came, then {downloaded} of {length}");

    // A third time nothing is fetched: it is there.
    target.pkg(&["remove", "victim"]).ok();
    let again = target.json(&["install", "victim"]);
    assert!(again["downloaded_bytes"].as_u64().unwrap() < 100_000, "{again}");
}

#[test]
fn a_connection_that_breaks_goes_on_at_the_next_byte() {
    let length = 3 * REQUEST;
    let world = with_victim(length);
    world.proxy.take_carried();
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::CutAfter(1_000_000)).after(TABLES));
    let moved = world.target.json(&["install", "victim"])["downloaded_bytes"].as_u64().unwrap();
    let carried = world.proxy.take_carried();
    assert!(carried.iter().filter(|carried| cut(carried)).count() >= 9);
    assert_eq!(moved, carried.iter().map(|carried| carried.bytes).sum::<u64>());
    assert!(moved < length as u64 + 100_000, "{moved} for {length}: something came twice");
    assert_eq!(world.target.cat("/usr/large"), noise(1, length));
}

#[test]
fn a_server_that_knows_no_ranges_is_read_once_for_all_chunks() {
    let length = 6 * REQUEST;
    let world = with_victim(length);
    world.proxy.take_carried();
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::IgnoreRange));
    world.target.pkg(&["install", "victim"]).ok();
    let carried = world.proxy.take_carried();
    let asked = carried.iter().filter(|carried| carried.path.contains("/blobs/")).count();
    // Index, table, and the requests that were under way when the first answer told.
    assert!(asked <= TABLES + PARALLEL, "{asked} requests");
    assert_eq!(world.target.cat("/usr/large"), noise(1, length));
}

#[test]
fn layers_that_came_whole_are_kept_when_a_later_one_breaks() {
    let world = World::new();
    let length = 2 * REQUEST;
    world.release(&Tree::new().file("usr/first", noise(1, length)), &Layer::package("first", "1"));
    let second =
        world.offer(&Tree::new().file("usr/second", noise(2, 100_000)), &Layer::package("second", "1"));
    let blob = second.text("blob").trim_start_matches("sha256:");
    world.proxy.add(Rule::on(blob, Fault::Silent).after(TABLES));
    world.target.refuses(NETWORK, &["install", "first", "second"]);
    world.proxy.heal();
    let retry = world.target.json(&["install", "first", "second"]);
    let downloaded = retry["downloaded_bytes"].as_u64().unwrap();
    assert!(downloaded < 200_000, "the retry fetched {downloaded} bytes");
    assert_eq!(world.target.cat("/usr/first"), noise(1, length));
}

#[test]
fn tampered_chunk_in_the_middle_keeps_the_good_ones_before_it() {
    let length = 5 * REQUEST;
    let world = with_victim(length);
    world.proxy.add(Rule::on("/blobs/sha256/", Fault::Flip(3 << 20)).after(TABLES + 2).times(1));
    world.target.refuses(SIGNATURE, &["install", "victim"]);
    let retry = world.target.json(&["install", "victim"]);
    let downloaded = retry["downloaded_bytes"].as_u64().unwrap();
    assert!(downloaded < (length - (2 << 20)) as u64, "the retry fetched {downloaded} of {length} bytes");
    assert_eq!(world.target.cat("/usr/large"), noise(1, length));
}

/// Whether less came than was asked for.
fn cut(carried: &Carried) -> bool {
    carried.range.is_some_and(|(first, last)| carried.bytes < last + 1 - first)
}

/// The ranges of chunks among what was asked for.
fn data_ranges(carried: &[Carried]) -> Vec<(u64, u64)> {
    carried
        .iter()
        .filter_map(|carried| carried.range)
        .filter(|(first, last)| last - first > 1 << 20)
        .collect()
}
