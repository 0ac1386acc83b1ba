//! `plyos push`: uploading side by side with the build over a network that breaks and registries that want it otherwise, the frame
//! cache, and the gzip form up to an installation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::programs::{Running, built, command, wait_for};
use plyos_test_system::proxy::{Fault, Proxy, Rule};
use plyos_test_system::publisher::Layer;
use plyos_test_system::registry::Registry;
use plyos_test_system::trees::{Tree, noise, prose};
use plyos_test_system::world::World;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const FAILURE: i32 = 1;
const NETWORK: i32 = 8;

/// A registry behind a proxy, and a publisher's home.
struct Bench {
    registry: Registry,
    proxy: Proxy,
    home: TempDir,
}

impl Bench {
    fn new() -> Self {
        let registry = Registry::start();
        let proxy = Proxy::to(registry.address());
        Self { registry, proxy, home: TempDir::with_prefix("plyos-push-").unwrap() }
    }

    /// `plyos push` of a tree through the proxy.
    fn push(&self, tree: &Path, tag: &str, more: &[&str]) -> Command {
        let mut push = command(built("plyos"), self.home.path());
        push.args(["--json", "push"]).arg(tree).arg(format!("{}/site:{tag}", self.proxy.address()));
        push.args(["--kind", "site", "--name", "site", "--version", tag, "--level", "5"]).args(more);
        push
    }

    fn pushed(&self, tree: &Tree, tag: &str, more: &[&str]) -> Value {
        Running::start(&mut self.push(tree.path(), tag, more)).end().json()
    }

    fn refused(&self, tree: &Path, code: i32) -> String {
        Running::start(&mut self.push(tree, "refused", &[])).end().refused(code)
    }

    /// What the blob must be, whatever the way it goes; another registry is asked.
    fn expected(&self, tree: &Tree, tag: &str) -> Value {
        let other = Self::new();
        other.pushed(tree, tag, &["--no-cache"])["blob"].clone()
    }

    /// The stored blob, looked at past the proxy.
    fn has(&self, blob: &Value) -> bool {
        self.registry.stored().recipe(blob.as_str().unwrap()).is_file()
    }

    /// Upload sessions that the registry still knows.
    fn sessions(&self) -> usize {
        let blobs = self.registry.stored().recipe("any");
        fs::read_dir(blobs.ancestors().nth(3).unwrap().join("uploads")).unwrap().count()
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join(".cache/plyos/frames")
    }
}

/// Some megabytes, half of which compress.
fn tree() -> Tree {
    Tree::new()
        .file("index.html", prose(1, 100))
        .file("data", noise(1, 3_000_000))
        .file("words", prose(2, 60_000))
        .file("small/a", noise(2, 3_000))
}

#[test]
fn the_layer_goes_while_it_is_built() {
    let bench = Bench::new();
    let tree = tree();
    let facts = bench.pushed(&tree, "1", &[]);
    assert!(bench.has(&facts["blob"]));
    assert_eq!(facts["bytes"]["sent"], facts["bytes"]["blob"]);
    let methods: Vec<_> = bench.proxy.take_carried().into_iter().map(|carried| carried.method).collect();
    assert_eq!(methods.iter().filter(|method| *method == "PATCH").count(), 1, "{methods:?}");
    // Again under another name: nothing is stored, and no session is left.
    let again = bench.pushed(&tree, "1", &[]);
    assert_eq!((&again["blob"], &again["bytes"]["sent"]), (&facts["blob"], &0.into()));
    assert_eq!(bench.sessions(), 0);
}

