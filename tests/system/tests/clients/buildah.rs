//! buildah, storage `vfs` and isolation `chroot`: builds, pushes, pulls into another storage, builds upon what it pulled.

use crate::image::Image;
use crate::server::{Server, has, text, words};
use plyos_test_system::inventory::{self, is_root};
use plyos_test_system::programs::Ended;
use std::fs;
use std::path::Path;

#[test]
fn pushes_pulls_and_builds() {
    story(Server::open);
}

#[test]
fn does_so_with_a_login() {
    story(Server::with_login);
}

/// One client with a storage of its own.
struct Buildah<'a> {
    server: &'a Server,
    global: Vec<String>,
}

impl<'a> Buildah<'a> {
    fn new(server: &'a Server, name: &str) -> Self {
        let place = |part: &str| text(&server.beside(name).join(part)).to_owned();
        let global =
            ["--storage-driver=vfs".into(), "--root".into(), place("root"), "--runroot".into(), place("run")];
        let policy = server.beside("policy.json");
        fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        Self { server, global: global.to_vec() }
    }

    fn run(&self, args: &[&str]) -> Ended {
        let global: Vec<&str> = self.global.iter().map(String::as_str).collect();
        self.server.client("buildah", &[&global, args].concat()).ok()
    }

    /// The same with what a visit to the registry needs.
    fn visit(&self, command: &str, args: &[&str]) -> Ended {
        let policy = format!("--signature-policy={}", text(&self.server.beside("policy.json")));
        let login = self.server.credentials("--creds");
        let visit = [command, "--tls-verify=false", &policy];
        self.run(&[&words(&visit, &login), args].concat())
    }

    /// That an image's files are those of a tree.
    fn compare(&self, image: &str, tree: &Path) {
        let container = self.run(&["from", image]).text().trim_end().to_owned();
        let mounted = self.run(&["mount", &container]).text();
        let (mut found, mut expected) = (inventory::of(Path::new(mounted.trim_end())), inventory::of(tree));
        // The root is the storage's own: `buildah copy` puts only what is in a folder into the layer.
        for tree in [&mut found, &mut expected] {
            tree.remove(Path::new(""));
        }
        self.run(&["umount", &container]);
        assert_eq!(inventory::differences(&expected, &found), Vec::<String>::new());
    }
}

fn story(start: fn() -> Server) {
    if !has(&["buildah", "tar"]) {
        return;
    }
    if !is_root() {
        eprintln!("buildah's storage needs root or a user namespace of its own: skipped");
        return;
    }
    let server = start();
    let image = Image::make(&server.beside("image"));
    let (builder, other) = (Buildah::new(&server, "builder"), Buildah::new(&server, "other"));
    let place = format!("{}/team/base:1", server.address());

    let container = builder.run(&["from", "scratch"]).text().trim_end().to_owned();
    builder.run(&["copy", &container, text(image.tree.path()), "/"]);
    builder.run(&["commit", "--format=oci", &container, "base"]);
    builder.visit("push", &["base", &format!("docker://{place}")]);
    other.visit("pull", &[&format!("docker://{place}")]);
    other.compare(&place, image.tree.path());

    // A base that must be pulled, one more layer, both pushed again: the base's layer is mounted or found, not sent.
    let folder = server.beside("upon");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("Containerfile"), format!("FROM {place}\nCOPY added /etc/added\n")).unwrap();
    fs::write(folder.join("added"), "one more\n").unwrap();
    let third = Buildah::new(&server, "third");
    let upon = format!("{}/team/upon:1", server.address());
    third.visit("bud", &["--isolation=chroot", "--format=oci", "-t", &upon, text(&folder)]);
    third.visit("push", &[&upon, &format!("docker://{upon}")]);
    other.visit("pull", &[&format!("docker://{upon}")]);
    let container = other.run(&["from", &upon]).text().trim_end().to_owned();
    let mounted = other.run(&["mount", &container]).text();
    let tree = Path::new(mounted.trim_end());
    assert_eq!(fs::read(tree.join("etc/added")).unwrap(), b"one more\n");
    assert_eq!(fs::read(tree.join("srv/noise")).unwrap(), fs::read(image.tree.at("srv/noise")).unwrap());
}
