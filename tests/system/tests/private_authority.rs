//! A registry whose certificate no public authority vouches for: refused until its authority is named, then HTTP/2 all along.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::programs::{Ended, built, command, run};
use plyos_test_system::publisher::{Layer, Publisher};
use plyos_test_system::registry::Registry;
use plyos_test_system::target::Target;
use plyos_test_system::trees::{Tree, noise};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const USAGE: i32 = 2;
const NETWORK: i32 = 8;

/// An authority, and a certificate by it for this machine, as files.
struct Authority {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = TempDir::with_prefix("plyos-authority-").unwrap();
        let own = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&own).unwrap();
        let issuer = Issuer::new(params, own);
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let leaf = names.signed_by(&key, &issuer).unwrap();
        for (name, text) in
            [("ca.pem", authority.pem()), ("leaf.pem", leaf.pem()), ("key.pem", key.serialize_pem())]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Options of a registry that has the certificate and logs every request.
    fn serving(&self) -> Vec<std::ffi::OsString> {
        let [leaf, key] = ["leaf.pem", "key.pem"].map(|name| self.file(name).into());
        ["--tls-certificate".into(), leaf, "--tls-key".into(), key, "--set".into(), "log.level=debug".into()]
            .into()
    }
}

/// A registry with a layer, served over TLS.
struct Private {
    authority: Authority,
    registry: Registry,
    publisher: Publisher,
}

impl Private {
    fn new() -> Self {
        let mut registry = Registry::start();
        let publisher = Publisher::new(&registry);
        let tree = Tree::new().file("usr/large", noise(1, 9_000_000));
        let pushed = publisher.push(&registry, tree.path(), &Layer::package("large", "1"));
        publisher.publish(&[&pushed]);
        let authority = Authority::new();
        registry.restart_with(authority.serving());
        Self { authority, registry, publisher }
    }

    fn url(&self) -> String {
        self.registry.catalog().replacen("http://", "https://", 1)
    }

    fn add(&self, target: &Target, more: &[&str]) -> Ended {
        target.pkg(&[&["repo", "add", &self.url(), "--root", self.publisher.root_sha256()], more].concat())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_target_believes_the_authority_that_it_was_given() {
    let world = Private::new();
    let target = Target::new();
    let line = world.add(&target, &[]).refused(NETWORK);
    assert!(line.contains("--ca FILE"), "{line}");
    let ca = world.authority.file("ca.pem");
    let key = world.authority.file("key.pem");
    // The certificate's own key is no certificate.
    world.add(&target, &["--ca", text(&key)]).refused(USAGE);
    world.add(&target, &["--ca", text(&ca)]).ok();
    // It is in the store, the file is not needed any more.
    fs::rename(&ca, world.authority.file("kept.pem")).unwrap();
    target.pkg(&["update"]).ok();
    target.pkg(&["install", "large"]).ok();
    assert_eq!(target.cat("/usr/large"), noise(1, 9_000_000));
    let log = world.registry.log();
    let blobs: Vec<&str> = log.lines().filter(|line| line.contains("/blobs/sha256/")).collect();
    assert!(blobs.len() >= 4, "{log}");
    assert!(blobs.iter().all(|line| line.contains("HTTP/2.0")), "{blobs:#?}");

    assert_eq!(target.json(&["repo", "show", "main"])["own_ca"], true);
    assert_eq!(target.json(&["repo", "set", "main", "--ca", "none"])["own_ca"], false);
    target.pkg(&["update"]).refused(NETWORK);
    let kept = world.authority.file("kept.pem");
    target.pkg(&["repo", "set", "main", "--ca", text(&kept)]).ok();
    target.pkg(&["update"]).ok();
}

#[test]
fn the_environment_names_one_for_both_programs() {
    let world = Private::new();
    let ca = world.authority.file("ca.pem");
    let target = Target::new();
    let args = ["repo", "add", &world.url(), "--root", world.publisher.root_sha256()];
    run(target.command(&args).env("PLYOS_CA_FILE", &ca)).ok();
    run(target.command(&["update"]).env("PLYOS_CA_FILE", &ca)).ok();
    target.pkg(&["update"]).refused(NETWORK);
    let missing = run(target.command(&["update"]).env("PLYOS_CA_FILE", "/nowhere/ca.pem")).refused(1);
    assert!(missing.contains("PLYOS_CA_FILE"), "{missing}");

    let to = target.beside("public");
    let export = |ca: &str| {
        let mut plyos = command(built("plyos"), world.authority.folder.path());
        plyos.args([
            "export-static",
            text(&to),
            "--from",
            &world.url(),
            "--root",
            world.publisher.root_sha256(),
        ]);
        run(plyos.env("PLYOS_CA_FILE", ca))
    };
    export("").refused(NETWORK);
    export(text(&ca)).ok();
}

#[test]
fn another_authority_is_not_believed() {
    let world = Private::new();
    let other = Authority::new();
    let line = world.add(&Target::new(), &["--ca", text(&other.file("ca.pem"))]).refused(NETWORK);
    assert!(line.contains("certificate"), "{line}");
}
