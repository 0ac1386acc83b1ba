//! Layers in an ordinary registry (Debian's docker-registry) and their catalog on a static web server (nginx): no program of ours serves
//! anything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_storefile::Store;
use plyos_test_system::debian_registry::DebianRegistry;
use plyos_test_system::nginx::Nginx;
use plyos_test_system::proxy::{Carried, Proxy};
use plyos_test_system::publisher::Publisher;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise, prose};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::FileExt;
use tempfile::TempDir;

/// A site of which most stays the same from one version to the next.
fn site(version: u64) -> Tree {
    (0..8)
        .fold(Tree::new(), |tree, n| tree.file(&format!("big/{n}"), noise(n, 300_000)))
        .file("index.html", prose(version, 300))
        .file("changed", noise(100 + version, 200_000))
}

struct Ordinary {
    registry: DebianRegistry,
    /// Between targets and the registry; the catalog names it.
    proxy: Proxy,
    publisher: Publisher,
    folder: TempDir,
}

impl Ordinary {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plyos-ordinary-").unwrap();
        let registry = DebianRegistry::start(folder.path());
        let proxy = Proxy::to(registry.address());
        Self { registry, proxy, publisher: Publisher::at("https://packages.example/catalog/main"), folder }
    }

    fn export(&self) -> String {
        self.folder.path().join("public").to_str().unwrap().to_owned()
    }

    /// Pushes to the registry, signs, and writes the catalog's files. Gives what was said of the push and of the files.
    fn release(&self, version: u64) -> [Value; 2] {
        let (tree, number) = (site(version), version.to_string());
        let place = format!("{}/team/docs:{version}", self.registry.address());
        let push =
            ["--json", "push", tree.path().to_str().unwrap(), &place, "--kind", "site", "--name", "docs"];
        let pushed = self.publisher.plyos([&push[..], &["--version", &number]].concat()).json();
        let workspace = self.publisher.workspace();
        let workspace = workspace.to_str().unwrap();
        let place = format!("{}/team/docs:{version}", self.proxy.address());
        let signed = ["--json", "publish", "--repo", workspace, "--blobs-in-registry", "--no-upload", &place];
        assert_eq!(self.publisher.plyos(signed).json()["catalog"], Value::Null);
        [
            pushed,
            self.publisher.plyos(["--json", "export-static", &self.export(), "--repo", workspace]).json(),
        ]
    }

    fn carried_blobs(&self) -> Vec<Carried> {
        let carried = self.proxy.take_carried();
        carried.into_iter().filter(|carried| carried.path.starts_with("/v2/team/docs/blobs/")).collect()
    }
}

#[test]
fn a_target_lives_from_it() {
    let world = Ordinary::new();
    let [_, files] = world.release(1);
    assert_eq!(files["blobs"], json!({"written": 0, "bytes": 0, "there": 0}));
    assert!(!fs::exists(format!("{}/blobs", world.export())).unwrap());
    let nginx = Nginx::serve(world.export().as_ref());
    let target = Target::new();
    target.trust(&format!("http://{}/catalog/main", nginx.address()), world.publisher.root_sha256());
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "docs"]).ok();
    assert_eq!(target.cat("/www/docs/index.html"), prose(1, 300));

    let [pushed, _] = world.release(2);
    let blob = pushed["bytes"]["blob"].as_u64().unwrap();
    target.pkg(&["update"]).ok();
    world.proxy.take_carried();
    let moved = target.json(&["upgrade"])["downloaded_bytes"].as_u64().unwrap();
    let carried = world.carried_blobs();
    assert!(carried.len() > 1 && carried.iter().all(|carried| carried.status == 206), "{carried:?}");
    let bytes: u64 = carried.iter().map(|carried| carried.bytes).sum();
    assert!(moved >= bytes && moved < blob / 4, "{moved} of {blob}, {bytes} of them from the registry");
    assert_eq!(target.cat("/www/docs/changed"), noise(102, 200_000));
    assert_eq!(target.cat("/www/docs/big/5"), noise(5, 300_000));

    // What is damaged is fetched again from there too.
    let damaged = {
        let store = Store::open(target.store()).unwrap();
        let id = pushed["layer"].as_str().unwrap();
        let entry = *store.layers().find(|entry| entry.id.to_string() == id).unwrap();
        store.layer(&entry.id).unwrap().unwrap().places()[3].unwrap().offset
    };
    let file = fs::OpenOptions::new().read(true).write(true).open(target.store()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, damaged).unwrap();
    file.write_all_at(&[byte[0] ^ 1], damaged).unwrap();
    target.pkg(&["verify"]).refused(5);
    target.pkg(&["repair"]).ok();
    target.pkg(&["verify"]).ok();
    assert!(!world.carried_blobs().is_empty());
}
