//! What others made, pushed by the real program: the same tree by each way is the same layer, and what is refused leaves
//! nothing in the registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may panic")]

use plyos_test_system::programs::{Ended, command, run};
use plyos_test_system::publisher::Publisher;
use plyos_test_system::registry::Registry;
use plyos_test_system::trees::{self, Tree};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A registry, and who pushes to it.
struct Shop {
    registry: Registry,
    publisher: Publisher,
    folder: TempDir,
}

impl Shop {
    fn new() -> Self {
        let registry = Registry::start();
        let publisher = Publisher::new(&registry);
        Self { registry, publisher, folder: TempDir::with_prefix("plyos-import-").unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Pushes `source` as `tag`.
    fn push(&self, source: &str, tag: &str, options: &[&str]) -> Ended {
        let place = self.registry.place("imported", tag);
        self.publisher.plyos([&["--json", "import", source, &place], options].concat())
    }

    /// The layer's identity.
    fn layer(&self, source: &str, tag: &str, options: &[&str]) -> String {
        self.push(source, tag, options).json()["layer"].as_str().unwrap().to_owned()
    }

    /// Asserts that `source` is refused with exit code and words, and that nothing is in the registry.
    fn refuses(&self, source: &str, options: &[&str], code: i32, words: &str) {
        let ended = self.push(source, "refused", options);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words:?} in {:?}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        let place = self.registry.place("imported", "refused");
        assert_eq!(self.publisher.plyos(["inspect", &place]).code, Some(3), "something was pushed");
    }
}

const SITE: [&str; 6] = ["--kind", "site", "--name", "tree", "--version", "1"];

fn tool(name: &str, folder: &Path, args: &[&str]) {
    run(command(name, folder).args(args)).ok();
}

#[test]
fn a_directory_its_tar_and_its_image_are_one_layer() {
    if std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|skip| skip == "1") {
        return;
    }
    let shop = Shop::new();
    let tree = trees::nasty();
    let folder = shop.folder.path();
    let source = tree.path().to_str().unwrap();
    for mtime in ["content", "keep"] {
        let options = [&SITE[..], &["--allow-setuid", "--mtime", mtime]].concat();
        let expected = shop.layer(source, "directory", &options);
        let tar = shop.path("tree.tar");
        let pack = [
            "--format=pax",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
            "-C",
            source,
            "-cf",
            &tar,
            ".",
        ];
        tool("tar", folder, &pack);
        assert_eq!(shop.layer(&tar, "tar", &options), expected, "GNU tar, {mtime}");
        tool("bsdtar", folder, &["--format=pax", "-C", source, "-czf", &tar, "."]);
        assert_eq!(shop.layer(&tar, "bsdtar", &options), expected, "bsdtar, {mtime}");

        // Through skopeo into a layout (compressed anew on the way), an archive, and from the registry itself.
        let place = format!("docker://{}", shop.registry.place("imported", "directory"));
        let (layout, archive) = (shop.path(mtime), shop.path(&format!("{mtime}.tar")));
        let copy =
            ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-compress-format", "gzip", &place];
        tool("skopeo", folder, &[&copy[..], &[&format!("oci:{layout}:v1")]].concat());
        tool("skopeo", folder, &[&copy[..], &[&format!("oci-archive:{archive}:v1")]].concat());
        for (tag, source) in [
            ("oci", format!("oci:{layout}:v1")),
            ("archive", format!("oci-archive:{archive}")),
            ("docker", place),
        ] {
            assert_eq!(
                shop.layer(&source, tag, &[&options[..], &["--arch", "amd64"]].concat()),
                expected,
                "{tag}, {mtime}"
            );
        }
    }
}

#[test]
fn a_debian_package_made_by_dpkg_installs() {
    if std::env::var_os("PLYOS_SKIP_FOREIGN").is_some_and(|skip| skip == "1") {
        return;
    }
    let shop = Shop::new();
    let control =
        "Package: hello\nVersion: 1:2.10-3\nArchitecture: all\nMaintainer: a <a@b>\nDescription: greets\n";
    let tree = Tree::new()
        .file("DEBIAN/control", control)
        .file("DEBIAN/postinst", "#!/bin/sh\n")
        .mode("DEBIAN/postinst", 0o755)
        .file("usr/bin/hello", "#!/bin/sh\necho hello\n")
        .file("usr/share/doc/hello/README", "read me");
    let package = shop.path("hello.deb");
    tool(
        "dpkg-deb",
        shop.folder.path(),
        &["--root-owner-group", "-b", tree.path().to_str().unwrap(), &package],
    );
    let ended = shop.push(&package, "deb", &["--exclude", "usr/share/doc"]).ok();
    assert!(ended.stderr.contains("1 maintainer scripts are left out"), "{}", ended.stderr);
    let place = shop.registry.place("imported", "deb");
    let inspected = shop.publisher.plyos(["inspect", &place, "--descriptor"]).ok();
    let descriptor: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(descriptor["version"], "1:2.10-3");
    assert_eq!((&descriptor["kind"], &descriptor["arch"]), (&"package".into(), &"any".into()));
    let listed = shop.publisher.plyos(["inspect", &place, "--tree"]).ok();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("usr/bin/hello") && !listed.contains("README"), "{listed}");
}

#[test]
fn a_manifest_beside_the_tree_describes_it() {
    let shop = Shop::new();
    let folder = shop.folder.path();
    fs::create_dir(folder.join("web")).unwrap();
    fs::write(folder.join("web/index.html"), "x").unwrap();
    let text =
        "kind = \"site\"\nname = \"web\"\nversion = \"1\"\nstate-version = 4\ncompatible = [\"board\"]\n";
    fs::write(folder.join("web.plyos.toml"), text).unwrap();
    shop.push(&shop.path("web/"), "one", &["--version", "2"]).ok();
    let ended =
        shop.publisher.plyos(["inspect", &shop.registry.place("imported", "one"), "--descriptor"]).ok();
    let descriptor: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&descriptor["version"], &descriptor["state-version"]), (&"2".into(), &4.into()));

    fs::write(folder.join("web.plyos.toml"), format!("{text}depend = []\n")).unwrap();
    shop.refuses(&shop.path("web"), &[], 2, "did you mean `depends`?");
    fs::remove_file(folder.join("web.plyos.toml")).unwrap();
    shop.refuses(&shop.path("web"), &["--kind", "site"], 2, "nothing says its name, version");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let shop = Shop::new();
    let folder = shop.folder.path();
    fs::write(folder.join("noise"), [7; 2048]).unwrap();
    shop.refuses(&shop.path("noise"), &SITE, 1, "no tar archive");
    shop.refuses(&shop.path("missing"), &SITE, 1, "cannot open");
    shop.refuses("oci:/no/such/layout", &SITE, 1, "index.json");
    let odd = [&SITE[..], &["--exclude", "a[z-a]"]].concat();
    shop.refuses(&shop.path("noise"), &odd, 2, ".gitignore");
    shop.refuses(&shop.path("noise"), &[&SITE[..], &["--owner", "who"]].concat(), 2, "--owner who");

    let tree = Tree::new().file("program", "x").mode("program", 0o4755);
    let source = tree.path().to_str().unwrap();
    shop.refuses(source, &SITE, 1, "--allow-setuid");
    shop.push(source, "allowed", &[&SITE[..], &["--allow-setuid"]].concat()).ok();
}
