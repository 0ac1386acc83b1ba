//! podman, storage `vfs`: logs in, pulls what skopeo pushed, pushes it under another name, logs out. It runs no container.

use crate::image::Image;
use crate::server::{PASSWORD, Server, USER, has, text, words};
use plyos_test_system::inventory::{self, is_root};
use plyos_test_system::programs::Ended;
use std::fs;
use std::path::Path;

#[test]
fn pulls_and_pushes() {
    story(Server::open);
}

#[test]
fn does_so_with_a_login() {
    story(Server::with_login);
}

fn story(start: fn() -> Server) {
    if !has(&["podman", "skopeo", "tar"]) {
        return;
    }
    if !is_root() {
        eprintln!("podman's storage needs root or a user namespace of its own: skipped");
        return;
    }
    let server = start();
    let image = Image::make(&server.beside("image"));
    let (first, second) =
        (format!("{}/pod/app:1", server.address()), format!("{}/pod/again:1", server.address()));
    let from = format!("oci:{}:1", text(&image.layout));
    let to = format!("docker://{first}");
    let args = ["--insecure-policy", "copy", "--dest-tls-verify=false", "--preserve-digests", &from, &to];
    server.client("skopeo", &words(&args, &server.credentials("--dest-creds"))).ok();

    let (root, state, accounts) = (server.beside("root"), server.beside("run"), server.beside("auth.json"));
    let policy = server.beside("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let podman = |args: &[&str]| -> Ended {
        let global = ["--storage-driver=vfs", "--root", text(&root), "--runroot", text(&state)];
        server.client("podman", &[&global[..], args].concat())
    };
    let account = format!("--authfile={}", text(&accounts));
    // It insists that the file be there.
    fs::write(&accounts, "{}").unwrap();
    let visit = |command: &str, args: &[&str]| {
        let policy = format!("--signature-policy={}", text(&policy));
        podman(&[&[command, "--tls-verify=false", &account, &policy], args].concat())
    };
    if server.login().is_some() {
        let login = |password: &str| {
            podman(&["login", "--tls-verify=false", &account, "-u", USER, "-p", password, &server.address()])
        };
        assert_ne!(login("wrong").code, Some(0), "a wrong password is told at once");
        login(PASSWORD).ok();
    }
    visit("pull", &[&first]).ok();
    let mounted = podman(&["image", "mount", &first]).ok().text();
    let differences = inventory::differences(
        &inventory::of(image.tree.path()),
        &inventory::of(Path::new(mounted.trim_end())),
    );
    assert_eq!(differences, Vec::<String>::new());
    podman(&["image", "umount", &first]).ok();

    podman(&["tag", &first, &second]).ok();
    visit("push", &[&second]).ok();
    let args = ["inspect", "--tls-verify=false", &format!("docker://{second}")];
    let told = server.client("skopeo", &words(&args, &server.credentials("--creds"))).json();
    assert_eq!(told["Architecture"], "amd64");
    if server.login().is_some() {
        podman(&["logout", &account, &server.address()]).ok();
        assert_ne!(visit("push", &[&second]).code, Some(0), "logged out");
    }
}