#[test]
fn ways_that_break_and_are_mended() {
    let patch = |fault| Rule::on("/blobs/uploads/", fault).method("PATCH").times(1);
    for (what, rule) in [
        ("a connection that breaks in the body", patch(Fault::CutRequest(700_000))),
        ("a connection that breaks at once", patch(Fault::Silent)),
        ("a registry that has no PATCH", patch(Fault::Status(404))),
        ("a registry that allows no PATCH", patch(Fault::Status(405))),
        ("a registry that wants ranges", patch(Fault::Status(416))),
        ("a registry that fails", patch(Fault::Status(500))),
        (
            "a registry that fails twice at the end",
            Rule::on("?digest=", Fault::Status(500)).method("PUT").times(2),
        ),
    ] {
        println!("{what}");
        let bench = Bench::new();
        let tree = tree();
        bench.proxy.add(rule);
        let facts = bench.pushed(&tree, "1", &[]);
        assert_eq!(facts["blob"], bench.expected(&tree, "1"), "{what}");
        assert!(bench.has(&facts["blob"]), "{what}");
        assert_eq!(bench.sessions(), 0, "{what}: sessions are left");
    }
}

#[test]
fn a_file_that_breaks_on_its_way_is_sent_again() {
    let bench = Bench::new();
    let tree = tree();
    bench.proxy.add(Rule::on("/blobs/uploads/", Fault::Status(405)).method("PATCH"));
    bench.proxy.add(Rule::on("?digest=", Fault::CutRequest(500_000)).method("PUT").times(1));
    let facts = bench.pushed(&tree, "1", &[]);
    assert!(bench.has(&facts["blob"]));
}

#[test]
fn ways_that_stay_broken() {
    let uploads = |fault| Rule::on("/blobs/uploads/", fault);
    for (what, rules) in [
        ("no session", vec![uploads(Fault::Status(500)).method("POST")]),
        ("no answer", vec![Rule::on("/", Fault::Silent)]),
        ("no end", vec![Rule::on("?digest=", Fault::Status(500)).method("PUT")]),
        ("forbidden", vec![uploads(Fault::Status(403)).method("PATCH")]),
        (
            "every body breaks",
            vec![
                uploads(Fault::CutRequest(600_000)).method("PATCH"),
                uploads(Fault::CutRequest(600_000)).method("PUT"),
            ],
        ),
        ("no manifest", vec![Rule::on("/manifests/", Fault::Status(500)).method("PUT")]),
    ] {
        println!("{what}");
        let bench = Bench::new();
        let tree = tree();
        for rule in rules {
            bench.proxy.add(rule);
        }
        let line = bench.refused(tree.path(), NETWORK);
        assert!(line.contains("127.0.0.1"), "{what}: {line}");
        bench.proxy.heal();
        let facts = bench.pushed(&tree, "1", &[]);
        assert!(bench.has(&facts["blob"]), "{what}");
    }
}

/// Files of sysfs state 4,096 bytes and have fewer.
#[test]
fn a_tree_that_cannot_be_read_cancels_the_upload() {
    let bench = Bench::new();
    let line = bench.refused(Path::new("/sys/devices/virtual/net/lo/statistics"), FAILURE);
    assert!(line.contains("changed while it was read"), "{line}");
    let carried = bench.proxy.take_carried();
    assert!(carried.iter().any(|carried| carried.method == "DELETE" && carried.status == 204), "{carried:?}");
    assert_eq!(bench.sessions(), 0);
}

#[test]
fn a_second_version_takes_frames_from_the_cache() {
    let bench = Bench::new();
    let first = bench.pushed(&tree(), "1", &[]);
    assert_eq!(first["frames"]["cached"], 0);
    let tree = tree().file("small/b", "new");
    let second = bench.pushed(&tree, "2", &[]);
    let (cached, made) =
        (second["frames"]["cached"].as_u64().unwrap(), second["frames"]["made"].as_u64().unwrap());
    assert!(cached > 2 * made, "{second}");
    assert_eq!(second["blob"], bench.expected(&tree, "2"));

    let plyos = |args: &[&str]| {
        Running::start(command(built("plyos"), bench.home.path()).args(["--json", "cache"]).args(args))
            .end()
            .json()
    };
    assert!(plyos(&["show"])["frames"].as_u64().unwrap() >= cached);
    assert_eq!(plyos(&["trim", "--cache-size", "0"])["bytes"], 0);
    assert_eq!(plyos(&["clear"])["frames"], 0);
    assert!(!bench.cache().exists());
}

