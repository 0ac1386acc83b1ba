//! What others make of a layer: GNU tar and zstd read the blob, skopeo copies and inspects the image. Our own reader
//! agreeing with our own writer would prove little.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::inventory;
use plyos_test_system::programs::{Ended, command, run};
use plyos_test_system::publisher::{Layer, Publisher, Pushed};
use plyos_test_system::registry::Registry;
use plyos_test_system::trees::{self, Tree};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The tools, and a folder to work in; `None` when they are missing and that was said to be fine.
fn tools() -> Option<TempDir> {
    let folder = TempDir::with_prefix("plyos-foreign-").unwrap();
    for tool in ["zstd", "tar", "skopeo"] {
        let found =
            run(command("sh", folder.path()).args(["-c", &format!("command -v {tool}")])).code == Some(0);
        if !found && std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|skip| skip == "1") {
            eprintln!("{tool} is missing: skipped");
            return None;
        }
        assert!(found, "{tool} is missing: install it, or set PLYOS_SKIP_FOREIGN=1");
    }
    Some(folder)
}

fn tool(name: &str, folder: &Path, args: &[&str]) -> Ended {
    run(command(name, folder).args(args)).ok()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A real tree of this machine that every Debian has, and not too large a one.
fn real_tree() -> PathBuf {
    let candidates =
        ["/usr/share/zoneinfo", "/usr/lib/python3", "/usr/share/perl5", "/usr/share/doc", "/usr/include"];
    let found = candidates.into_iter().map(PathBuf::from).find(|path| path.is_dir());
    found.expect("one of the trees that every Debian has")
}

/// The layer in an OCI layout as skopeo made it, with its manifest and config.
struct Copied {
    layout: PathBuf,
    digest: String,
    manifest: Value,
    config: Value,
}

impl Copied {
    fn blob(&self, digest: &Value) -> PathBuf {
        self.layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"))
    }

    fn layer(&self) -> PathBuf {
        self.blob(&self.manifest["layers"][0]["digest"])
    }
}

fn copy_with_skopeo(folder: &Path, pushed: &Pushed) -> Copied {
    let layout = folder.join("layout");
    let (from, to) = (format!("docker://{}", pushed.place), format!("oci:{}:copy", layout.display()));
    tool("skopeo", folder, &["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to]);
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(&layout.join("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let mut copied = Copied { layout, digest, manifest: Value::Null, config: Value::Null };
    copied.manifest = read(&copied.blob(&Value::from(copied.digest.as_str())));
    copied.config = read(&copied.blob(&copied.manifest["config"]["digest"]));
    copied
}

/// Pushes the tree, lets skopeo fetch it and tar unpack it, and compares with the source.
fn through_skopeo_zstd_and_tar(source: &Path) {
    let Some(folder) = tools() else { return };
    let folder = folder.path();
    let registry = Registry::start();
    let publisher = Publisher::new(&registry);
    let layer = Layer::new("site", "tree", "1").flag("--allow-setuid").flag("--allow-devices");
    let pushed = publisher.push(&registry, source, &layer);

    let copied = copy_with_skopeo(folder, &pushed);
    assert_eq!(copied.digest, pushed.text("manifest"), "skopeo changed the manifest on the way");
    assert_eq!(copied.manifest["layers"][0]["digest"], pushed.text("blob"));
    let layer = copied.layer();
    assert_eq!(format!("sha256:{}", sha256(&fs::read(&layer).unwrap())), pushed.text("blob"));

    // zstd gives the canonical stream: its hash is the diff id, its length what push said.
    let stream = tool("zstd", folder, &["-dc", layer.to_str().unwrap()]).stdout;
    assert_eq!(copied.config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&stream)));
    assert_eq!(pushed.facts["bytes"]["stream"], stream.len());

    // tar gives the tree.
    let tar = folder.join("stream.tar");
    fs::write(&tar, &stream).unwrap();
    let unpacked = folder.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let (tar, out) = (tar.to_str().unwrap(), unpacked.to_str().unwrap());
    let options =
        ["-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--delay-directory-restore"];
    // POSIX's hdrcharset, which says that a name is not UTF-8, is news to GNU tar; it takes the name all the same.
    let options = [&options[..], &["--warning=no-unknown-keyword"]].concat();
    let ended = tool("tar", folder, &[&options[..], &["-f", tar, "-C", out]].concat());
    assert_eq!(ended.stderr, "", "tar had something to say");
    inventory::assert_equal("tar's tree", &inventory::of(source), &inventory::of(&unpacked));

    // skopeo reads what the image says of itself, and takes the layer out of its compression for others.
    let from = format!("docker://{}", pushed.place);
    let inspected =
        tool("skopeo", folder, &["--insecure-policy", "inspect", "--tls-verify=false", &from]).stdout;
    let inspected: Value = serde_json::from_slice(&inspected).unwrap();
    let (digest, layer) = (&inspected["Digest"], &inspected["Layers"][0]);
    assert_eq!((digest, layer), (&pushed.text("manifest").into(), &pushed.text("blob").into()));
    let to = format!("dir:{}", folder.join("plain").display());
    let options = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-decompress"];
    tool("skopeo", folder, &[&options[..], &[&from, &to]].concat());
    assert_eq!(fs::read(folder.join("plain").join(sha256(&stream))).unwrap(), stream);
}

#[test]
fn a_tree_of_this_machine() {
    through_skopeo_zstd_and_tar(&real_tree());
}

#[test]
fn a_nasty_tree() {
    let tree = trees::nasty_base();
    devices(&tree);
    through_skopeo_zstd_and_tar(tree.path());
}

/// What only some users and machines can make.
fn devices(tree: &Tree) {
    run(command("mkfifo", tree.path()).arg(tree.at("pipe"))).ok();
    if inventory::is_root() {
        // Containers may forbid it to root too.
        let _ = run(command("mknod", tree.path()).arg(tree.at("null")).args(["c", "1", "3"]));
        let _ = run(command("mknod", tree.path()).arg(tree.at("loop")).args(["b", "7", "300"]));
        std::os::unix::fs::lchown(tree.at("dangling"), Some(1234), Some(5678)).unwrap();
        std::os::unix::fs::chown(tree.at("links/first"), Some(3_000_000), Some(4_000_000)).unwrap();
        xattr::set(tree.at("plain"), "trusted.plyos", b"root's").unwrap_or_default();
    }
}

#[test]
fn the_same_tree_pushed_by_skopeo_comes_back_to_us() {
    let Some(folder) = tools() else { return };
    let folder = folder.path();
    let (registry, tree) = (Registry::start(), trees::base());
    let publisher = Publisher::new(&registry);
    let pushed = publisher.push(&registry, tree.path(), &Layer::new("base", "plain", "1"));
    let copied = copy_with_skopeo(folder, &pushed);
    // A mirror: another registry, filled by skopeo, serves the same layer.
    let mirror = Registry::start();
    let place = mirror.place("mirrored/plain", "1");
    let from = format!("oci:{}:copy", copied.layout.display());
    let to = format!("docker://{place}");
    tool("skopeo", folder, &["--insecure-policy", "copy", "--dest-tls-verify=false", &from, &to]);
    let there = publisher.plyos(["--json", "inspect", &place, "--tree", "--chunks"]).json();
    let here = publisher.plyos(["--json", "inspect", &pushed.place, "--tree", "--chunks"]).json();
    for member in ["layer", "manifest", "blob", "tree", "chunk_list"] {
        assert_eq!(there[member], here[member], "{member}");
    }
}