#[test]
fn a_damaged_cache_changes_nothing() {
    let bench = Bench::new();
    let tree = tree();
    let first = bench.pushed(&tree, "1", &[]);
    for entry in fs::read_dir(bench.cache()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let every = bytes.iter_mut().skip(500).step_by(1000);
        every.for_each(|byte| *byte ^= 0x10);
        fs::write(&path, bytes).unwrap();
    }
    fs::remove_file(bench.registry.stored().recipe(first["blob"].as_str().unwrap())).unwrap();
    let again = bench.pushed(&tree, "1", &[]);
    assert_eq!(again["blob"], first["blob"]);
    let stored = bench.registry.stored().read(again["blob"].as_str().unwrap());
    assert_eq!(stored.len() as u64, again["bytes"]["blob"].as_u64().unwrap());
}

#[test]
fn a_cache_that_is_deleted_in_the_middle_changes_nothing() {
    let bench = Bench::new();
    let tree = tree();
    let first = bench.pushed(&tree, "1", &[]);
    let large = tree.file("larger", prose(3, 400_000));
    // Held at its first request, when the cache is open.
    bench.proxy.add(Rule::on("/blobs/uploads/", Fault::Slow(1, 500)).method("POST").times(1));
    let pushing = Running::start(&mut bench.push(large.path(), "2", &[]));
    wait_for("the upload to begin", || (bench.proxy.carried_so_far("/v2/") > 0).then_some(()));
    fs::remove_dir_all(bench.cache()).unwrap();
    let facts = pushing.end().json();
    assert_eq!(facts["blob"], bench.expected(&large, "2"));
    assert_ne!(facts["blob"], first["blob"]);
}

#[test]
fn two_pushes_share_a_cache() {
    let bench = Bench::new();
    let (one, other) = (tree().file("own", prose(7, 9_000)), tree().file("own", prose(8, 9_000)));
    let pushing = [(&one, "1"), (&other, "2")]
        .map(|(tree, tag)| Running::start(&mut bench.push(tree.path(), tag, &[])));
    let [one_facts, other_facts] = pushing.map(|pushing| pushing.end().json());
    assert_eq!(one_facts["blob"], bench.expected(&one, "1"));
    assert_eq!(other_facts["blob"], bench.expected(&other, "2"));
    let again = bench.pushed(&one, "3", &[]);
    assert!(
        again["frames"]["cached"].as_u64().unwrap() > 2 * again["frames"]["made"].as_u64().unwrap(),
        "{again}"
    );
}

#[test]
fn the_gzip_form_is_installed_and_upgraded_by_ranges() {
    let world = World::new();
    let text = prose(5, 40_000);
    let old = Tree::new().file("usr/large", noise(1, 2_000_000)).file("usr/text", &text);
    let pushed = world.offer(&old, &Layer::package("gzipped", "1").flag("--gzip"));
    assert!(pushed.text("blob").starts_with("sha256:"));
    let installed = world.target.json(&["install", "gzipped"]);
    assert!(installed["downloaded_bytes"].as_u64().unwrap() > 2_000_000);
    assert_eq!(world.target.cat("/usr/large"), noise(1, 2_000_000));
    assert_eq!(world.target.cat("/usr/text"), text);
    world.target.pkg(&["verify"]).ok();

    // The next version in zstd form: what came as gzip is not fetched again.
    let new =
        Tree::new().file("usr/large", noise(1, 2_000_000)).file("usr/text", &text).file("usr/more", "more");
    world.offer(&new, &Layer::package("gzipped", "2"));
    let upgraded = world.target.json(&["upgrade"]);
    assert!(upgraded["downloaded_bytes"].as_u64().unwrap() < 400_000, "{upgraded}");
    assert_eq!(world.target.cat("/usr/more"), b"more");

    // And the same tree in both forms is one layer.
    let again = world.push(&old, &Layer::package("gzipped", "1"));
    assert_eq!(again.text("layer"), pushed.text("layer"));
    assert_ne!(again.text("blob"), pushed.text("blob"));
    let inspected = world.publisher.plyos(["inspect", &pushed.place]).ok().text();
    assert!(inspected.contains("gzipped"), "{inspected}");
}
